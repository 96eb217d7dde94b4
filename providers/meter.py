"""The meter: when an account has sent requests, and how many a minute its vendor seems to allow."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

MINUTE = 60.0
# By how much a vendor's minute may differ from ours: requests travel, and vendors name whole seconds.
GRACE = 0.5
ROUNDING = 2.0
# For how long a limit is believed that refusals have shown: doubled each time it proves true.
FIRST_BELIEF = 2 * MINUTE
LONGEST_BELIEF = 60 * MINUTE


@dataclass(slots=True)
class Meter:
    """When an account has sent the last minute's requests to a model.

    `limit` is how many a minute its vendor seems to allow; 0: nothing is known. It is believed for a while
    only, as the vendor may just have been busy; after that one request a second may try for more.
    """

    last_used: float = 0.0
    sent: deque[float] = field(default_factory=deque)  # without those that were refused or never left
    limit: int = 0
    believed_until: float = 0.0
    proofs: int = 0

    def free_at(self, allowed: int | None, now: float) -> float:
        """When the minute has room, by what the host says is allowed and by what refusals have shown."""
        while self.sent and self.sent[0] <= now - MINUTE - GRACE:
            self.sent.popleft()
        times = [now]
        if allowed is not None and len(self.sent) >= allowed:
            times.append(self.sent[-allowed] + MINUTE + GRACE)
        if self.limit and len(self.sent) >= self.limit:
            times.append(self.last_used + 1.0)
            if now < self.believed_until:
                times.append(self.sent[-self.limit] + MINUTE + GRACE)
        return max(times)

    def withdraw(self, sent_at: float) -> None:
        """A request that was to leave at `sent_at` never did: the vendor does not count it."""
        if sent_at in self.sent:  # else its minute has passed
            self.sent.remove(sent_at)

    def refused(self, sent_at: float, retry_after: float | None, now: float) -> bool:
        """A request was one too many. Was it because the minute was full?

        It was if the vendor asks to wait for just as long as the oldest request needs to leave the minute;
        or, if it names no time, when it has refused at that number before. One request alone shows nothing.
        """
        self.withdraw(sent_at)
        before = [at for at in self.sent if sent_at - MINUTE - GRACE < at <= sent_at]
        if retry_after is None:
            fits = 0 < self.limit <= len(before)
        else:
            fits = bool(before) and abs(before[0] + MINUTE - now - retry_after) <= ROUNDING
        if not self.limit or len(before) < self.limit:
            self.limit, self.believed_until, self.proofs = len(before), 0.0, 0
        if fits and self.limit > 1 and now >= self.believed_until:
            self.believed_until = now + min(LONGEST_BELIEF, FIRST_BELIEF * 2**self.proofs)
            self.proofs += 1
        return now < self.believed_until

    def served(self, sent_at: float) -> None:
        """A request was answered; a limit that would have forbidden it is none."""
        if self.limit and sum(sent_at - MINUTE < at <= sent_at for at in self.sent) > self.limit:
            self.limit, self.believed_until, self.proofs = 0, 0.0, 0
