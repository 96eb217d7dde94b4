"""The books of one request: admission, its attempts, and its end with what that leaves in the history."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial

from assistant.attempt import Attempt
from assistant.figures import Figures
from assistant.limits import LimitReached, check, crossed, limits_of, refused
from assistant.values import BudgetNotice, Limits, Origin
from db import ledger
from db.budgets import Limit, read_budgets, read_used
from db.engine import Connection, Database, DatabaseError, to_the_end
from db.responses import note_response
from providers.base import ProviderError, Usage
from providers.prices import cost_micros
from providers.route import NotAffordable, Target

log = logging.getLogger(__name__)

# Seconds between the tries to write an end: a locked or full disk may recover.
RETRY_AFTER = (0.2, 1.0, 3.0)

BOOKS_CLOSED = "The bot cannot use its database just now, so it sent nothing. Please try again later."
UNPRICED = (
    "A limit in dollars holds here, and the model has no price, so it is not asked. "
    "The bot's host can set its price in colloquy.toml."
)


@dataclass
class _Shared:
    """What the parts of one request have in common."""

    attempts: int = 0  # that are written down
    spent: bool = False  # whether one that ended without an answer may have cost
    failure: DatabaseError | None = None  # of writing one down
    alone: asyncio.Lock = field(default_factory=asyncio.Lock)  # one at a time is numbered and written down


class Booking:
    """Books one request. It is the ledger that the router writes its attempts to.

    `tokens`, `pictures` and `micros` (millionths of a dollar) are the most that one attempt may use, or all
    parts at once. Every end is written to its end, even when the task that asked for it is cancelled.
    """

    def __init__(
        self,
        database: Database,
        origin: Origin,
        command: str,
        figures: Figures,
        *,
        tokens: int = 0,
        pictures: int = 0,
        micros: int = 0,
    ) -> None:
        self._database = database
        self._figures = figures
        self._origin = origin
        self._request = ledger.NewRequest(
            origin.interaction_id,
            origin.guild_id,
            origin.parent_channel_id or origin.channel_id,
            origin.user_id,
            command,
            tokens,
            pictures,
            micros,
            process=database.process,
            response=origin.response,
        )
        self.request_id = 0
        self._is_waiting = False
        self._shared = _Shared()
        self._is_part = False  # `_request` then holds this part's share of the reservation
        self._host_limits = Limits()
        self._limits: list[Limit] = []
        self._asked_at = time.monotonic()
        self.attempt: Attempt | None = None  # the last one
        self.open = False  # whether the request is, with its reservation

    @property
    def seconds(self) -> float:
        """Since it was asked for."""
        return time.monotonic() - self._asked_at

    @property
    def first_text_seconds(self) -> float | None:
        """From then to the first text of the last attempt; None: there was none."""
        if self.attempt is None or self.attempt.first_text_at is None:
            return None
        return self.attempt.first_text_at - self._asked_at

    async def wait(self) -> None:
        """Note that the member has to wait, so that they are told if the bot is killed meanwhile."""
        request = self._request
        if request.response and not self._is_waiting:
            self._is_waiting = True
            try:
                await self._database.run(
                    lambda connection: note_response(
                        connection, request.interaction_id, request.process, request.response
                    )
                )
            except DatabaseError as error:
                log.warning("that a member waits cannot be noted: %s", error.__cause__ or error)

    async def admit(
        self, limits: Limits, prepare: Callable[[Connection], Awaitable[tuple[int, int]]] | None = None
    ) -> bool:
        """Open the request and reserve the most it may use; False when this interaction was seen before.

        `prepare` comes first in the same transaction, and says how many tokens that is and how many
        millionths of a dollar. Raises LimitReached and what `prepare` raises, with nothing reserved.
        """

        async def admit(connection: Connection) -> None:
            request = self._request
            if prepare is not None:
                tokens, micros = await prepare(connection)
                request = replace(request, tokens=tokens, micros=micros)
            zone, budgets = await read_budgets(connection, request.guild_id)
            holding = limits_of(limits, zone, budgets, request, self._origin.role_ids, time.time())
            roles = tuple(dict.fromkeys(limit.scope_id for limit in holding if limit.scope == "role"))
            request = replace(request, role_ids=roles)
            request_id = await ledger.admit(connection, request)
            if request_id is None:
                return
            # With this request's own reservation in it; the exception takes all of it back.
            check(holding, await read_used(connection, holding), request)
            self._request, self._limits, self.request_id = request, holding, request_id
            # Before the commit: one that fails, or whose caller is cancelled, may have happened all the same.
            self.open = True

        self._host_limits = limits
        # What could not be booked must be before more is spent; it counts towards the limits too.
        try:
            await self._database.write_owed()
            try:
                await self._database.run(admit)
            except LimitReached as reached:
                if reached.closed:
                    self._tell(await self._database.run(partial(refused, reached=reached)))
                raise
        except DatabaseError as error:
            self._database.note(error)
            raise
        self._database.note(None)
        return self.open

    def parts(self, number: int) -> list[Booking]:
        """The admitted request in parts that are asked for at the same time, each with its own attempts.

        Each part has an end like a request of its own, and gives its share of the reservation back with that;
        the request stays open until `close` or `abandon`.
        """
        whole = self._request
        share = replace(whole, pictures=whole.pictures // number, micros=whole.micros // number)
        parts = [copy(self) for _ in range(number)]
        for part in parts:
            part._request, part._is_part = share, True
        return parts

    async def begin(self, target: Target, reserved: Usage) -> None:
        """Commit an open attempt before its request leaves.

        One that may use more than what is reserved, as a model may that counts more tokens than the one that
        was expected to answer, has the difference reserved too.

        Raises NotAffordable for a model without a price where a limit in dollars holds, and LimitReached when
        a limit has no room for that difference, or for one attempt more beside what earlier ones have used.
        """
        cost = cost_micros(target.price, reserved)
        if cost is None and any(limit.unit == "dollars" for limit in self._limits):
            raise NotAffordable(f"{target.model} has no price", sentence=UNPRICED)
        held = self._request
        needed = replace(
            held,
            tokens=max(held.tokens, reserved.prompt_tokens + reserved.completion_tokens),
            micros=max(held.micros, cost or 0),
        )

        async def begin(connection: Connection) -> None:
            if needed != held:
                tokens, micros = needed.tokens - held.tokens, needed.micros - held.micros
                await ledger.reserve_more(connection, held.interaction_id, tokens, micros)
            await ledger.begin_attempt(connection, attempt.row(held, self._asked_at))
            # The reservation is for one attempt, and stands beside what the others have used.
            if self._shared.spent or needed != held:
                check(self._limits, await read_used(connection, self._limits), needed)

        async with self._shared.alone:
            if self._shared.failure is not None:
                raise self._shared.failure
            # Noted first: a task that is cancelled while it commits has committed all the same.
            self._shared.attempts += 1
            self.attempt = attempt = Attempt(target, reserved, self._shared.attempts)
            try:
                await self._database.run(begin)
            except LimitReached:  # which has taken the attempt back
                self._shared.attempts -= 1
                attempt.open = False
                raise
            except DatabaseError as error:  # it may stand there all the same, so no number comes after it
                self._shared.failure = error
                raise
        self._request = needed
        attempt.leave()

    async def fail(self, error: ProviderError, usage: Usage | None) -> None:
        """End the open attempt: unbilled, or with an estimate of what it may have cost."""
        self._shared.spent = self._shared.spent or usage is not None
        await self._end(usage, error.kind, delivered="none")

    async def settle(
        self, usage: Usage, outcome: str, keep: Callable[[Connection], Awaitable[None]] | None = None
    ) -> None:
        """End the attempt that answered, close the request and `keep` the turn: all of it or nothing."""
        error_class = "interrupted" if outcome == "partial" else ""
        await self._end(usage, error_class, outcome=outcome, keep=keep)

    async def close(self, outcome: str, keep: Callable[[Connection], Awaitable[None]] | None = None) -> None:
        """Close a request whose parts have all ended, and `keep` what came of it; `keep` may run twice."""
        await self._write(None, outcome, keep)

    async def abandon(self, spent: Usage | None) -> None:
        """Close a request that ended without an answer.

        An attempt that is still open had reached its vendor and may cost: it is booked with what it has
        `spent` by then. One that was cut off while it was written down never left, and costs nothing.
        """
        attempt = self.attempt
        if attempt is None or not attempt.open:
            await self._write(None, "failed")
            return
        delivered = "" if attempt.parts else "none"
        await self._end(spent if attempt.sent else None, "interrupted", delivered, "failed")

    async def _end(
        self,
        usage: Usage | None,
        error_class: str,
        delivered: str = "",
        outcome: str | None = None,
        keep: Callable[[Connection], Awaitable[None]] | None = None,
    ) -> None:
        attempt = self.attempt
        assert attempt is not None
        ending = attempt.ending(usage, error_class, delivered)
        attempt.open = False
        self._figures.count_attempt(attempt.target, ending)
        await self._write(ending, outcome, keep)

    async def _write(
        self,
        ending: ledger.Ending | None,
        outcome: str | None = None,
        keep: Callable[[Connection], Awaitable[None]] | None = None,
    ) -> None:
        number = self.attempt.number if self.attempt is not None else 0
        notices: list[BudgetNotice] = []

        async def write(connection: Connection) -> None:
            request = self._request
            notices.clear()
            ended = ending is not None and await ledger.end_attempt(
                connection, request.interaction_id, number, ending, request.role_ids
            )
            if keep is not None and (ended or ending is None):
                await keep(connection)
            if outcome is not None and not self._is_part:
                await ledger.close_request(connection, request.interaction_id, outcome)
            elif outcome is not None and ended:
                await ledger.reserve_less(connection, request)
            if ended:
                notices.extend(await crossed(connection, self._limits))

        async def keep_trying() -> None:
            for delay in (*RETRY_AFTER, None):
                try:
                    await self._database.run(write)
                    return
                except DatabaseError as error:
                    notices.clear()
                    log.error("the books cannot be written: %s", error.__cause__ or error)
                    self._database.note(error)
                    if delay is not None:
                        await asyncio.sleep(delay)
            self._database.owe(write)

        if outcome is not None:
            self.open = False
        try:
            await to_the_end(keep_trying())
        finally:
            self._tell(notices)

    def _tell(self, notices: Sequence[BudgetNotice]) -> None:
        for notice in notices:
            for listener in self._host_limits.listeners:
                listener(notice)
