"""The meter: when an account's minute has room, and what refusals show of its vendor's limit."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.meter import FIRST_BELIEF, GRACE, LONGEST_BELIEF, MINUTE, ROUNDING, Meter


def after(*sent: float) -> Meter:
    """A meter of an account that has sent requests at these moments."""
    return Meter(sent=deque(sent), last_used=sent[-1])


def refuse(meter: Meter, at: float, retry_after: float | None = None) -> bool:
    """One more request, sent and refused at this moment."""
    meter.sent.append(at)
    meter.last_used = at
    return meter.refused(at, retry_after, at)


# ---- Room ------------------------------------------------------------------------------------------


def test_the_minute_has_room_for_what_is_allowed() -> None:
    """With fewer requests there is room now; with as many, when the first is a minute and a little old."""
    assert after(100, 110).free_at(3, 115) == 115
    assert after(100, 110, 114).free_at(3, 115) == 160 + GRACE
    assert after(90, 100, 110, 114).free_at(3, 115) == 160 + GRACE


def test_without_a_limit_there_is_always_room() -> None:
    """Where neither the host nor a refusal has named a number, nothing is waited for."""
    assert after(*range(100, 160)).free_at(None, 160) == 160


def test_requests_leave_the_minute() -> None:
    """What is older than a minute and a little counts no more, and is forgotten."""
    meter = after(100, 130)
    assert meter.free_at(1, 130) == 190 + GRACE
    assert meter.free_at(2, 100 + MINUTE) == 160 + GRACE
    meter.free_at(None, 100 + MINUTE + GRACE)
    assert list(meter.sent) == [130]


def test_what_was_never_sent_leaves_its_place() -> None:
    """Of two requests at one moment one goes; one whose minute has passed makes no difference."""
    meter = after(100, 110, 110)
    meter.withdraw(110)
    assert list(meter.sent) == [100, 110]
    meter.withdraw(40)
    assert list(meter.sent) == [100, 110]
    assert meter.free_at(2, 115) == 160 + GRACE
    assert meter.free_at(3, 115) == 115


# ---- What refusals show ----------------------------------------------------------------------------

TEN = tuple(float(second) for second in range(100, 110))


@pytest.mark.parametrize("seconds", [50 - ROUNDING, 50, 50 + ROUNDING])
def test_a_wait_until_the_oldest_request_leaves_shows_a_full_minute(seconds: float) -> None:
    """The vendor asks to wait for just as long as the minute is full: it allows what was in it."""
    meter = after(*TEN)

    assert refuse(meter, 110, seconds)

    assert meter.limit == 10
    assert list(meter.sent) == list(TEN)  # the refused one was not counted by the vendor
    assert meter.free_at(None, 111) == 100 + MINUTE + GRACE


@pytest.mark.parametrize("seconds", [50 - ROUNDING - 0.1, 50 + ROUNDING + 0.1, 5, 600])
def test_any_other_wait_shows_no_full_minute(seconds: float) -> None:
    """The vendor is busy, or counts in another way; from there on one request a second tries for more."""
    meter = after(*TEN)

    assert not refuse(meter, 110, seconds)

    assert meter.free_at(None, 110.4) == 111
    assert meter.free_at(None, 111.4) == 111.4


def test_without_a_time_the_same_number_twice_shows_a_full_minute() -> None:
    """The first refusal may be chance; when it happens again at that number, the number is the limit."""
    meter = after(*TEN)
    assert not refuse(meter, 110)
    assert refuse(meter, 112)
    assert meter.limit == 10
    assert meter.free_at(None, 113) == 100 + MINUTE + GRACE


def test_a_refusal_of_the_only_request_shows_nothing() -> None:
    """With nothing before it there is no number to learn; nor is one a number to believe in."""
    alone, second = Meter(), after(100)
    assert not refuse(alone, 100, 60)
    assert alone.limit == 0
    assert not refuse(second, 101, 59)
    assert second.free_at(None, 103) == 103


def test_requests_of_another_minute_show_nothing() -> None:
    """Only what was sent in the minute before the refused request can have filled it."""
    meter = after(10, 20, *TEN)
    meter.sent.append(115)  # and this one was sent after it
    assert meter.refused(109, None, 116) is False
    assert meter.limit == 9


def test_a_belief_is_doubled_each_time_it_proves_true() -> None:
    """Two minutes, four, eight, ... to an hour; within that time further refusals prove nothing new."""
    meter, now, beliefs = Meter(), 1000.0, []
    for _ in range(7):
        meter.sent.extend((now, now + 1, now + 2))
        assert refuse(meter, now + 3, 57)
        beliefs.append(meter.believed_until - (now + 3))
        assert refuse(meter, now + 4, 56)
        assert meter.believed_until == now + 3 + beliefs[-1]
        now = meter.believed_until + MINUTE
        meter.free_at(None, now)

    assert beliefs == [min(LONGEST_BELIEF, FIRST_BELIEF * 2**proofs) for proofs in range(7)]
    assert beliefs[-1] == LONGEST_BELIEF


def test_a_refusal_at_a_lower_number_lowers_the_limit() -> None:
    """And takes the belief in the higher one away; one at a higher number raises nothing."""
    meter = after(*TEN)
    refuse(meter, 110, 50)
    meter.sent = deque(TEN[:4])
    assert not refuse(meter, 111, 300)
    assert (meter.limit, meter.believed_until, meter.proofs) == (4, 0.0, 0)
    meter.sent = deque(TEN)
    assert not refuse(meter, 112, 300)
    assert meter.limit == 4


def test_an_answer_beyond_the_limit_ends_it() -> None:
    """What the limit would have forbidden was allowed, so it is none; an answer within it proves nothing."""
    meter = after(*TEN)
    refuse(meter, 110, 50)
    meter.served(109)
    assert meter.limit == 10

    meter.sent.append(120)
    meter.served(120)

    assert (meter.limit, meter.believed_until, meter.proofs) == (0, 0.0, 0)
    assert meter.free_at(None, 121) == 121


@settings(deadline=None)
@given(
    gaps=st.lists(st.integers(0, 320).map(lambda eighths: eighths / 8), min_size=1, max_size=60),
    allowed=st.integers(1, 8),
)
def test_who_waits_until_there_is_room_never_sends_too_much(gaps: list[float], allowed: int) -> None:
    """However requests arrive, no minute holds more of them than are allowed."""
    meter, now, sent = Meter(), 1000.0, []
    for gap in gaps:
        now = max(now + gap, meter.free_at(allowed, now + gap))
        meter.sent.append(now)
        sent.append(now)

    for moment in sent:
        assert sum(moment - MINUTE < other <= moment for other in sent) <= allowed
