"""The key pool: whom it hands out, and what each refusal does to whom for how long."""

from __future__ import annotations

import asyncio

import pytest

from providers.base import (
    NO_KEY,
    BadRequest,
    ContentRefused,
    Key,
    KeyRejected,
    ModelRetired,
    NotEntitled,
    PromptTooLong,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Unavailable,
)
from providers.healths import DAY, NEVER, Health, Holder, Status
from providers.pool import KeyPool, Lease, Ring
from tests.fakes import key
from tests.providers.clock import Clock, KeptHealths, account_key

ONE, TWO, THREE = (key(f"KEY{number}", f"value-{number}") for number in (1, 2, 3))
MORNING = 20_000 * DAY + 6 * 3600  # six in the morning, UTC


def ring(*keys: Key, model: str = "model", **limits: int) -> Ring:
    return Ring("vendor", model, keys or (ONE, TWO, THREE), **limits)


@pytest.fixture
def clock() -> Clock:
    return Clock(MORNING)


@pytest.fixture
def pool(clock: Clock) -> KeyPool:
    return KeyPool(clock=clock)


def take(pool: KeyPool, ring: Ring) -> Lease:
    lease = pool.acquire(ring)
    assert lease is not None
    return lease


def ask(pool: KeyPool, ring: Ring, clock: Clock, error: ProviderError | None = None) -> str:
    """One whole request with the key that is due, and a second of time; the key's variable."""
    lease = take(pool, ring)
    clock.now += 1
    if error is None:
        lease.confirm()
        lease.release()
    else:
        lease.fail(error)
    return lease.key.variable


# ---- Order -----------------------------------------------------------------------------------------


def test_the_key_used_least_recently_comes_first(pool: KeyPool, clock: Clock) -> None:
    """Keys take turns, whether their requests have ended or not."""
    assert [ask(pool, ring(), clock) for _ in range(4)] == ["KEY1", "KEY2", "KEY3", "KEY1"]
    running = []
    for _ in range(3):
        running.append(take(pool, ring()).key.variable)
        clock.now += 1
    assert running == ["KEY2", "KEY3", "KEY1"]


def test_a_wanted_key_is_the_only_one_handed_out(pool: KeyPool, clock: Clock) -> None:
    """Who wants this very key gets it or nothing."""
    lease = pool.acquire(ring(), only=TWO)
    assert lease is not None
    assert lease.key is TWO
    lease.fail(RateLimited())
    assert pool.acquire(ring(), only=TWO) is None


def test_keys_of_one_account_rest_together(pool: KeyPool, clock: Clock) -> None:
    """What the vendor refused one key of an account for a while, it is not asked with its others."""
    shared = ring(account_key("KEY1", "team"), account_key("KEY2", "team"), THREE)
    assert ask(pool, shared, clock, RateLimited(retry_after=30)) == "KEY1"
    assert [ask(pool, shared, clock) for _ in range(2)] == ["KEY3", "KEY3"]
    assert pool.worst(shared, shared.keys[1]).reason == "rate"


def test_a_refused_key_leaves_its_account_alone(pool: KeyPool, clock: Clock) -> None:
    """The account's other key is well, and is asked for it."""
    shared = ring(account_key("KEY1", "team"), account_key("KEY2", "team"))
    assert ask(pool, shared, clock, KeyRejected()) == "KEY1"
    assert [ask(pool, shared, clock) for _ in range(2)] == ["KEY2", "KEY2"]


# ---- What each refusal does ------------------------------------------------------------------------

SAME_KEY_SAME_MODEL, SAME_KEY_OTHER_MODEL, OTHER_KEY_SAME_MODEL = range(3)


@pytest.mark.parametrize(
    ("error", "status", "seconds", "who_rests"),
    [
        (KeyRejected(), Status.DEAD, NEVER, (True, True, False)),
        (NotEntitled(), Status.SPENT, DAY, (True, False, False)),
        (QuotaExhausted(), Status.SPENT, 6 * 3600, (True, False, False)),
        (QuotaExhausted(retry_after=500), Status.SPENT, 500, (True, False, False)),
        (QuotaExhausted(retry_after=3 * DAY), Status.SPENT, 3 * DAY, (True, False, False)),
        (RateLimited(), Status.RESTING, 5, (True, False, False)),
        (RateLimited(retry_after=0), Status.RESTING, 5, (True, False, False)),
        (RateLimited(retry_after=0.25), Status.RESTING, 0.25, (True, False, False)),
        (RateLimited(retry_after=100), Status.RESTING, 100, (True, False, False)),
        (ModelRetired(), Status.SPENT, DAY, (True, False, True)),
    ],
)
def test_a_refusal_rests_whom_it_speaks_of(
    pool: KeyPool,
    clock: Clock,
    error: ProviderError,
    status: Status,
    seconds: float,
    who_rests: tuple[bool, bool, bool],
) -> None:
    """A key, an account with a model, or a model: it rests to the very end of its time and no longer."""
    lone, other_model, other_key = ring(ONE), ring(ONE, model="other"), ring(TWO)
    take(pool, lone).fail(error)

    health = pool.worst(lone, ONE)
    assert (health.status, health.until, health.reason) == (status, clock.now + seconds, error.kind)
    assert tuple(pool.acquire(r) is None for r in (lone, other_model, other_key)) == who_rests
    assert pool.wait_seconds(lone) == seconds
    if seconds < NEVER:
        clock.now += seconds * 0.999
        assert pool.acquire(lone) is None
        clock.now = MORNING + seconds
        assert pool.acquire(lone) is not None
    else:
        clock.now += 1000 * DAY
        assert pool.acquire(lone) is None


