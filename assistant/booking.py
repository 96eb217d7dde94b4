"""The books of one request: admission, its attempts, and its end with what that leaves in the history."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

from assistant.values import Limits, Origin, Refused
from db import ledger
from db.engine import Connection, Database, DatabaseError, to_the_end
from providers.base import ProviderError, Usage
from providers.route import Target

log = logging.getLogger(__name__)

# Seconds between the tries to write an end: a locked or full disk may recover.
RETRY_AFTER = (0.2, 1.0, 3.0)

BOOKS_CLOSED = "The bot cannot use its database just now, so it sent nothing. Please try again later."


class LimitReached(Refused):
    """The request does not fit today's limits."""


def start_of_today() -> int:
    """Midnight UTC, in seconds since 1970."""
    return int(datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp())


class Booking:
    """Books one request. It is the ledger that the router writes its attempts to.

    Every end is written to its end, even when the task that asked for it is cancelled meanwhile.
    """

    def __init__(
        self, database: Database, origin: Origin, command: str, *, tokens: int = 0, pictures: int = 0
    ) -> None:
        self._database = database
        self._request = ledger.NewRequest(
            origin.interaction_id,
            origin.guild_id,
            origin.channel_id,
            origin.user_id,
            command,
            tokens,
            pictures,
        )
        self.request_id = 0
        self._attempts = 0
        self._begun = False  # whether an attempt is open
        self._sent = False  # whether its request may have left
        self._reserved = Usage()
        self.target: Target | None = None  # of the last attempt
        self.open = False  # whether the request is, with its reservation

    @property
    def reserved(self) -> Usage:
        """The most that the last attempt may use."""
        return self._reserved

    async def admit(
        self, limits: Limits, prepare: Callable[[Connection], Awaitable[int]] | None = None
    ) -> bool:
        """Open the request and reserve the most it may use; False when this interaction was seen before.

        `prepare` comes first in the same transaction, and says how many tokens that is. Raises LimitReached
        and what `prepare` raises, with nothing reserved.
        """

        async def admit(connection: Connection) -> None:
            if prepare is not None:
                self._request = replace(self._request, tokens=await prepare(connection))
            request_id = await ledger.admit(connection, self._request)
            if request_id is None:
                return
            # With this request's own reservation in it; the exception takes all of it back.
            await self._check(connection, limits)
            self.request_id = request_id
            # Before the commit: one that fails, or whose caller is cancelled, may have happened all the same.
            self.open = True

        # What could not be booked must be before more is spent; it counts towards the limits too.
        await self._database.write_owed()
        await self._database.run(admit)
        return self.open

    async def _check(self, connection: Connection, limits: Limits) -> None:
        today = start_of_today()
        if limits.tokens_per_day is not None or limits.pictures_per_day is not None:
            used = await ledger.used_since(connection, today)
            self._compare(used, limits.tokens_per_day, limits.pictures_per_day, "for this bot")
        if limits.member_tokens_per_day is not None or limits.member_pictures_per_day is not None:
            used = await ledger.used_since(connection, today, self._request.user_id)
            self._compare(used, limits.member_tokens_per_day, limits.member_pictures_per_day, "for you")

    def _compare(self, used: ledger.Used, tokens: int | None, pictures: int | None, whose: str) -> None:
        if self._request.tokens and tokens is not None and used.tokens > tokens:
            left = max(0, tokens - (used.tokens - self._request.tokens))
            raise LimitReached(
                f"Today's limit {whose} is {tokens:,} tokens, and {left:,} are left: too few for this. "
                "It opens again at 00:00 UTC. The bot's host can raise it."
            )
        if self._request.pictures and pictures is not None and used.pictures > pictures:
            raise LimitReached(
                f"Today's limit {whose} is {pictures:,} pictures, and none is left. "
                "It opens again at 00:00 UTC. The bot's host can raise it."
            )

    async def begin(self, target: Target, reserved: Usage) -> None:
        """Commit an open attempt before its request leaves."""
        attempt = ledger.NewAttempt(
            self._request,
            self._attempts + 1,
            target.provider,
            target.model,
            target.key.variable,
            reserved.prompt_tokens,
            reserved.completion_tokens,
            reserved.pictures,
        )
        # Noted first: a task that is cancelled while it commits has committed all the same.
        self._attempts += 1
        self._begun = True
        self._sent = False
        self.target = target
        self._reserved = reserved
        await self._database.run(lambda connection: ledger.begin_attempt(connection, attempt))
        self._sent = True

    async def fail(self, error: ProviderError, usage: Usage | None) -> None:
        """End the open attempt: unbilled, or with an estimate of what it may have cost."""
        await self._write(_ending(usage, error.kind))

    async def settle(
        self, usage: Usage, outcome: str, keep: Callable[[Connection], Awaitable[None]] | None = None
    ) -> None:
        """End the attempt that answered, close the request and `keep` the turn: all of it or nothing."""
        await self._write(_ending(usage, "interrupted" if outcome == "partial" else ""), outcome, keep)

    async def abandon(self, text_tokens: int = 0) -> None:
        """Close a request that ended without an answer.

        An attempt that is still open had reached its vendor and may cost: it is booked with the tokens of
        the text that had come by then, or with the picture that was being made. One that was cut off while
        it was written down never left, and costs nothing.
        """
        spent = replace(self._reserved, completion_tokens=text_tokens, estimated=True) if self._sent else None
        await self._write(_ending(spent, "interrupted") if self._begun else None, "failed")

    async def _write(
        self,
        ending: ledger.Ending | None,
        outcome: str | None = None,
        keep: Callable[[Connection], Awaitable[None]] | None = None,
    ) -> None:
        number = self._attempts

        async def write(connection: Connection) -> None:
            request = self._request
            ended = ending is not None and await ledger.end_attempt(
                connection, request.interaction_id, number, ending
            )
            if keep is not None and ended:
                await keep(connection)
            if outcome is not None:
                await ledger.close_request(connection, request.interaction_id, outcome)

        async def keep_trying() -> None:
            for delay in (*RETRY_AFTER, None):
                try:
                    await self._database.run(write)
                    return
                except DatabaseError as error:
                    log.error("the books cannot be written: %s", error.__cause__ or error)
                    if delay is not None:
                        await asyncio.sleep(delay)
            self._database.owe(write)

        if outcome is not None:
            self.open = False
        await to_the_end(keep_trying())
        if ending is not None:
            self._begun = False


def _ending(usage: Usage | None, error_class: str) -> ledger.Ending:
    if usage is None:
        return ledger.Ending("unbilled", error_class=error_class)
    return ledger.Ending(
        "estimated" if usage.estimated else "settled",
        "tokenizer" if usage.estimated else "provider",
        error_class,
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.cached_tokens,
        usage.reasoning_tokens,
        usage.pictures,
    )
