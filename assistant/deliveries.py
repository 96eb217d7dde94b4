"""Whether ends reached their members, noted in the books a moment later and many at once."""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context
from typing import Literal

from db.engine import Connection, Database, DatabaseError
from db.ledger import find_unended, mark_delivered
from db.responses import forget_responses

log = logging.getLogger(__name__)

# "": there was nothing to be delivered but a sentence.
Delivered = Literal["full", "partial", "none", ""]

# A note is not worth a transaction of its own: those of this time share one. What a crash takes with it
# stays unknown in the ledger, which is the truth.
SECONDS_BETWEEN_WRITES = 1.0


class Deliveries:
    """Collects notes and writes them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: dict[int, Delivered] = {}
        self._writing: asyncio.Task[None] | None = None

    def note(self, interaction_id: int, delivered: Delivered) -> None:
        """Note that an interaction is done with, and how much of its answer its member was shown.

        The last word counts.
        """
        self._noted[interaction_id] = delivered
        if self._writing is None or self._writing.done():
            # In a context of its own: what it logs belongs to no single interaction.
            self._writing = asyncio.create_task(self._write_soon(), context=Context())

    async def write(self) -> None:
        """Write what is noted, now. Raises DatabaseError, and keeps the notes."""
        noted, self._noted = self._noted, {}
        if not noted:
            return

        async def write(connection: Connection) -> set[int]:
            # While ends are owed, an answer may be there whose attempt has none yet in the books.
            delivered = {number: how for number, how in noted.items() if how}
            late = await find_unended(connection, delivered) if self._database.owed else set()
            if delivered:
                await mark_delivered(connection, delivered)
            await forget_responses(connection, noted)
            return late

        try:
            late = await self._database.run(write)
        except DatabaseError:
            self._noted = noted | self._noted
            raise
        self._noted = {number: noted[number] for number in late} | self._noted

    async def close(self) -> None:
        """Write what is noted and wait for nothing more. Raises DatabaseError."""
        if self._writing is not None:
            self._writing.cancel()
        await self.write()

    async def _write_soon(self) -> None:
        while self._noted:
            await asyncio.sleep(SECONDS_BETWEEN_WRITES)
            try:
                await self.write()
            except DatabaseError as error:
                log.warning("what was delivered cannot be noted now: %s", error.__cause__ or error)
