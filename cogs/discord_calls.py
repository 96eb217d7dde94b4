"""Calls to Discord's REST API: the one place where discord.py's own gaps are met.

discord.py 2.7.1 lets connection errors of its HTTP library through, waits without bound on a 429, raises
TypeError on a 429 that is no JSON, tries a 5xx again for 25 s, and keeps no count of what Discord refuses. So
a call through `attempt` has a deadline of its own, ends with Discord's first reply, and any fault means the
same: it did not arrive. What the replies say is learned from the hooks of discord.py's HTTP session, which
see every request, ours and discord.py's own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import discord

log = logging.getLogger(__name__)

# How long discord.py may take to read a reply that it would then sleep over.
READING_SECONDS = 0.25
# Discord bans an address for a while after 10,000 invalid requests in ten minutes.
INVALID_WINDOW_SECONDS = 600.0
MOST_INVALID = 5_000
# How long a ban lasts that does not say.
BAN_SECONDS = 3600.0

DELETED_CODES = frozenset({10003, 10008})  # channel, message
EXPIRED_CODES = frozenset({10015, 10062, 50027})  # the interaction's token
BLOCKED_CODES = frozenset({200000, 240000})  # by the server's AutoMod, by the filter of harmful links


class Outcome(Enum):
    """What became of a call to Discord."""

    ARRIVED = "arrived"
    FAILED = "failed"  # another try may help
    REFUSED = "refused"  # no other try will help: permissions are missing, or the request is wrong
    BLOCKED = "blocked"  # a filter of Discord's or of the server's stopped this text
    DELETED = "deleted"  # somebody deleted the message: it is not wanted
    EXPIRED = "expired"  # the time for answers is over


class DiscordResting(discord.DiscordException):
    """Nothing is sent at the moment, because Discord has banned this address for a while."""


@dataclass(slots=True)
class Call:
    """One call, and what Discord's replies to it said."""

    deadline: asyncio.Timeout | None = None
    status: int = 0
    remaining: int | None = None  # requests that its bucket has left
    reset_after: float = 0.0  # seconds until the bucket is full again
    retry_after: float = 0.0  # seconds
    outcome: Outcome = Outcome.FAILED
    result: Any = None

    @property
    def pause(self) -> float:
        """How many seconds to wait before the next call of this kind, so that what remains is spread out."""
        if self.remaining is None:
            return self.retry_after
        return max(self.retry_after, self.reset_after / max(self.remaining, 1))


_current: ContextVar[Call | None] = ContextVar("current call to Discord", default=None)


