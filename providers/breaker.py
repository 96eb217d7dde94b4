"""The breaker: a provider that keeps failing is left alone for a while, then tried by one request."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakerTimes:
    """After `failures` in `window` seconds a provider rests `first_rest` s, doubled to `longest_rest`."""

    failures: int = 3
    window: float = 60.0
    first_rest: float = 30.0
    longest_rest: float = 300.0


class Breaker:
    """Counts the failures of one provider that say nothing of its keys: outages, timeouts, nonsense."""

    def __init__(self, times: BreakerTimes, clock: Callable[[], float]) -> None:
        self._times = times
        self._clock = clock
        self._failed_at: deque[float] = deque(maxlen=times.failures)
        self._openings = 0
        self.open_until = 0.0  # 0: closed
        self._trying = False

    @property
    def is_open(self) -> bool:
        """Whether the provider was to be left alone, and has not answered since."""
        return self.open_until > 0

    def wait_seconds(self) -> float:
        """How long until the provider may be asked, as far as anybody knows; 0: now."""
        left = max(0.0, self.open_until - self._clock())
        return max(left, 1.0) if self._trying else left

    def begin(self) -> bool:
        """A request goes out; while the breaker is open only one may, and True says that this is the one."""
        self._trying = self.is_open
        return self._trying

    def end(self, trial: bool) -> None:
        """That request has ended, with or without news of the provider."""
        if trial:
            self._trying = False

    def succeed(self) -> bool:
        """The provider answered; True when that closes the breaker."""
        was_open = self.is_open
        self._failed_at.clear()
        self._openings = 0
        self.open_until = 0.0
        self._trying = False
        return was_open

    def fail(self, trial: bool) -> bool:
        """The provider failed; True when that opens the breaker."""
        now = self._clock()
        if self.is_open and not trial:
            return False  # sent before the breaker opened: it says nothing new
        self._trying = False
        self._failed_at.append(now)
        enough = len(self._failed_at) == self._times.failures
        if not self._openings and not (enough and self._failed_at[0] > now - self._times.window):
            return False
        rest = min(self._times.longest_rest, self._times.first_rest * 2**self._openings)
        self._openings += 1
        self.open_until = max(self.open_until, now + rest)
        return self._openings == 1

    def rest(self, seconds: float) -> None:
        """The provider has asked to be left alone for so long; it is, up to the longest rest."""
        self.open_until = max(self.open_until, self._clock() + min(seconds, self._times.longest_rest))
