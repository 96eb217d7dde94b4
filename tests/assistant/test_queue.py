"""Who is answered when: one answer for each member, a few for each channel, the rest in order of arrival."""

import asyncio
from collections import Counter
from contextlib import ExitStack, suppress

import hypothesis
import pytest
from hypothesis import strategies as st

from assistant import Conversation, StopSignal
from assistant.ask import STOPPED
from assistant.queue import (
    MOST_IN_CHANNEL,
    MOST_OF_MEMBER,
    TOO_LONG,
    TOO_MANY_HERE,
    TOO_MANY_OF_YOURS,
    Place,
    Queue,
)
from assistant.values import (
    LONGEST_WAIT_SECONDS,
    Answer,
    Delta,
    Question,
    Refusal,
    Refused,
    Waiting,
)
from cogs.stopping import RESERVE_SECONDS
from cogs.surfaces import INTERACTION_SECONDS
from db.engine import Database
from providers.base import Unavailable
from tests.assistant.scene import SYSTEM, GatedChat, Scene, origin
from tests.fakes import ScriptedChat, answer


async def test_a_member_has_one_answer_at_a_time(database: Database) -> None:
    """A member's second question waits for the first one's answer, in whatever channel, and sees it."""
    chat = GatedChat(answer("one"), answer("two"))
    scene = Scene(database, [chat])
    first = asyncio.create_task(scene.ask(1, "first"))
    await chat.asked.wait()
    second = asyncio.create_task(scene.ask(2, "second"))
    elsewhere = asyncio.create_task(scene.ask(3, "third", channel_id=21))
    await asyncio.sleep(0.05)
    assert chat.arrived == 1
    chat.gate.set()
    await first

    assert (await second)[0] == Waiting(1)
    assert (await elsewhere)[0] == Waiting(1)
    heard = [call[0].messages for call in chat.calls]
    assert [message.content for message in heard[1]] == [SYSTEM.content, "first", "one", "second"]
    assert [message.content for message in heard[2]] == [SYSTEM.content, "third"]


async def test_a_channel_has_a_few_answers_at_a_time(database: Database) -> None:
    """The rest wait in order of arrival, and see each place that they come to; other channels do not wait."""
    chat = GatedChat()
    scene = Scene(database, [chat], conversation=Conversation("", 0, answers_per_channel=2))
    asking = [asyncio.create_task(scene.ask(number, user_id=number)) for number in range(1, 6)]
    await chat.until_arrived(2)
    other = asyncio.create_task(scene.ask(9, user_id=9, channel_id=21))
    await chat.until_arrived(3)
    chat.gate.set()
    everything = await asyncio.gather(*asking)
    await other

    places = [[event.place for event in events if isinstance(event, Waiting)] for events in everything]
    assert places[0] == places[1] == []
    assert [seen[0] for seen in places[2:]] == [1, 2, 3]
    assert all(seen == sorted(seen, reverse=True) and len(seen) == len(set(seen)) for seen in places)
    assert [question for question, _ in await scene.turns()] == ["a question"] * 5
    assert all(isinstance(events[-1], Answer) for events in everything)


async def test_who_waits_for_themselves_blocks_nobody(database: Database) -> None:
    """A member whose own answer is being written lets those behind go first."""
    chat = GatedChat()
    scene = Scene(database, [chat], conversation=Conversation("", 0, answers_per_channel=2))
    first = asyncio.create_task(scene.ask(1, user_id=30))
    await chat.asked.wait()
    own = asyncio.create_task(scene.ask(2, user_id=30))
    await asyncio.sleep(0.02)
    behind = asyncio.create_task(scene.ask(3, user_id=31))
    await chat.until_arrived(2)

    assert not own.done()
    chat.gate.set()
    assert (await behind)[0] == Delta("an answer")
    assert (await own)[0] == Waiting(1)
    await first


async def test_full_queues_refuse_with_what_to_do() -> None:
    """Beyond 5 waiting questions of a member, and 200 in a channel, the next is refused at once."""
    queue = Queue(1)
    with ExitStack() as stack:
        for _ in range(1 + MOST_OF_MEMBER):
            stack.enter_context(queue.place(20, 30))
        with pytest.raises(Refused, match=TOO_MANY_OF_YOURS), queue.place(21, 30):
            pass
        for member in range(MOST_IN_CHANNEL - MOST_OF_MEMBER):
            stack.enter_context(queue.place(20, 100 + member))
        with pytest.raises(Refused, match=TOO_MANY_HERE), queue.place(20, 99):
            pass
        with queue.place(21, 99) as place:
            assert place.number == 0
    with queue.place(20, 30) as place:
        assert place.number == 0


async def test_nobody_waits_for_ever() -> None:
    """Whose turn does not come in time is refused, and no longer stands in the others' way."""
    queue = Queue(1)
    with queue.place(20, 30), queue.place(20, 31, 0.05) as late, queue.place(20, 32) as behind:
        assert [await late.next_number(), await behind.next_number()] == [1, 2]
        with pytest.raises(Refused, match=TOO_LONG.format(0)):
            await late.next_number()


