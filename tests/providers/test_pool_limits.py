"""The key pool: limits that are kept to the request, and whatever may happen in whatever order."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.base import (
    KeyRejected,
    ModelRetired,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Unavailable,
)
from providers.meter import GRACE
from providers.pool import KeyPool, Lease, Ring
from tests.fakes import key
from tests.providers.clock import Clock, account_key

ONE, TWO = key("KEY1", "value-1"), key("KEY2", "value-2")


def burst(pool: KeyPool, ring: Ring, most: int = 1000) -> list[Lease]:
    """As many requests as the pool lets out at this moment."""
    leases: list[Lease] = []
    while len(leases) < most and (lease := pool.acquire(ring)):
        leases.append(lease)
    return leases


def test_requests_per_minute_are_kept() -> None:
    """Of a burst each account sends what its minute holds; what was sent counts for a little longer."""
    clock = Clock(1000.0)
    pool, ring = KeyPool(clock=clock), Ring("vendor", "model", (ONE, TWO), requests_per_minute=5)
    first = burst(pool, ring, 4)
    clock.now += 20
    second = burst(pool, ring)
    assert (len(first), len(second)) == (4, 6)
    for lease in (*first, *second):
        lease.release()
    assert pool.acquire(ring) is None
    assert pool.wait_seconds(ring) == 40 + GRACE
    clock.now = 1060 + GRACE - 0.001
    assert pool.acquire(ring) is None
    clock.now = 1060 + GRACE
    assert len(burst(pool, ring)) == 4
    clock.now = 1080 + GRACE
    assert len(burst(pool, ring)) == 6


def test_keys_of_one_account_share_its_limits() -> None:
    """Two keys that the host has labelled as one account send together what one may."""
    keys = (account_key("KEY1", "team"), account_key("KEY2", "team"))
    assert len(burst(KeyPool(clock=Clock(0.0)), Ring("vendor", "model", keys, requests_per_minute=5))) == 5
    assert len(burst(KeyPool(clock=Clock(0.0)), Ring("vendor", "model", keys, max_concurrency=3))) == 3


def test_a_providers_models_share_what_it_does_at_a_time() -> None:
    """A machine with two models is one machine; another provider's, asked with the same key, is another."""
    pool = KeyPool(clock=Clock(0.0))
    rings = [Ring("vendor", model, (ONE, TWO), max_concurrency=2) for model in ("model", "other")]
    (lease, *_) = burst(pool, rings[0])
    assert burst(pool, rings[1]) == []
    assert (pool.is_busy(rings[1], ONE), pool.rest_seconds(rings[1])) == (True, 0)
    lease.release()
    assert len(burst(pool, rings[1])) == 1
    assert len(burst(pool, Ring("elsewhere", "model", (ONE,), max_concurrency=2))) == 2


def test_a_calendar_that_is_set_back_makes_nobody_wait() -> None:
    """What an account sent counts for sixty seconds of the process's own time."""
    calendar, steady = Clock(1e9), Clock(5.0)
    pool, ring = (
        KeyPool(clock=calendar, steady=steady),
        Ring("vendor", "model", (ONE,), requests_per_minute=2),
    )
    burst(pool, ring)
    calendar.now -= 3600
    steady.now += 59
    assert pool.wait_seconds(ring) == 1 + GRACE
    steady.now += 1 + GRACE
    assert len(burst(pool, ring)) == 2


@pytest.mark.parametrize("ended_by", ["release", "fail"])
def test_max_concurrency_is_kept_exactly(ended_by: str) -> None:
    """Each account runs as many requests as it may; each that ends, however, makes room for one."""
    pool, ring = KeyPool(clock=Clock(0.0)), Ring("vendor", "model", (ONE, TWO), max_concurrency=3)
    running = burst(pool, ring)
    assert [lease.key for lease in running].count(ONE) == 3
    assert len(running) == 6
    assert pool.wait_seconds(ring) > 0
    for lease in running[:2]:
        lease.release() if ended_by == "release" else lease.fail(Unavailable())
    assert len(burst(pool, ring)) == 2


def test_a_lease_that_ends_twice_counts_once() -> None:
    """Neither room nor news come of a second end."""
    pool, ring = KeyPool(clock=Clock(0.0)), Ring("vendor", "model", (ONE,), max_concurrency=1)
    (lease,) = burst(pool, ring)
    lease.release()
    lease.release()
    lease.fail(KeyRejected())
    assert len(burst(pool, ring)) == 1


