"""The books under any sequence of events: ledger, roll-up and budgets agree after each."""

import asyncio
from collections import Counter
from contextlib import aclosing
from datetime import date
from decimal import Decimal
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from assistant.booking import Booking
from assistant.figures import Figures
from assistant.limits import LimitReached
from assistant.stopping import StopSignal
from assistant.values import Answer, Delta, Limits, Question, Refusal
from db.budgets import Scope, StoredBudget, Unit
from db.engine import Database, open_database
from db.ledger import reconcile
from providers.base import ContentRefused, RateLimited, Thought, Unavailable, Usage
from providers.prices import Price
from providers.route import Target
from tests.assistant.faults import allow, refuse
from tests.assistant.scene import Scene, origin
from tests.fakes import ScriptedChat, ScriptedImages, Step, answer, key
from tests.postgresql import MakeDatabase

PRICE = Price(date=date(2026, 11, 1), prompt=Decimal(1), completion=Decimal(3), per_picture=Decimal("0.001"))
BUDGETS: dict[Scope, int] = {"server": 0, "channel": 20, "role": 7, "member": 0}
SCRIPTS: dict[str, list[Step]] = {
    "answer": answer("Yes, ", "sure.", prompt_tokens=40, completion_tokens=30),
    "refused": [RateLimited("slow down", retry_after=0.001)],
    "filtered": [ContentRefused("no")],
    "maybe billed": [Unavailable("late", maybe_billed=True)],
    "broken off": ["Well, ", Unavailable("gone")],
    "thinks, then broken off": [Thought("Let me see. "), Unavailable("gone", maybe_billed=True)],
}
STOPPED: dict[str, list[Step]] = {
    "at text": ["Well, ", 60.0],
    "after figures": [Usage(40, 9), "Well, ", 60.0],
}
# What the second of two vendors does.
SECOND = {"none": None, **{name: SCRIPTS[name] for name in ("answer", "refused", "maybe billed")}}
PICTURES = {"a picture": 1, "three pictures": 3}
AMOUNTS: dict[Unit, int] = {"tokens": 150, "dollars": 450, "pictures": 4}
CHANGES = {"more": 2.0, "less": 0.5}
PLACES = st.tuples(st.sampled_from([20, 21]), st.sampled_from([30, 31]), st.sampled_from([(), (7,), (7, 8)]))
EVENTS = st.lists(
    st.one_of(
        *(
            st.tuples(st.just(f"ask, then {second}"), st.sampled_from(sorted(SCRIPTS)), PLACES)
            for second in SECOND
        ),
        st.tuples(st.just("stop"), st.sampled_from(sorted(STOPPED)), PLACES),
        st.tuples(st.just("leave"), st.just("answer"), PLACES),
        st.tuples(
            st.sampled_from(sorted(PICTURES)), st.sampled_from(["answer", "refused", "maybe billed"]), PLACES
        ),
        st.tuples(st.just("crash"), st.sampled_from(["admitted", "sent"]), PLACES),
        st.tuples(st.just("book late"), st.sampled_from(["written", "lost"]), PLACES),
        st.tuples(st.just("budget"), st.sampled_from(["more", "less", "none"]), PLACES),
        st.tuples(st.sampled_from(["forget", "restart", "replay"]), st.just(""), PLACES),
    ),
    min_size=6,
    max_size=14,
)
Place = tuple[int, int, tuple[int, ...]]
Event = tuple[str, str, Place]


def _where(place: Place) -> dict[str, Any]:
    return dict(zip(("channel_id", "user_id", "role_ids"), place, strict=True))


