"""The breaker: when a provider is left alone, for how long, and who may try it again."""

from __future__ import annotations

import pytest

from providers.breaker import Breaker, BreakerTimes
from providers.healths import Status
from providers.route import State
from providers.router import ChatRouter
from tests.fakes import ScriptedChat, chat_route
from tests.providers.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(BreakerTimes(), clock)


def attempt(breaker: Breaker, *, fails: bool) -> bool:
    """One whole request; whether that opened or closed the breaker."""
    trial = breaker.begin()
    changed = breaker.fail(trial) if fails else breaker.succeed()
    breaker.end(trial)
    return changed


def open_it(breaker: Breaker) -> None:
    assert [attempt(breaker, fails=True) for _ in range(3)] == [False, False, True]


def test_three_failures_in_a_minute_open_it_for_half_a_minute(breaker: Breaker, clock: Clock) -> None:
    """Two change nothing; the third lets the provider rest for 30 seconds."""
    for seconds in (0, 29.5, 30):
        clock.now = 1000 + seconds
        assert breaker.wait_seconds() == 0
        attempt(breaker, fails=True)
    assert breaker.is_open
    assert breaker.wait_seconds() == 30
    clock.now += 30
    assert breaker.wait_seconds() == 0


def test_a_calendar_that_is_set_back_does_not_lengthen_the_rest() -> None:
    """It is timed by the process's own clock; what the host sees of it, by the calendar."""
    calendar, steady = Clock(1e9), Clock(5.0)
    chat = ScriptedChat(name="vendor")
    router = ChatRouter([chat_route(chat)], State(clock=calendar, steady=steady))
    open_it(router.state.breaker("vendor"))
    calendar.now -= 3600
    assert [health.until for _, _, health in router.healths()] == [calendar.now + 30]
    steady.now += 30
    assert router.next_route() is router.routes[0]


def test_after_its_rest_a_provider_is_ready_though_nobody_has_asked_yet(
    breaker: Breaker, clock: Clock
) -> None:
    """A quiet night after an outage is no outage: `/status` and `/readyz` say that it may be asked."""
    router = ChatRouter([chat_route(ScriptedChat(name="vendor"))], State(clock=clock))
    open_it(router.state.breaker("vendor"))
    assert router.next_route() is None
    assert [health.reason for _, _, health in router.healths()] == ["transient"]
    clock.now += 30
    assert router.next_route() is router.routes[0]
    assert [health.status for _, _, health in router.healths()] == [Status.READY]


def test_failures_that_are_far_apart_do_not_open_it(breaker: Breaker, clock: Clock) -> None:
    """Three failures in more than a minute are the vendor's daily life."""
    for _ in range(10):
        assert not attempt(breaker, fails=True)
        clock.now += 30.5
    assert not breaker.is_open


def test_an_answer_between_failures_starts_the_count_anew(breaker: Breaker) -> None:
    """A provider that answers now and then is not left alone."""
    assert [attempt(breaker, fails=fails) for fails in (True, True, False, True, True)] == [False] * 5
    assert breaker.wait_seconds() == 0


def test_while_it_is_open_one_request_at_a_time_tries(breaker: Breaker, clock: Clock) -> None:
    """The others wait as long as the trial is out; one that learns nothing makes room for the next."""
    open_it(breaker)
    clock.now += 30
    trial = breaker.begin()
    assert trial
    assert breaker.wait_seconds() > 0
    breaker.end(trial)
    assert breaker.wait_seconds() == 0


def test_a_trial_that_fails_doubles_the_rest_up_to_five_minutes(breaker: Breaker, clock: Clock) -> None:
    """30, 60, 120, 240, 300, 300 seconds; the host is told of the first alone."""
    open_it(breaker)
    rests = [breaker.wait_seconds()]
    for _ in range(5):
        clock.now += rests[-1]
        assert not attempt(breaker, fails=True)
        rests.append(breaker.wait_seconds())
    assert rests == [30, 60, 120, 240, 300, 300]


def test_a_trial_that_succeeds_closes_it_and_forgets(breaker: Breaker, clock: Clock) -> None:
    """Everyone may ask again, and the next outage begins with the shortest rest."""
    open_it(breaker)
    clock.now += 30
    attempt(breaker, fails=True)
    clock.now += 60
    assert attempt(breaker, fails=False)
    assert not breaker.is_open
    assert not attempt(breaker, fails=False)
    open_it(breaker)
    assert breaker.wait_seconds() == 30


def test_a_burst_that_fails_together_is_one_outage(breaker: Breaker) -> None:
    """Requests that were on their way when it opened say nothing new: the rest stays what it was."""
    burst = [breaker.begin() for _ in range(50)]
    opened = [breaker.fail(trial) for trial in burst]
    for trial in burst:
        breaker.end(trial)
    assert opened.count(True) == 1
    assert breaker.wait_seconds() == 30


def test_an_older_request_does_not_end_the_trial(breaker: Breaker, clock: Clock) -> None:
    """A request from before the outage that ends now leaves the one trial the only one."""
    older = breaker.begin()
    open_it(breaker)
    clock.now += 30
    trial = breaker.begin()
    breaker.fail(older)
    breaker.end(older)
    assert 0 < breaker.wait_seconds() <= 1
    breaker.end(trial)
    assert breaker.wait_seconds() == 0


def test_an_answer_to_an_older_request_closes_it(breaker: Breaker) -> None:
    """Whoever hears from the provider has proof that it is there."""
    breaker.begin()
    open_it(breaker)
    assert breaker.succeed()
    assert breaker.wait_seconds() == 0