@pytest.mark.parametrize(
    ("end", "room"),
    [
        (Lease.withdraw, 1),
        (lambda lease: lease.fail(Unavailable("no connection")), 1),
        (Lease.release, 0),
        (lambda lease: lease.fail(Unavailable("silent", maybe_billed=True)), 0),
        (lambda lease: lease.fail(Unavailable("overloaded", status=503)), 0),
        (lambda lease: (lease.release(), lease.withdraw()), 0),
    ],
    ids=["withdrawn", "not connected", "answered", "silent", "overloaded", "withdrawn too late"],
)
def test_what_was_never_sent_does_not_fill_the_minute(end: Callable[[Lease], object], room: int) -> None:
    """A request that did not leave, or found no connection, is none for the vendor; every other is one."""
    pool, ring = KeyPool(clock=Clock(1000.0)), Ring("vendor", "model", (ONE,), requests_per_minute=3)
    first, *_ = burst(pool, ring)
    end(first)
    assert len(burst(pool, ring)) == room
    assert pool._running[ring.whole_account(ONE)] == 2 + room


KEYS = (account_key("KEY1", "team"), account_key("KEY2", "team"), ONE, TWO)
ERRORS = st.sampled_from([RateLimited, QuotaExhausted, KeyRejected, ModelRetired, Unavailable])
TIMES = st.sampled_from([None, 1.0, 7.0, 90.0])
STEPS = st.lists(
    st.one_of(
        st.just(("acquire",)),
        st.tuples(st.sampled_from(["confirm", "release", "withdraw"]), st.integers(0, 9)),
        st.tuples(st.just("rest"), st.integers(0, 9), st.sampled_from([2.0, 30.0])),
        st.tuples(st.just("fail"), st.integers(0, 9), ERRORS, TIMES),
        st.tuples(st.just("time"), st.sampled_from([0.0, 0.5, 3.0, 30.0, 100.0])),
    ),
    max_size=60,
)


class Watch:
    """What a vendor would know: who rests until when, who runs, and what each account sent when."""

    def __init__(self) -> None:
        self.rests: dict[str, float] = {}
        self.sent: dict[str, list[tuple[Lease, float]]] = {}
        self.running: list[Lease] = []

    def acquired(self, ring: Ring, lease: Lease, now: float) -> None:
        account = ring.account(lease.key).holder
        self.running.append(lease)
        for who in (account, lease.key.fingerprint, "model"):
            assert self.rests.get(who, 0.0) <= now, "a key was handed out that rests"
        times = self.sent.setdefault(account, [])
        times.append((lease, now))
        assert len([time for _, time in times if time > now - 60]) <= (ring.requests_per_minute or 0)
        running = [one for one in self.running if ring.account(one.key).holder == account]
        assert len(running) <= (ring.max_concurrency or 0)

    def refused(self, ring: Ring, lease: Lease, error: ProviderError, now: float) -> None:
        account = ring.account(lease.key).holder
        if error.kind == "auth":
            self._rest(lease.key.fingerprint, float("inf"))
        elif error.kind == "retired":
            self._rest("model", now + 86400)
        elif error.kind in ("rate", "exhausted"):
            self._rest(account, now + (error.retry_after or 1.0))
        elif error.never_sent:
            self.never_sent(ring, lease)

    def never_sent(self, ring: Ring, lease: Lease) -> None:
        account = ring.account(lease.key).holder
        self.sent[account] = [sent for sent in self.sent[account] if sent[0] is not lease]

    def rested(self, ring: Ring, lease: Lease, until: float) -> None:
        self._rest(ring.account(lease.key).holder, until)

    def _rest(self, who: str, until: float) -> None:
        self.rests[who] = max(until, self.rests.get(who, 0.0))


@settings(max_examples=400, deadline=None)
@given(STEPS)
def test_whatever_happens_no_resting_key_is_handed_out_and_no_limit_is_passed(
    steps: list[tuple[object, ...]],
) -> None:
    """In any order of requests, refusals, rests, ends and time; and nothing is left running at the end."""
    clock, watch = Clock(5000.0), Watch()
    pool = KeyPool(clock=clock)
    ring = Ring("vendor", "model", KEYS, max_concurrency=2, requests_per_minute=6)
    for name, *values in steps:
        if name == "time":
            assert isinstance(values[0], float)
            clock.now += values[0]
        elif name == "acquire":
            free = pool.wait_seconds(ring) == 0
            lease = pool.acquire(ring)
            assert (lease is not None) is free
            if lease:
                watch.acquired(ring, lease, clock.now)
        elif watch.running:
            assert isinstance(values[0], int)
            lease = watch.running[values[0] % len(watch.running)]
            if name == "confirm":
                lease.confirm()
            elif name == "rest":
                assert isinstance(values[1], float)
                lease.rest(values[1])
                watch.rested(ring, lease, clock.now + values[1])
            else:
                watch.running.remove(lease)
                if name == "withdraw":
                    lease.withdraw()
                    watch.never_sent(ring, lease)
                elif name == "fail":
                    error = values[1](retry_after=values[2])  # type: ignore[operator]  # a class of errors
                    lease.fail(error)
                    watch.refused(ring, lease, error, clock.now)
                lease.release()
    for lease in watch.running:
        lease.release()

    assert not any(pool._running.values())
    assert not pool._probed
