"""The budgets of servers: set, listed, and what is left of them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from assistant.limits import limits_of
from assistant.values import Limits, Origin
from db.budgets import (
    Limit,
    StoredBudget,
    Used,
    delete_budget,
    read_budgets,
    read_used,
    write_budget,
)
from db.engine import Connection, Database
from db.ledger import NewRequest


@dataclass(frozen=True, slots=True)
class LimitStatus:
    """A limit as it stands: in its unit what was used, and what running requests hold."""

    limit: Limit
    used: Used

    @property
    def left(self) -> int:
        """What may still be used."""
        return max(0, self.limit.amount - self.used.spent - self.used.held)


class Budgets:
    """What `/budget` does. Who may do it is for the caller to check."""

    def __init__(self, database: Database, host_limits: Limits) -> None:
        self._database = database
        self._host_limits = host_limits

    async def set(self, budget: StoredBudget, *, keep_channel: bool = False) -> StoredBudget:
        """Set a budget, in place of one for the same in the same unit and period, and give what stands now.

        `keep_channel`: its notices go where those of the one before went. What was used in the period counts
        from its beginning; of a role, from when it first had a budget.
        """
        if budget.amount < 0 or budget.guild_id == 0:
            raise ValueError("a budget is of a server, and not below nothing")
        return await self._database.run(
            lambda connection: write_budget(connection, budget, keep_channel=keep_channel)
        )

    async def remove(self, budget: StoredBudget) -> bool:
        """Take a budget away, whatever its amount; False when there was none."""
        return await self._database.run(lambda connection: delete_budget(connection, budget))

    async def of_server(self, guild_id: int) -> list[StoredBudget]:
        """All budgets of a server, in the order in which they were made."""
        _, budgets = await self._database.run(lambda connection: read_budgets(connection, guild_id))
        return budgets

    async def holding(self, origin: Origin) -> list[LimitStatus]:
        """Every limit that holds for this member here and now, the host's too, and what is left of each."""
        channel_id = origin.parent_channel_id or origin.channel_id
        request = NewRequest(0, origin.guild_id, channel_id, origin.user_id, "")

        async def read(connection: Connection) -> list[LimitStatus]:
            zone, budgets = await read_budgets(connection, origin.guild_id)
            limits = limits_of(self._host_limits, zone, budgets, request, origin.role_ids, time.time())
            return list(map(LimitStatus, limits, await read_used(connection, limits)))

        return await self._database.run(read)