@dataclass
class DiscordCalls:
    """What one bot knows of how its requests to Discord go, and how long it waits for what."""

    call_seconds: float = 10.0
    # Discord allows about five edits of one response in a short time; this pace never meets that wall.
    pace_seconds: float = 1.2
    # Before each try of what has to arrive.
    retry_seconds: tuple[float, ...] = (0.0, 1.0, 2.0, 4.0, 8.0)
    # Before another try of what nobody waits for; doubled each time.
    late_seconds: float = 60.0
    clock: Callable[[], float] = time.monotonic
    replies: Counter[int] = field(default_factory=Counter)  # by HTTP status; 0: none came
    _banned_until: float = 0.0
    _invalid: deque[float] = field(default_factory=lambda: deque(maxlen=2 * MOST_INVALID))

    @property
    def resting_seconds(self) -> float:
        """How long nothing is sent any more; 0 when all is well."""
        return max(self._banned_until - self.clock(), 0.0)

    @property
    def invalid_requests(self) -> int:
        """How many requests of the last ten minutes Discord counts as invalid."""
        while self._invalid and self._invalid[0] < self.clock() - INVALID_WINDOW_SECONDS:
            self._invalid.popleft()
        return len(self._invalid)

    @property
    def only_needed(self) -> bool:
        """Whether to send nothing but what is needed, since Discord bans who sends too much that is invalid.

        Needed are first responses, the last edit of an answer and notices. Edits while an answer is being
        written are not, nor that the bot is seen typing, nor what a channel is called.
        """
        return self.resting_seconds > 0 or self.invalid_requests >= MOST_INVALID

    async def attempt(
        self, request: Awaitable[Any], more_seconds: float = 0.0, *, needed: bool = True
    ) -> Call:
        """Await one request to Discord, for `call_seconds` at most and `more_seconds` that its files take.

        One that is not needed is not sent while `only_needed` holds. Raises only when it is cancelled.
        """
        call = Call()
        if not needed and self.only_needed:
            if asyncio.iscoroutine(request):
                request.close()
            return call
        token = _current.set(call)
        try:
            async with asyncio.timeout(self.call_seconds + more_seconds) as call.deadline:
                call.result = await request
            call.outcome = Outcome.ARRIVED
        except discord.HTTPException as error:
            call.outcome = _outcome_of(error)
            log.info("Discord answered %s (code %s)", error.status, error.code)
        except TimeoutError:
            # It was carried out where discord.py only waits until the next request is allowed.
            call.outcome = Outcome.ARRIVED if 200 <= call.status < 300 else Outcome.FAILED
            log.info("Discord did not answer in time (status %s)", call.status or "none")
        except Exception as error:  # what discord.py lets through has no common base
            log.info("Discord could not be reached: %s", type(error).__name__)
        finally:
            _current.reset(token)
        return call

    # Hooks of the HTTP session; they run in the task of the request.

    async def before_request(self, _session: Any, _context: Any, sent: Any) -> None:
        """Send nothing during a ban: each request would make it longer. Raises DiscordResting."""
        if self.resting_seconds and sent.url.path.startswith("/api/"):
            raise DiscordResting("Discord has banned this address for a while")

    async def after_failure(self, _session: Any, _context: Any, failed: Any) -> None:
        """Note a request to which no reply came."""
        self.replies[0] += 1
        log.debug("%s %s: %s", failed.method, failed.url.path, type(failed.exception).__name__)

    async def after_reply(self, _session: Any, _context: Any, received: Any) -> None:
        """Note what a reply says."""
        status, headers = received.response.status, received.response.headers
        self.replies[status] += 1
        log.debug("%s %s: %d", received.method, received.url.path, status)
        retry_after = _seconds(headers.get("Retry-After"))
        if status in (401, 403, 429) and headers.get("X-RateLimit-Scope") != "shared":
            self._invalid.append(self.clock())
            if self.invalid_requests == MOST_INVALID:
                log.error(
                    "Discord refused %d requests in ten minutes: only needed ones are sent", MOST_INVALID
                )
        if status == 429 and "Via" not in headers:  # not from Discord, but from what stands before it
            seconds = retry_after or BAN_SECONDS
            self._banned_until = max(self._banned_until, self.clock() + seconds)
            log.error("Discord has banned this address: nothing is sent for %.0f seconds", seconds)
        call = _current.get()
        if call is None:
            return
        call.status, call.retry_after = status, retry_after if status == 429 else 0.0
        remaining = headers.get("X-RateLimit-Remaining", "")
        call.remaining = int(remaining) if remaining.isdecimal() else None
        call.reset_after = _seconds(headers.get("X-RateLimit-Reset-After"))
        if (status == 429 or status >= 500) and call.deadline is not None and not call.deadline.expired():
            # discord.py would sleep and send the same again; whether and what to send is the caller's to say.
            call.deadline.reschedule(asyncio.get_running_loop().time() + READING_SECONDS)


def _outcome_of(error: discord.HTTPException) -> Outcome:
    for codes, outcome in (
        (DELETED_CODES, Outcome.DELETED),
        (EXPIRED_CODES, Outcome.EXPIRED),
        (BLOCKED_CODES, Outcome.BLOCKED),
    ):
        if error.code in codes:
            return outcome
    return Outcome.FAILED if error.status == 429 or error.status >= 500 else Outcome.REFUSED


def _seconds(value: str | None) -> float:
    try:
        return min(max(float(value or 0), 0.0), 86_400.0)
    except ValueError:
        return 0.0
