"""A day of questions, and the vendors that could answer them: drawn from a seed, lived in virtual time.

Six keys at a first vendor, one at a second behind it. Two keys are one account's, one is revoked at noon, one
account is out of credit, and the first vendor is down for 20 minutes. Each account has a limit for any 60
seconds and one for the day, counted anew at UTC midnight, which falls on any hour of the members' day. What a
vendor refuses does not count against its limits. Limits are drawn; so is whether a vendor names times in its
refusals, and whether it says along with an answer that nothing is left for now.

Questions follow a daily curve with its height at eight in the evening; one in ten comes in a burst, when many
ask within a minute. All in all they are 70 % to 100 % of what the limits of the day allow.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from pydantic import SecretStr

from providers.base import Key, KeyRejected, ProviderError, QuotaExhausted, RateLimited, Unavailable

MINUTE = 60.0
HOUR = 3600.0
DAY = 86400.0
NEVER = math.inf
# In 1970: an event loop tells moments apart by a nanosecond, which large floats cannot hold.
SOME_MIDNIGHT = DAY

OUTAGE_SECONDS = 20 * MINUTE
SHARE_IN_BURSTS = 0.1
# Of members who wait for a key: as long as the bot's own budget has it.
PATIENCE_SECONDS = 20.0


class JumpingSelector(selectors.SelectSelector):
    """Where a loop would sleep until its next timer, this one moves the clock there."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready without any waiting."""
        ready = super().select(0)
        if timeout is None and not ready:
            raise RuntimeError("nothing is left that could ever happen")
        self._jump(timeout or 0.0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time, in seconds since 1970, passes only while everybody sleeps."""

    def __init__(self, start: float) -> None:
        self._virtual_time = start
        super().__init__(JumpingSelector(self._jump))

    def time(self) -> float:
        """The virtual time."""
        return self._virtual_time

    def _jump(self, seconds: float) -> None:
        self._virtual_time += seconds


def now() -> float:
    """The virtual time of the running loop."""
    return asyncio.get_running_loop().time()


@dataclass(slots=True)
class Question:
    """A member's question: when it came, when a vendor was last asked it, and whether one answered."""

    arrived_at: float
    sent_at: float = 0.0
    answered: bool = False


@dataclass
class Account:
    """What a vendor allows one customer, and what the customer has used of it."""

    per_minute: int
    per_day: int
    has_credit: bool = True
    sent: deque[float] = field(default_factory=deque)
    used: Counter[int] = field(default_factory=Counter)  # by day

    def minute_free_at(self, at: float) -> float:
        """From `at` on: when the limit of the minute allows a request."""
        return max(at, self.sent[0] + MINUTE) if len(self.sent) == self.per_minute else at

    def day_free_at(self, at: float) -> float:
        """From `at` on: when the limit of the day allows a request."""
        day = int(at // DAY)
        return at if self.used[day] < self.per_day else (day + 1) * DAY

    def left_today(self, at: float) -> int:
        """How many requests the day still allows."""
        return self.per_day - self.used[int(at // DAY)]

    def take(self, at: float) -> None:
        """Count a request that is served."""
        if len(self.sent) == self.per_minute:
            self.sent.popleft()
        self.sent.append(at)
        self.used[int(at // DAY)] += 1


@dataclass
class Vendor:
    """A vendor with its customers' keys, as the network shows it."""

    name: str
    accounts: dict[Key, Account]
    random: Random
    names_times: bool  # in its refusals
    tells_rest: bool  # along with an answer, when nothing is left
    down: tuple[float, float] = (NEVER, NEVER)
    revoked: dict[Key, float] = field(default_factory=dict)
    requests: int = 0

    async def ask(self, question: Question, key: Key) -> float | None:
        """Wait for the first words of an answer, and the seconds of rest that came with them.

        Raises ProviderError, as our own providers read what a vendor says.
        """
        question.sent_at = now()
        self.requests += 1
        await asyncio.sleep(self.random.uniform(0.02, 0.15))  # the way there
        refusal = self._refusal(key, now())
        if refusal is not None:
            await asyncio.sleep(self.random.uniform(0.05, 0.25))  # and back
            raise refusal
        account = self.accounts[key]
        account.take(now())
        await asyncio.sleep(0.3 + self.random.expovariate(2.0))
        question.answered = True
        free_at = account.day_free_at(account.minute_free_at(now()))
        return free_at - now() if self.tells_rest and free_at > now() else None

    def _refusal(self, key: Key, at: float) -> ProviderError | None:
        account = self.accounts[key]
        if self.down[0] <= at < self.down[1]:
            return Unavailable(status=503)
        if at >= self.revoked.get(key, NEVER):
            return KeyRejected(status=401)
        if not account.has_credit:
            return QuotaExhausted(status=402)
        if (free_at := account.day_free_at(at)) > at:
            return QuotaExhausted(status=429, retry_after=self._named(free_at - at))
        if (free_at := account.minute_free_at(at)) > at:
            return RateLimited(status=429, retry_after=self._named(free_at - at))
        return None

    def _named(self, seconds: float) -> float | None:
        return math.ceil(seconds) if self.names_times else None

    def free_at(self, key: Key, at: float) -> float:
        """From `at` on: when a request with this key would be answered, for whoever knows everything."""
        account = self.accounts[key]
        if not account.has_credit:
            return NEVER
        at = account.day_free_at(account.minute_free_at(at))
        if self.down[0] <= at < self.down[1]:
            at = self.down[1]
        return at if at < self.revoked.get(key, NEVER) else NEVER


@dataclass
class SimulatedDay:
    """Who can be asked, in the order of the chain, and who asks."""

    starts_at: float
    vendors: Sequence[Vendor]
    questions: Sequence[Question]

    def possible_answers(self) -> int:
        """How many questions somebody who knows every limit and every outage could have answered.

        In the order of their arrival, each takes the soonest request that anybody could serve within the
        members' patience; of several, one whose key will be revoked, else one at the chain's head, else of
        the account that has most left for the day. It uses up the day's limits: ask it of a fresh day.
        """
        answers = 0
        for question in self.questions:
            arrived_at = question.arrived_at
            starts_at, *_, account = min(
                (
                    (
                        vendor.free_at(key, arrived_at),
                        key not in vendor.revoked,
                        place,
                        -account.left_today(arrived_at),
                        number,
                        account,
                    )
                    for place, vendor in enumerate(self.vendors)
                    for number, (key, account) in enumerate(vendor.accounts.items())
                ),
                key=lambda choice: choice[:-1],
            )
            if starts_at <= arrived_at + PATIENCE_SECONDS:
                account.take(starts_at)
                answers += 1
        return answers


def draw_day(seed: int, hours: float = 24.0) -> SimulatedDay:
    """A day of so many hours; its curve and its limits for the day are shrunk to them."""
    random = Random(seed)
    starts_at = SOME_MIDNIGHT + random.randrange(24) * HOUR
    shrink = hours * HOUR / DAY

    def draw_account() -> Account:
        per_minute = random.randint(5, 20)
        return Account(per_minute, round(per_minute * random.uniform(60, 240) * shrink))

    def draw_manners() -> tuple[Random, bool, bool]:
        return Random(random.random()), random.random() < 0.5, random.random() < 0.5

    shared, revoked, broke = draw_account(), draw_account(), draw_account()
    broke.has_credit = False
    accounts = [shared, shared, revoked, broke, draw_account(), draw_account()]
    random.shuffle(accounts)
    keys = [
        Key(f"FIRST_KEY{number}", SecretStr(f"first {number}"), "shared" if account is shared else "")
        for number, account in enumerate(accounts, 1)
    ]
    first = Vendor("first", dict(zip(keys, accounts, strict=True)), *draw_manners())
    first.revoked = {keys[accounts.index(revoked)]: starts_at + hours * HOUR / 2}
    falls_at = starts_at + random.uniform(0.4, 0.9) * hours * HOUR
    first.down = (falls_at, falls_at + OUTAGE_SECONDS)
    second = Vendor("second", {Key("SECOND_KEY", SecretStr("second")): draw_account()}, *draw_manners())

    counted = [*{id(account): account for account in (*accounts, *second.accounts.values())}.values()]
    counted.remove(broke)
    allowed = sum(account.per_day for account in counted) - revoked.per_day / 2
    together = sum(account.per_minute for account in counted)
    count = round(allowed * random.uniform(0.7, 1.0))
    arrivals = sorted(draw_arrivals(random, count, together, hours))
    return SimulatedDay(starts_at, (first, second), [Question(starts_at + at) for at in arrivals])


def draw_arrivals(random: Random, count: int, together: int, hours: float) -> Iterator[float]:
    """Seconds after the day's begin; `together` is what all accounts together allow in a minute."""
    in_bursts = round(count * SHARE_IN_BURSTS)
    size = begins_at = 0.0
    for number in range(count):
        if number >= in_bursts:
            yield draw_moment(random, hours)
            continue
        if size < 1:
            size, begins_at = random.uniform(0.3, 1.0) * together, draw_moment(random, hours)
        size -= 1
        yield min(begins_at + random.uniform(0, MINUTE), hours * HOUR)


def draw_moment(random: Random, hours: float) -> float:
    """A moment of the day by its curve: at night, a tenth of the evening's questions."""
    while True:
        share = random.random()
        if random.random() < 0.55 + 0.45 * math.cos(2 * math.pi * (share - 20 / 24)):
            return share * hours * HOUR
