"""The history and the books under any order of questions, new answers, more of them, and forgetting."""

import asyncio
from contextlib import aclosing

import hypothesis
from hypothesis import strategies as st

from assistant import Assistant, Conversation, Limits, StopSignal
from assistant.values import AboutTurn, Again, Answer, Delta, More, Question
from db.engine import open_database
from db.history import ConversationKey, read_turns
from db.verify import find_discrepancies
from providers.base import Completion, FinishReason, Unavailable, Usage
from providers.router import ChatRouter, ImageRouter
from tests.assistant.scene import origin
from tests.fakes import ScriptedChat, Step, chat_route
from tests.postgresql import MakeDatabase

MEMBERS = (30, 31)
CHANNELS = (20, 21)
ENDS: tuple[FinishReason | None, ...] = ("stop", "length", None)  # None: it breaks off

# What is done, by whom, where, to which of the turns that are kept, how its answer ends, and whether it is
# stopped after the first piece.
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(("ask", "ask privately", "again", "more", "forget", "forget member")),
        st.sampled_from(MEMBERS),
        st.sampled_from(CHANNELS),
        st.integers(0, 5),
        st.sampled_from(ENDS),
        st.booleans(),
    ),
    max_size=25,
)
Action = tuple[str, int, int, int, FinishReason | None, bool]
# Of each conversation: turn, who asked, the question, the answer.
Expected = dict[ConversationKey, dict[int, tuple[int, str, str]]]


class Player:
    """Does one thing after the other, and keeps beside it what the history must then be."""

    def __init__(self, assistant: Assistant, chat: ScriptedChat) -> None:
        self.assistant = assistant
        self.chat = chat
        self.number = 0
        self.expected: Expected = {}
        self.ends: dict[int, str] = {}

    async def ask(self, question: Question | AboutTurn, stopped: bool) -> Answer | None:
        stop = StopSignal()
        end = None
        async with aclosing(self.assistant.ask(question, stop)) as events:
            async for event in events:
                end = event
                if isinstance(event, Delta) and stopped:
                    stop.stop()
        return end if isinstance(end, Answer) else None

    async def do(self, action: Action) -> None:
        kind, member, channel, which, finish, stopped = action
        self.number += 1
        here = origin(self.number, channel_id=channel, user_id=member)
        if kind == "forget":
            gone = self.expected.pop(ConversationKey(channel), {})
            assert await self.assistant.forget(channel) == len(gone)
            return
        if kind == "forget member":
            forgotten = await self.assistant.forget_member(member)
            theirs = [
                (key, turn)
                for key, turns in self.expected.items()
                for turn, (asker, _, _) in turns.items()
                if asker == member
            ]
            for key, turn in theirs:
                del self.expected[key][turn]
            channels = {key.channel_id for key, _ in theirs}
            assert (forgotten.turns, forgotten.channels) == (len(theirs), len(channels))
            return
        pieces: list[Step] = [f"{self.number}a ", f"{self.number}b "]
        end: Step = Unavailable("broken")
        if finish:
            end = Completion(f"{self.number}a {self.number}b ", Usage(10, 5), finish, "scripted-model")
        self.chat.scripts.append([*pieces, end])
        if kind.startswith("ask"):
            key = ConversationKey(channel, member if kind == "ask privately" else 0)
            prompt = f"question {self.number}"
            answer = await self.ask(Question(here, prompt, key.private_to != 0), stopped)
            assert answer is not None
            assert answer.turn_id is not None
            self.expected.setdefault(key, {})[answer.turn_id] = (member, prompt, answer.text)
            self.ends[answer.turn_id] = answer.finish_reason
            return
        kept = [
            (key, turn) for key, turns in self.expected.items() if key.channel_id == channel for turn in turns
        ]
        key, turn = kept[which % len(kept)] if kept else (ConversationKey(channel), 10**6)
        request = More(here, turn) if kind == "more" else Again(here, turn)
        calls = len(self.chat.calls)
        answer = await self.ask(request, stopped)
        asker, prompt, old = self.expected.get(key, {}).get(turn, (0, "", ""))
        allowed = asker == member and (kind == "again" or self.ends[turn] != "stop")
        assert (answer is not None) == allowed
        assert len(self.chat.calls) == calls + allowed
        if answer is None:
            self.chat.scripts.clear()  # nobody has taken it
            return
        assert answer.turn_id == turn
        text = old + answer.text if kind == "more" else answer.text
        self.expected[key][turn] = (asker, prompt, text)
        self.ends[turn] = answer.finish_reason


async def play(actions: list[Action], address: str) -> None:
    async with open_database(address) as database:
        chat = ScriptedChat()
        router = ChatRouter([chat_route(chat)])
        player = Player(Assistant(database, router, ImageRouter([]), Conversation("", 500), Limits()), chat)
        for action in actions:
            await player.do(action)
        async with database.transaction() as connection:
            assert await find_discrepancies(connection) == []
            for channel in CHANNELS:
                for member in (0, *MEMBERS):
                    key = ConversationKey(channel, member)
                    turns = await read_turns(connection, key)
                    assert [
                        (turn.turn_id, (turn.user_id, turn.question, turn.answer)) for turn in turns
                    ] == sorted(player.expected.get(key, {}).items())


@hypothesis.settings(deadline=None, max_examples=40, database=None)
@hypothesis.given(actions=ACTIONS)
def test_any_order_leaves_whole_turns_and_true_books(
    new_databases: MakeDatabase, actions: list[Action]
) -> None:
    """Whatever is asked, asked anew, gone on with, stopped and forgotten: what is left is what was shown."""
    with new_databases() as address:
        asyncio.run(play(actions, address))