def test_without_a_time_a_spent_account_is_asked_after_midnight(pool: KeyPool, clock: Clock) -> None:
    """Vendors' days end at UTC midnight: a little after it the account is tried again."""
    clock.now = midnight = MORNING + 18 * 3600
    clock.now -= 600
    take(pool, ring(ONE)).fail(QuotaExhausted())
    assert midnight < pool.worst(ring(ONE), ONE).until <= midnight + 30


@pytest.mark.parametrize("kind", [Unavailable, BadRequest, ContentRefused, PromptTooLong])
def test_what_says_nothing_of_the_key_rests_nobody(pool: KeyPool, kind: type[ProviderError]) -> None:
    """An outage, or a request that the vendor did not like, is no reason to leave the key out."""
    take(pool, ring(ONE)).fail(kind(retry_after=50))
    assert pool.acquire(ring(ONE)) is not None


def test_refusals_in_a_row_double_the_rest_up_to_a_minute(pool: KeyPool, clock: Clock) -> None:
    """5, 10, 20, 40, 60, 60 seconds; an answer ends the row."""
    rests = []
    for _ in range(6):
        take(pool, ring(ONE)).fail(RateLimited())
        rests.append(pool.wait_seconds(ring(ONE)))
        clock.now += rests[-1]
    assert rests == [5, 10, 20, 40, 60, 60]

    ask(pool, ring(ONE), clock)
    take(pool, ring(ONE)).fail(RateLimited())
    assert pool.wait_seconds(ring(ONE)) == 5


def test_requests_on_their_way_together_are_one_strike(pool: KeyPool, clock: Clock) -> None:
    """Five refusals of one burst rest the account as one does."""
    burst = [take(pool, ring(ONE)) for _ in range(5)]
    for lease in burst:
        lease.fail(RateLimited())
    assert pool.wait_seconds(ring(ONE)) == 5


@pytest.mark.parametrize("kind", [RateLimited, QuotaExhausted])
def test_of_several_refusals_the_longest_rest_counts(pool: KeyPool, kind: type[ProviderError]) -> None:
    """The order in which the refusals of a burst come back makes no difference."""
    burst = [take(pool, ring(ONE)) for _ in range(3)]
    for lease, seconds in zip(burst, (20, 300, 7), strict=True):
        lease.fail(kind(retry_after=seconds))
    assert pool.wait_seconds(ring(ONE)) == 300


def test_another_value_of_the_setting_is_another_key(pool: KeyPool, clock: Clock) -> None:
    """A dead key stays dead under any name; with a new value the setting is asked again."""
    take(pool, ring(ONE)).fail(KeyRejected())
    assert pool.acquire(ring(key("RENAMED", "value-1"))) is None
    assert pool.acquire(ring(key("KEY1", "a new value"))) is not None


# ---- Being well again ------------------------------------------------------------------------------


def test_one_request_asks_whether_a_rested_account_is_well(pool: KeyPool, clock: Clock) -> None:
    """The others wait for what it learns, and its first text frees them all."""
    take(pool, ring(ONE)).fail(RateLimited(retry_after=10))
    clock.now += 10
    probe = take(pool, ring(ONE))
    assert pool.acquire(ring(ONE)) is None
    assert pool.wait_seconds(ring(ONE)) > 0
    clock.now += 3600
    assert pool.acquire(ring(ONE)) is None

    probe.confirm()
    assert pool.wait_seconds(ring(ONE)) == 0
    assert all(pool.acquire(ring(ONE)) for _ in range(5))


@pytest.mark.parametrize("error", [None, Unavailable(), BadRequest()], ids=["cut off", "outage", "mistake"])
def test_a_probe_that_learns_nothing_leaves_it_to_the_next(
    pool: KeyPool, clock: Clock, error: ProviderError | None
) -> None:
    """One that is cut off, or fails for another reason, is followed by another single probe."""
    take(pool, ring(ONE)).fail(RateLimited(retry_after=10))
    clock.now += 10
    probe = take(pool, ring(ONE))
    probe.fail(error) if error else probe.release()

    assert take(pool, ring(ONE))
    assert pool.acquire(ring(ONE)) is None


