"""The key pool: which key may be asked now, and what each refusal does to it.

What a vendor counts, it counts by account and model; a refused key is refused for every model; a model that
is gone is gone for every key. Each of these has a health, and a key may be asked when all of its healths
allow it. Keys that share an account, as the host has labelled them, rest together.

    error         whose health     and then
    auth          key              dead until its value is changed, or the settings are read again; who
                                   needs no key rests for ten minutes
    not_entitled  account, model   spent for a day
    exhausted     account, model   spent until the time the vendor named, else until UTC midnight, 6 h at most
    rate          account, model   resting for the time the vendor named, else 5 s, doubled each time to 60 s
    retired       model            spent for a day
    others                         nothing: they say nothing of the key

When its time has come, one request asks whether it is well again; the others wait for what that one learns.
Whenever the settings are read, that time has come for all but those that rest or were told how long to wait.

Vendors seldom say how many requests they allow. Where refusals show that an account's last minute was full
(see `providers.meter`), the pool keeps to that number by itself and does not find out by refusals.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter

from providers.base import NO_KEY, Key, ProviderError
from providers.healths import DAY, NEVER, WELL, Health, HealthStore, Holder, NoStore, Status
from providers.meter import Meter

log = logging.getLogger(__name__)

_until = attrgetter("until")

FIRST_REST = 5.0
LONGEST_REST = 60.0
# A spent account may be topped up, or its vendor's day may begin elsewhere: it is asked again after this.
LONGEST_SPENT = 6 * 3600.0
# A server of one's own that asks for a key where none is set may soon be set right.
KEYLESS_REST = 600.0
# What the host can mend where the bot cannot see it: a permission given, a model put back, credit bought.
MENDABLE = ("auth", "not_entitled", "retired", "exhausted")


@dataclass(frozen=True, slots=True)
class Ring:
    """The keys of one provider and model, and what the vendor allows each account. None: not known."""

    provider: str
    model: str
    keys: Sequence[Key]
    max_concurrency: int | None = None  # over all of the provider's models
    requests_per_minute: int | None = None
    _holders: dict[str, tuple[Holder, Holder, Holder]] = field(init=False, repr=False, compare=False)
    _accounts: dict[str, Holder] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        model = Holder(self.provider, "", self.model)
        holders = {
            key.fingerprint: (
                Holder(self.provider, key.account or key.fingerprint, self.model),
                Holder(self.provider, key.fingerprint, ""),
                model,
            )
            for key in self.keys
        }
        # Once: they are asked for at every turn.
        object.__setattr__(self, "_holders", holders)
        accounts = {name: account._replace(model="") for name, (account, *_) in holders.items()}
        object.__setattr__(self, "_accounts", accounts)

    def account(self, key: Key) -> Holder:
        """Who holds what the vendor counts."""
        return self._holders[key.fingerprint][0]

    def whole_account(self, key: Key) -> Holder:
        """The account with all its models."""
        return self._accounts[key.fingerprint]

    def holders(self, key: Key) -> tuple[Holder, Holder, Holder]:
        """Everyone whose health decides whether `key` may be asked."""
        return self._holders[key.fingerprint]


class KeyPool:
    """Hands out keys, least recently used first, and remembers what became of them.

    Healths, which outlive the process, end by `clock`, in seconds since 1970. Requests are counted by
    `steady`, which nobody sets back; without it by the same clock.
    """

    def __init__(
        self,
        store: HealthStore | None = None,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] | None = None,
    ) -> None:
        self._store = store or NoStore()
        self._clock = clock
        self._steady = steady or clock
        self._healths: dict[Holder, Health] = {}
        self._meters: defaultdict[Holder, Meter] = defaultdict(Meter)
        self._running: Counter[Holder] = Counter()
        self._probed: set[Holder] = set()
        self._unsaved: dict[Holder, Health] = {}
        self._changed = asyncio.Event()
        self._storing = asyncio.Lock()

    async def load(self) -> None:
        """Recall what was known before the restart."""
        self._healths = dict(await self._store.load())

    async def refresh(self) -> None:
        """Learn what others who share the store have found out meanwhile. Raises what the store raises."""
        async with self._storing:  # so that nothing of ours is on its way there while we read
            known = {
                holder: ours if (ours := self.health(holder)).is_kept_as(kept) else kept
                for holder, kept in (await self._store.load()).items()
            }
        known |= self._unsaved  # what happened here since then is newer
        if known != self._healths:
            self._healths = known
            self._changed.set()

    def try_again(self) -> None:
        """The host may have mended something: one request each asks whoever the vendor named no time for."""
        now = self._clock()
        for holder, health in list(self._healths.items()):
            guessed = health.reason != "exhausted" or health.strikes > 0
            if health.reason in MENDABLE and guessed and health.until > now:
                self._set(holder, replace(health, until=now))
        self._changed.set()

    async def save(self) -> None:
        """Keep what has changed since the last time. A store that fails costs memory, not the answer."""
        async with self._storing:
            changed, self._unsaved = self._unsaved, {}
            if not changed:
                return
            try:
                await self._store.save(changed)
            except Exception:
                self._unsaved = {**changed, **self._unsaved}
                log.exception("the state of the keys could not be saved; it will be tried again")

    def health(self, holder: Holder) -> Health:
        """What is known of a holder."""
        return self._healths.get(holder, WELL)

    def worst(self, ring: Ring, key: Key) -> Health:
        """The health that keeps `key` from being asked for the longest time, or a ready one."""
        now = self._clock()
        healths = self._unwell(ring, key).values()
        return max((health for health in healths if health.until > now), key=_until, default=WELL)

    def _unwell(self, ring: Ring, key: Key) -> dict[Holder, Health]:
        """Those of the key's holders that are not ready, or were not when they were last asked."""
        known = self._healths
        return {
            holder: health
            for holder in ring.holders(key)
            if holder in known and (health := known[holder]).status is not Status.READY
        }

    def acquire(self, ring: Ring, only: Key | None = None) -> Lease | None:
        """The right to send one request, with the key used least recently or `only` this; None: not now."""
        now = self._steady()
        keys = ring.keys if only is None else (only,)
        meters = [self._meters[ring.account(key)] for key in keys]
        last_used = [meter.last_used for meter in meters]
        for _, place in sorted(zip(last_used, range(len(keys)), strict=True)):
            unwell = self._unwell(ring, keys[place])
            if self._rest_of(unwell) <= 0 and self._queue(ring, keys[place]) <= 0:
                break
        else:
            return None
        key, meter = keys[place], meters[place]
        self._running[ring.whole_account(key)] += 1
        meter.last_used = now
        meter.sent.append(now)
        self._probed.update(unwell)
        return Lease(self, ring, key, now, unwell)

    def wait_seconds(self, ring: Ring) -> float:
        """How long until one of the keys may be asked, as far as anybody knows; 0: now."""
        return min((max(self._rest(ring, key), self._queue(ring, key)) for key in ring.keys), default=NEVER)

    def rest_seconds(self, ring: Ring) -> float:
        """The same as far as vendors are concerned, were there no other requests of ours."""
        return min((self._rest(ring, key) for key in ring.keys), default=NEVER)

    def is_busy(self, ring: Ring, key: Key) -> bool:
        """Whether other requests of ours are all that keeps this key from being asked."""
        return self._rest(ring, key) <= 0 < self._queue(ring, key)

    async def wait(self, seconds: float) -> None:
        """Sleep, but wake up when something has changed."""
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass

    def _rest(self, ring: Ring, key: Key) -> float:
        """For how many seconds its healths do not allow that the key is asked."""
        return self._rest_of(self._unwell(ring, key))

    def _rest_of(self, unwell: Mapping[Holder, Health]) -> float:
        rest = 0.0
        if unwell:
            now = self._clock()
            for holder, health in unwell.items():
                rest = max(rest, health.until - now)
                if holder in self._probed:  # while one request asks whether it is well, nobody else does
                    rest = max(rest, 1.0)
        return rest

    def _queue(self, ring: Ring, key: Key) -> float:
        """For how many seconds other requests of ours do not leave room for one more."""
        now = self._steady()
        wait = self._meter(ring, key).free_at(ring.requests_per_minute, now) - now
        most = ring.max_concurrency
        if most is not None and self._running[ring.whole_account(key)] >= most:
            wait = max(wait, 1.0)  # or sooner: the end of a request wakes those who wait
        return wait

    def _meter(self, ring: Ring, key: Key) -> Meter:
        return self._meters[ring.account(key)]

    def _set(self, holder: Holder, health: Health) -> None:
        self._healths[holder] = health
        self._unsaved[holder] = health

    def _lengthen(self, holder: Holder, health: Health) -> None:
        # Several requests may have been on their way: the longest rest that any was told counts.
        if health.until > self.health(holder).until:
            self._set(holder, health)

    def _recover(self, probed: Mapping[Holder, Health]) -> None:
        for holder, health in probed.items():
            if self.health(holder) == health:  # and nobody has learned otherwise meanwhile
                self._set(holder, WELL)
        self._probed.difference_update(probed)
        self._changed.set()

    def _learn(
        self, ring: Ring, key: Key, sent_at: float, error: ProviderError, probed: Mapping[Holder, Health]
    ) -> None:
        account, this_key, model = ring.holders(key)
        now = self._clock()
        if error.never_sent:
            self._meter(ring, key).withdraw(sent_at)
        elif error.kind == "auth" and key.fingerprint == NO_KEY.fingerprint:
            self._set(this_key, Health(Status.RESTING, now + KEYLESS_REST, error.kind))
        elif error.kind == "auth":
            self._set(this_key, Health(Status.DEAD, NEVER, error.kind))
        elif error.kind == "not_entitled":
            self._lengthen(account, Health(Status.SPENT, now + DAY, error.kind))
        elif error.kind == "exhausted":
            until = now + error.retry_after if error.retry_after else _spent_until(now)
            self._lengthen(account, Health(Status.SPENT, until, error.kind, 0 if error.retry_after else 1))
        elif error.kind == "rate":
            meter, steady = self._meter(ring, key), self._steady()
            full = meter.refused(sent_at, error.retry_after, steady)
            rest = error.retry_after or (meter.free_at(None, steady) - steady if full else 0.0)
            # Requests that were on their way together are one strike.
            strikes = 0 if rest else probed.get(account, WELL).strikes + 1
            rest = rest or min(LONGEST_REST, FIRST_REST * 2 ** (strikes - 1))
            self._lengthen(account, Health(Status.RESTING, now + rest, error.kind, strikes))
        elif error.kind == "retired":
            self._set(model, Health(Status.SPENT, now + DAY, error.kind))

    def _release(self, ring: Ring, key: Key, probed: Mapping[Holder, Health]) -> None:
        self._running[ring.whole_account(key)] -= 1
        self._probed.difference_update(probed)
        self._changed.set()

    def rest(self, ring: Ring, key: Key, seconds: float) -> None:
        """Rest an account because its vendor said, along with an answer, that nothing is left for now."""
        status = Status.RESTING if seconds <= DAY / 24 else Status.SPENT
        self._lengthen(ring.account(key), Health(status, self._clock() + seconds, "rate"))