def test_whoever_waits_does_so_while_there_is_time_for_an_answer() -> None:
    """Of an interaction's 15 minutes most may be waited for, and some are left for writing."""
    left = INTERACTION_SECONDS - RESERVE_SECONDS - LONGEST_WAIT_SECONDS
    assert 180 <= left < LONGEST_WAIT_SECONDS


async def test_a_turn_that_comes_at_the_last_moment_has_come() -> None:
    """Who is called in the very moment in which the wait would have ended is answered."""
    loop = asyncio.get_running_loop()
    place = Place(1, 20, 30, 0.0)
    place.move(1)
    assert await place.next_number() == 1
    loop.call_soon(place.move, 0)

    assert await place.next_number() == 0


async def test_refused_questions_are_not_booked(database: Database) -> None:
    """A question that finds no place, or is stopped while it waits, leaves nothing in the books."""
    chat = GatedChat()
    scene = Scene(database, [chat])
    running = [asyncio.create_task(scene.ask(number)) for number in range(1 + MOST_OF_MEMBER)]
    await chat.until_arrived(1)
    assert await scene.ask(50) == [Refusal(TOO_MANY_OF_YOURS)]
    running[-1].cancel()
    await asyncio.wait([running[-1]])
    stop = StopSignal()
    stopped = asyncio.create_task(scene.put(Question(origin(51), "never mind"), stop))
    await asyncio.sleep(0.01)
    stop.stop()

    assert await stopped == [Waiting(MOST_OF_MEMBER), Refusal(STOPPED)]
    assert await scene.outcomes() == {0: "open"}
    chat.gate.set()
    await asyncio.wait(running)
    assert len(await scene.attempts()) == MOST_OF_MEMBER


async def test_an_interaction_that_comes_twice_waits_once(database: Database) -> None:
    """The second arrival of a question that waits gets nothing, and takes no place."""
    chat = GatedChat()
    scene = Scene(database, [chat])
    running = [asyncio.create_task(scene.ask(number)) for number in (1, 2)]
    await chat.until_arrived(1)
    assert await scene.ask(2) == []
    chat.gate.set()
    await asyncio.wait(running)

    assert await scene.ask(2) == []
    assert len(chat.calls) == 2


async def test_cooldown(database: Database) -> None:
    """Between two questions a member waits; others do not, and what was refused does not count."""
    chat = ScriptedChat([Unavailable("no")], [Unavailable("no")], answer("yes"))
    scene = Scene(database, [chat], conversation=Conversation("", 0, cooldown_seconds=0.3))

    assert isinstance((await scene.ask(1))[-1], Refusal)  # the vendor is down
    assert isinstance((await scene.ask(2))[-1], Answer)
    assert await scene.ask(3) == [Refusal("Please wait 1 second.")]
    assert isinstance((await scene.ask(4, user_id=31))[-1], Answer)
    await asyncio.sleep(0.3)
    assert isinstance((await scene.ask(3))[-1], Answer)


# ---- Any order of arrivals and departures ----------------------------------------------------------


CHANNELS, MEMBERS = 3, 4
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.integers(0, CHANNELS - 1), st.integers(0, MEMBERS - 1)),
        st.tuples(st.just("go"), st.integers(0, 30), st.just(0)),
    ),
    max_size=60,
)


def check(present: list[Place], per_channel: int) -> None:
    """Nobody has more than allowed or waits without need, and places are 1, 2, ... in order of arrival."""
    answered = [place for place in present if place.number == 0]
    in_channel = Counter(place.channel_id for place in answered)
    members = Counter(place.user_id for place in answered)
    assert max(in_channel.values(), default=0) <= per_channel
    assert max(members.values(), default=0) <= 1
    for channel in range(CHANNELS):
        waiting = [place for place in present if place.channel_id == channel and place.number]
        assert [place.number for place in waiting] == list(range(1, len(waiting) + 1))
        assert all(in_channel[channel] == per_channel or place.user_id in members for place in waiting)


@hypothesis.settings(database=None, deadline=None)
@hypothesis.given(STEPS, st.integers(1, 2))
def test_any_order_of_arrivals_and_departures(steps: list[tuple[str, int, int]], per_channel: int) -> None:
    """Whoever comes and goes, waiting or answered: all limits are kept, and no place is left empty."""

    async def play() -> None:
        queue = Queue(per_channel)
        present: list[tuple[Place, ExitStack]] = []
        for kind, one, two in steps:
            if kind == "come":
                stack = ExitStack()
                with suppress(Refused):
                    present.append((stack.enter_context(queue.place(one, two)), stack))
            elif present:
                present.pop(one % len(present))[1].close()
            check([place for place, _ in present], per_channel)
        while present:
            present.pop(0)[1].close()
            check([place for place, _ in present], per_channel)
        assert not any((queue._answered, queue._answered_in, queue._waiting_in, queue._waiting_of))

    asyncio.run(play())
