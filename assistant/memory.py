"""What the key pool remembers, kept in the database."""

from __future__ import annotations

import math
from collections.abc import Mapping

from db.engine import Database
from db.key_states import StoredState, read_states, replace_states
from providers.healths import NEVER, Health, Holder, Status


class KeyMemory:
    """The key pool's store. Keys are known by their fingerprints alone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> Mapping[Holder, Health]:
        """All healths that were saved."""
        states = await self._database.run(read_states)
        return {
            Holder(state.provider, state.holder, state.model): Health(
                Status(state.status),
                NEVER if state.until is None else float(state.until),
                state.reason,
                state.strikes,
            )
            for state in states
        }

    async def save(self, changed: Mapping[Holder, Health]) -> None:
        """Keep these; one that is ready is forgotten."""
        kept = [
            StoredState(
                *holder,
                health.status.value,
                None if health.until == NEVER else math.ceil(health.until),  # not a moment too soon
                health.reason,
                health.strikes,
            )
            for holder, health in changed.items()
            if health.status is not Status.READY
        ]
        await self._database.run(lambda connection: replace_states(connection, list(changed), kept))