def test_an_answer_to_an_older_request_does_not_end_a_rest(pool: KeyPool, clock: Clock) -> None:
    """It was sent before the refusal, so it says nothing of what came after."""
    older, refused = take(pool, ring(ONE)), take(pool, ring(ONE))
    refused.fail(RateLimited(retry_after=10))
    older.confirm()
    older.release()
    assert pool.wait_seconds(ring(ONE)) == 10


def test_a_probe_does_not_end_a_rest_that_began_after_it(pool: KeyPool, clock: Clock) -> None:
    """An older request is refused while the probe is out: that rest is kept, whatever the probe hears."""
    slow = take(pool, ring(ONE))
    take(pool, ring(ONE)).fail(RateLimited(retry_after=10))
    clock.now += 10
    probe = take(pool, ring(ONE))
    slow.fail(RateLimited(retry_after=40))
    probe.confirm()
    probe.release()
    assert pool.wait_seconds(ring(ONE)) == 40


@pytest.mark.parametrize(("seconds", "status"), [(50, Status.RESTING), (7200, Status.SPENT)])
@pytest.mark.parametrize("probing", [False, True])
def test_a_rest_told_along_with_an_answer_is_kept(
    pool: KeyPool, clock: Clock, seconds: float, status: Status, probing: bool
) -> None:
    """The answer counts and the account rests, also when the same request was asking whether it is well."""
    if probing:
        take(pool, ring(ONE)).fail(RateLimited(retry_after=10))
        clock.now += 10
    lease = take(pool, ring(ONE))
    lease.rest(seconds)
    lease.rest(1)
    lease.confirm()
    lease.release()

    assert pool.worst(ring(ONE), ONE).status is status
    assert pool.wait_seconds(ring(ONE)) == seconds


async def test_who_waits_is_woken_by_any_change(pool: KeyPool) -> None:
    """A request that ends, or a key that is well again, wakes everyone who waits; else the time does."""
    lease = take(pool, ring(ONE))
    waiting = [asyncio.create_task(pool.wait(60)) for _ in range(3)]
    await asyncio.sleep(0)
    lease.release()
    await asyncio.wait_for(asyncio.gather(*waiting), 1)
    await asyncio.wait_for(pool.wait(0.01), 1)


# ---- What the host may have mended -----------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [KeyRejected(), NotEntitled(), ModelRetired(), QuotaExhausted()], ids=lambda error: error.kind
)
def test_what_was_refused_is_tried_again_when_the_settings_are_read(
    pool: KeyPool, clock: Clock, error: ProviderError
) -> None:
    """One request asks; refused again it is left out as before, and answered it is well."""
    take(pool, ring(ONE)).fail(error)
    refused_for = pool.wait_seconds(ring(ONE))
    for _ in range(2):
        clock.now += 1
        pool.try_again()
        probe = take(pool, ring(ONE))
        assert pool.acquire(ring(ONE)) is None
        probe.fail(error)
        assert pool.wait_seconds(ring(ONE)) == refused_for

    pool.try_again()
    probe = take(pool, ring(ONE))
    probe.confirm()
    assert pool.acquire(ring(ONE)) is not None


@pytest.mark.parametrize(
    "error", [RateLimited(), RateLimited(retry_after=90), QuotaExhausted(retry_after=500)]
)
def test_who_rests_or_was_told_how_long_is_not_tried_sooner(pool: KeyPool, error: ProviderError) -> None:
    """Reading the settings changes nothing of a minute that is full, nor of a time that the vendor named."""
    take(pool, ring(ONE)).fail(error)
    rest = pool.wait_seconds(ring(ONE))
    pool.try_again()
    assert pool.wait_seconds(ring(ONE)) == rest


def test_a_server_that_needs_no_key_is_never_given_up(pool: KeyPool, clock: Clock) -> None:
    """It has no value that could be changed: one 401 rests it for ten minutes."""
    take(pool, ring(NO_KEY)).fail(KeyRejected())
    assert pool.wait_seconds(ring(NO_KEY)) == 600
    clock.now += 600
    assert pool.acquire(ring(NO_KEY)) is not None


# ---- Memory ----------------------------------------------------------------------------------------


async def test_only_what_changed_is_saved(clock: Clock) -> None:
    """Each change is given to the store once; a store that fails gets it again the next time."""
    store = KeptHealths()
    pool = KeyPool(store, clock)
    await pool.save()
    take(pool, ring()).fail(KeyRejected())
    store.broken = True
    await pool.save()
    store.broken = False
    await pool.save()
    await pool.save()

    dead = {Holder("vendor", ONE.fingerprint, ""): Health(Status.DEAD, NEVER, "auth")}
    assert store.saved == [dead]
    reopened = KeyPool(store, clock)
    await reopened.load()
    assert reopened.worst(ring(), ONE) == next(iter(dead.values()))