class Lease:
    """The right to send one request with one key. It ends once; what is called after that does nothing."""

    def __init__(
        self, pool: KeyPool, ring: Ring, key: Key, sent_at: float, probed: Mapping[Holder, Health]
    ) -> None:
        self.key = key
        self._pool = pool
        self._ring = ring
        self._sent_at = sent_at
        self._probed = probed  # whose time to be well again had come when this request was sent
        self._ended = False

    def confirm(self) -> None:
        """The vendor has begun to answer: whoever was not well before this request is well again."""
        self._pool._meter(self._ring, self.key).served(self._sent_at)
        self._pool._recover(self._probed)
        self._probed = {}

    def rest(self, seconds: float) -> None:
        """The vendor said along with its answer that nothing is left to this account for so long."""
        self._pool.rest(self._ring, self.key, seconds)

    def fail(self, error: ProviderError) -> None:
        """The vendor refused, or could not be reached."""
        if not self._ended:
            self._pool._learn(self._ring, self.key, self._sent_at, error, self._probed)
        self.release()

    def withdraw(self) -> None:
        """The request was never sent: it counts no more."""
        if not self._ended:
            self._pool._meter(self._ring, self.key).withdraw(self._sent_at)
        self.release()

    def release(self) -> None:
        """The request has ended."""
        if not self._ended:
            self._ended = True
            self._pool._release(self._ring, self.key, self._probed)


def _spent_until(now: float) -> float:
    """UTC midnight, or six hours from now if that is sooner; a little later, for clocks that differ."""
    midnight = (now // DAY + 1) * DAY
    return min(midnight + random.uniform(1, 30), now + LONGEST_SPENT)
