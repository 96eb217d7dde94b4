"""What a run of kills came to: what members were shown and the vendor received, compared with the books."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, Table, select

from benchmarks.kills_load import Question, figures_of, text_of
from db.engine import Connection
from db.history import history
from db.ledger import attempts, requests
from db.pictures import pictures

FAILURES_NAMED = 20


@dataclass
class Counts:
    """What a run came to."""

    seed: int
    kills: int = 0
    kills_while_starting: int = 0
    questions: int = 0
    delivered_again: int = 0
    vendor_requests: int = 0
    answers_shown: int = 0
    refused_by_budgets: int = 0
    in_hand_at_kill_mean: float = 0.0
    in_hand_at_kill_most: int = 0
    requests: dict[str, int] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    counted_twice: int = 0
    wrong: int = 0
    discrepancies: int = 0
    overspent: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    def note(self, name: str, sentence: str) -> None:
        """Count a failure, and keep the sentence of the first ones."""
        setattr(self, name, getattr(self, name) + 1)
        if len(self.failures) < FAILURES_NAMED:
            self.failures.append(sentence)

    @property
    def ok(self) -> bool:
        """Whether nothing was amiss."""
        return not (self.lost or self.counted_twice or self.wrong or self.discrepancies or self.overspent)


@dataclass(frozen=True, slots=True)
class Entries:
    """What the books have of some questions, by interaction; the history by request."""

    requests: dict[int, Row[Any]]
    attempts: dict[int, list[Row[Any]]]
    answers: dict[int, str]
    pictures: set[int]

    @classmethod
    async def read(cls, connection: Connection, questions: Sequence[Question]) -> Entries:
        """Read them."""
        ids = [question.interaction.id for question in questions]

        async def rows(table: Table, column: str, among: Sequence[int]) -> Sequence[Row[Any]]:
            return (await connection.execute(select(table).where(table.c[column].in_(among)))).all()

        of = {row.interaction_id: row for row in await rows(requests, "interaction_id", ids)}
        begun: dict[int, list[Row[Any]]] = {}
        for row in await rows(attempts, "interaction_id", ids):
            begun.setdefault(row.interaction_id, []).append(row)
        turns = [row.id for row in of.values()]
        said = await rows(history, "turn_id", turns)
        answers = {row.turn_id: row.content for row in said if row.role == "assistant"}
        return cls(of, begun, answers, {row.id for row in await rows(pictures, "id", turns)})


def compare(question: Question, received: int, entries: Entries, counts: Counts) -> None:
    """Note what of a question is lost, counted twice or wrong. `received`: the vendor's requests for it."""
    number, interaction_id = question.number, question.interaction.id
    request, begun = entries.requests.get(interaction_id), entries.attempts.get(interaction_id, [])
    settled = [row for row in begun if row.state == "settled"]
    if len(begun) < received:
        counts.note("lost", f"{number}: the vendor had {received} requests, {len(begun)} are booked")
    if len(begun) > max(1, question.count) or len(settled) > received:
        counts.note("counted_twice", f"{number}: {len(begun)} attempts, {len(settled)} of them settled")
    if question.answered:
        kept = entries.pictures if question.count else entries.answers.keys()
        if request is None or request.id not in kept or request.outcome not in ("answered", "partial"):
            counts.note("lost", f"{number}: the answer was shown, and the books have none")
    if question.fate == "whole" and request is not None and request.outcome == "answered":
        found = [(row.prompt_tokens, row.completion_tokens, row.pictures) for row in settled]
        right = [(0, 0, 1)] * question.count or [(*figures_of(number), 0)]
        if found != right:
            counts.note("wrong", f"{number}: the vendor counted {right}, the books have {found}")
        if not question.count and entries.answers.get(request.id) != text_of(number):
            counts.note("wrong", f"{number}: the books have {entries.answers.get(request.id)!r}")
