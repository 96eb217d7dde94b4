"""What the key pool remembers through a restart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from sqlalchemy import Table, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db.rollup import insert_into
from db.tables import KeyState

key_states: Table = KeyState.__table__  # type: ignore[assignment]  # declared as FromClause


@dataclass(frozen=True, slots=True)
class StoredState:
    """One row: whose state it is, what it is, and until when (None: until the host changes something)."""

    provider: str
    holder: str
    model: str
    status: str
    until: int | None
    reason: str
    strikes: int


async def read_states(connection: AsyncConnection) -> list[StoredState]:
    """All states that were kept."""
    rows = await connection.execute(select(key_states))
    return [StoredState(**row) for row in rows.mappings()]


async def replace_states(
    connection: AsyncConnection, gone: Iterable[tuple[str, str, str]], kept: Iterable[StoredState]
) -> None:
    """Forget the states of `gone` (provider, holder, model) and keep those in `kept` in their place."""
    # Another process may keep one of these at the same moment: the last word counts.
    for provider, holder, model in gone:
        await connection.execute(
            delete(key_states).where(
                key_states.c.provider == provider,
                key_states.c.holder == holder,
                key_states.c.model == model,
            )
        )
    if rows := [asdict(state) for state in kept]:
        statement = insert_into(connection, key_states)
        changed = ("status", "until", "reason", "strikes")
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=["provider", "holder", "model"],
                set_={name: statement.excluded[name] for name in changed},
            ),
            rows,
        )
