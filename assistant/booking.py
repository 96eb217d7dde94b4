"""The books of one request: admission, its attempts, and its end with what that leaves in the history."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from assistant.values import Limits, Origin
from db import ledger
from db.engine import Connection, Database, DatabaseError
from db.history import Turn, add_turn
from providers.base import ProviderError, Usage
from providers.router import Target

log = logging.getLogger(__name__)

# Seconds between the tries to write an end: a locked or full disk may recover.
RETRY_AFTER = (0.2, 1.0, 3.0)

BOOKS_CLOSED = "The bot cannot write to its database just now, so it sent nothing. Please try again later."


class LimitReached(Exception):
    """The request does not fit today's limits; the text is for the member."""


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
        self._request_id = 0
        self._attempts = 0
        self._open = False  # whether an attempt is
        self._reserved = Usage()
        self.closed = False

    async def admit(self, limits: Limits) -> bool:
        """Open the request and reserve the most it may use; False when this interaction was seen before.

        Raises LimitReached, with nothing reserved.
        """
        try:
            async with self._database.transaction() as connection:
                request_id = await ledger.admit(connection, self._request)
                if request_id is None:
                    self.closed = True
                    return False
                self._request_id = request_id
                # With this request's own reservation in it; the exception takes all of it back.
                await self._check(connection, limits)
        except (LimitReached, DatabaseError):
            self.closed = True
            raise
        return True

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
        # Noted first: a task that is cancelled while it commits may have committed all the same.
        self._attempts += 1
        self._open = True
        self._reserved = reserved
        async with self._database.transaction() as connection:
            await ledger.begin_attempt(connection, attempt)

    async def fail(self, error: ProviderError, usage: Usage | None) -> None:
        """End the open attempt: unbilled, or with an estimate of what it may have cost."""
        await self._write(_ending(usage, error.kind))

    async def settle(self, usage: Usage, outcome: str, turn: Turn | None = None) -> None:
        """End the attempt that answered, close the request and write the turn: all of it or nothing."""
        await self._write(_ending(usage, "interrupted" if outcome == "partial" else ""), outcome, turn)

    async def abandon(self, text_tokens: int | None) -> None:
        """Close a request that ended without an answer.

        An attempt that is still open may cost: it is booked with the tokens of the text that had come,
        or at its most when nobody can tell (`text_tokens` None).
        """
        if not self._open:
            await self._write(None, "failed")
        elif text_tokens is None:
            await self._write(_ending(self._reserved, "interrupted", source="cap"), "failed")
        else:
            spent = Usage(self._reserved.prompt_tokens, text_tokens, estimated=True)
            await self._write(_ending(spent, "interrupted"), "failed")

    async def _write(
        self, ending: ledger.Ending | None, outcome: str | None = None, turn: Turn | None = None
    ) -> None:
        async def write() -> None:
            async with self._database.transaction() as connection:
                origin = self._request
                if ending is not None:
                    await ledger.end_attempt(connection, origin.interaction_id, self._attempts, ending)
                if turn is not None:
                    await add_turn(
                        connection,
                        self._request_id,
                        origin.guild_id,
                        origin.channel_id,
                        origin.user_id,
                        turn,
                    )
                if outcome is not None:
                    await ledger.close_request(connection, origin.interaction_id, outcome)

        self.closed = self.closed or outcome is not None
        await _to_the_end(write)
        if ending is not None:
            self._open = False


def _ending(usage: Usage | None, error_class: str, source: str = "") -> ledger.Ending:
    if usage is None:
        return ledger.Ending("unbilled", error_class=error_class)
    return ledger.Ending(
        "estimated" if usage.estimated else "settled",
        source or ("tokenizer" if usage.estimated else "provider"),
        error_class,
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.cached_tokens,
        usage.reasoning_tokens,
        usage.pictures,
    )


async def _to_the_end(write: Callable[[], Awaitable[None]]) -> None:
    """Run `write`, again when the database fails, in a task of its own that outlives a cancelled caller.

    Should the database stay unusable, the row stays open and the next start books it at its most.
    """

    async def keep_trying() -> None:
        for delay in (*RETRY_AFTER, None):
            try:
                await write()
                return
            except DatabaseError as error:
                log.error("the books cannot be written: %s", error.__cause__ or error)
                if delay is not None:
                    await asyncio.sleep(delay)

    task = asyncio.create_task(keep_trying())
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
