"""What stands in the database after a fault."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter

from bot import Colloquy
from db.engine import open_database
from tests.living_bot import rows


@dataclass(frozen=True)
class Books:
    """One entry for each request, for each attempt, and for each message of the history."""

    outcomes: list[str]
    states: list[str]
    history: list[str]


async def read_books(database_url: str) -> Books:
    """All of it, in the order in which it was begun, whichever was answered first."""
    async with open_database(database_url) as database:
        return Books(
            [row["outcome"] for row in await rows(database, "requests")],
            [row["state"] for row in await rows(database, "attempts")],
            [
                row["content"]
                for row in sorted(await rows(database, "history"), key=itemgetter("turn_id", "id"))
            ],
        )


def hasten(bot: Colloquy) -> None:
    """Let it try again sooner than usual, so that tests are short."""
    bot.calls.pace_seconds = 0.1
    bot.calls.retry_seconds = (0.0, 0.1, 0.2)