class Play:
    """A bot that is stopped and started over one database, and what its budgets must say."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._number = 0
        self._most = dict(AMOUNTS)  # that was allowed at any time

    async def run(self, events: list[Event]) -> None:
        async with open_database(self._address) as database:
            budgets = Scene(database).assistant.budgets
            for scope, scope_id in BUDGETS.items():
                for unit, amount in AMOUNTS.items():
                    await budgets.set(StoredBudget(10, scope, scope_id, unit, "day", amount, 9))
        while True:
            # Each round is one life of the bot; it ends with a restart, a crash or the last event.
            async with open_database(self._address) as database:
                await database.run(reconcile)
                await self._check(database)
                rest = await self._live(database, events)
            if rest is None:
                return
            events = rest

    async def _live(self, database: Database, events: list[Event]) -> list[Event] | None:
        for index, (kind, how, place) in enumerate(events):
            if kind == "restart":
                return events[index + 1 :]
            if kind == "crash":  # in the middle of an answer: its request and attempt stay open
                await self._crash(database, how, place)
                return events[index + 1 :]
            if kind == "book late":
                await self._book_late(database, place)
                if how == "lost":
                    return events[index + 1 :]
                await database.write_owed()
                await self._check(database)
                continue
            await self._happen(database, kind, how, place)
            await self._check(database)
        return None

    async def _happen(self, database: Database, kind: str, how: str, place: Place) -> None:
        where = _where(place)
        scene = self._scene(database, how, SECOND.get(kind.removeprefix("ask, then ")))
        if kind != "replay":
            self._number += 1
        if kind == "forget":
            await scene.assistant.forget(place[0])
        elif kind in PICTURES:
            await scene.imagine(self._number, count=PICTURES[kind], **where)
        elif kind == "budget":
            await self._change(scene, how)
        elif kind == "stop":
            stop = StopSignal()
            async with aclosing(
                scene.assistant.ask(Question(origin(self._number, **where), "?"), stop)
            ) as ask:
                async for event in ask:
                    if isinstance(event, Delta):
                        stop.stop()
        elif kind == "leave":
            question = Question(origin(self._number, **where), "Leave me.")
            async with aclosing(scene.assistant.ask(question)) as pieces:
                async for piece in pieces:
                    assert isinstance(piece, Delta | Answer | Refusal)
                    break
        else:
            await scene.ask(self._number, **where)

    async def _change(self, scene: Scene, how: str) -> None:
        """The admins allow the server more or less, or no longer say how much."""
        for unit, amount in AMOUNTS.items():
            changed = StoredBudget(10, "server", 0, unit, "day", int(amount * CHANGES.get(how, 1)), 9)
            if how in CHANGES:
                await scene.assistant.budgets.set(changed)
                self._most[unit] = max(self._most[unit], changed.amount)
            else:
                await scene.assistant.budgets.remove(changed)

    async def _book_late(self, database: Database, place: Place) -> None:
        """An answer comes while the books cannot be closed: its end is owed."""
        if database.process:  # the fault is one of SQLite's
            return
        self._number += 1
        await refuse(database, "UPDATE ON attempts")
        await self._scene(database, "answer").ask(self._number, **_where(place))
        await allow(database)

    async def _crash(self, database: Database, how: str, place: Place) -> None:
        """Leave what a kill leaves behind: a request that is open, and perhaps an attempt that was sent."""
        self._number += 1
        booking = Booking(
            database, origin(self._number, **_where(place)), "ask", Figures(), tokens=200, micros=500
        )
        try:
            await booking.admit(Limits())
            if how == "sent":
                target = Target("first", "scripted-model", key(), PRICE)
                await booking.begin(target, Usage(50, 150, estimated=True))
        except LimitReached:
            assert not booking.open

    def _scene(self, database: Database, how: str, second: list[Step] | None = None) -> Scene:
        scripts = SCRIPTS | STOPPED
        chats = [ScriptedChat(scripts.get(how, SCRIPTS["answer"]), name="first")]
        if second is not None:
            chats.append(ScriptedChat(second, name="second"))
        # Of several pictures the second is refused, or may have been drawn.
        failures = {"refused": RateLimited("no", retry_after=500), "maybe billed": SCRIPTS["maybe billed"][0]}
        outcomes: list[Any] = [0.0, failures[how]] if how in failures else []
        painter = ScriptedImages(*outcomes)
        return Scene(database, chats, [painter], route={"price": PRICE, "max_tokens": 100})

    async def _check(self, database: Database) -> None:
        scene = Scene(database)
        assert await scene.discrepancies() == []
        rows = await scene.attempts()
        assert all(row.state != "sent" for row in rows)
        expected = Counter({"tokens": 0, "pictures": 0, "dollars": 0})
        for row in rows:
            expected["tokens"] += row.prompt_tokens + row.completion_tokens
            expected["pictures"] += row.pictures
            expected["dollars"] += row.cost_micros
        for status in await scene.assistant.budgets.holding(origin(1, role_ids=(7,))):
            assert status.used.held == 0
            assert status.used.spent <= self._most[status.limit.unit]
            if status.limit.scope == "server":
                assert status.used.spent == expected[status.limit.unit]


@hypothesis.settings(deadline=None, max_examples=16, database=None)
@hypothesis.given(events=EVENTS)
def test_any_sequence_leaves_ledger_roll_up_and_budgets_in_agreement(
    new_databases: MakeDatabase, events: list[Event]
) -> None:
    """Whatever is asked, fails, is given back, forgotten or cut off by a restart: the sums agree."""
    with new_databases() as address, pytest.MonkeyPatch.context() as quick:
        quick.setattr("assistant.booking.RETRY_AFTER", (0.001,))
        asyncio.run(Play(address).run(events))
