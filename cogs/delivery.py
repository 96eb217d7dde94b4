"""Getting an answer to Discord: where discord.py's own gaps are met.

discord.py 2.7.1 lets connection errors of its HTTP library through, waits without bound on a 429, raises
TypeError on a 429 that is no JSON, and holds an edit for 25 s on a 5xx. So every call here has a deadline of
its own and any failure means the same: it did not arrive.
"""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Sequence
from enum import Enum
from typing import Any

import discord

from cogs.splitting import beginning
from cogs.surfaces import Surface

log = logging.getLogger(__name__)

CALL_SECONDS = 10.0
# Discord allows about five edits of one response in a short time; this pace never meets that wall.
EDIT_PACE_SECONDS = 1.2
FINAL_RETRY_SECONDS = (1.0, 2.0, 4.0, 8.0)
# The token is dead, the message or its channel was deleted, or we may not write there: nothing is left to do.
GONE_CODES = frozenset({10003, 10008, 10015, 10062, 50001, 50007, 50013, 50027})


class Outcome(Enum):
    """What became of a call to Discord."""

    ARRIVED = "arrived"
    FAILED = "failed"
    GONE = "gone"


async def attempt(call: Any) -> Outcome:
    """Await one call to Discord, for ten seconds at most."""
    try:
        async with asyncio.timeout(CALL_SECONDS):
            await call
    except discord.HTTPException as error:
        if error.code in GONE_CODES:
            return Outcome.GONE
        log.info("Discord answered %s (code %s)", error.status, error.code)
        return Outcome.FAILED
    except Exception as error:  # what discord.py lets through has no common base
        log.info("Discord could not be reached: %s", type(error).__name__)
        return Outcome.FAILED
    return Outcome.ARRIVED


class LiveReply:
    """An answer on its surface: shown while it grows, then finished once.

    One edit is in flight at a time, and the latest text wins. An edit that fails is dropped, unless it is
    the last: that one is tried again, and then sent as a follow-up.
    """

    def __init__(self, surface: Surface, heading: str = "") -> None:
        self._surface = surface
        self._heading = heading
        self._latest = ""
        self._changed = asyncio.Event()
        self._finished = asyncio.Event()
        self._editing: asyncio.Task[None] | None = None
        self.gone = False  # the message was deleted, or its time is over: nobody sees more of it

    async def __aenter__(self) -> LiveReply:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop editing, whatever happened."""
        self._finished.set()
        if self._editing is not None:
            await self._editing

    def show(self, text: str) -> None:
        """Have the text so far shown as soon as the pace allows."""
        self._latest = text
        self._changed.set()
        if self._editing is None:
            self._editing = asyncio.create_task(self._edit_while_it_grows())

    async def finish(
        self,
        parts: Sequence[str],
        *,
        png: bytes | None = None,
        filename: str = "picture.png",
        view: discord.ui.View | None = None,
    ) -> bool:
        """Show the final text; parts after the first are follow-ups. True when the first has arrived.

        A picture goes with the first part, a view with the last.
        """
        self._finished.set()
        if self._editing is not None:
            await self._editing
        for place, part in enumerate(parts):
            fields: dict[str, Any] = {"content": part}
            if view is not None and place == len(parts) - 1:
                fields["view"] = view
            if place > 0:
                if await attempt(self._surface.follow_up(**fields)) is Outcome.FAILED:
                    await attempt(self._surface.follow_up(**fields))
            elif not await self._last_edit(fields, [(png, filename)] if png is not None else []):
                return False
        return True

    async def _edit_while_it_grows(self) -> None:
        while not self._finished.is_set() and not self.gone:
            if self._changed.is_set():
                self._changed.clear()
                content = beginning(self._heading + self._latest)
                outcome = await attempt(self._surface.edit(content=content))
                self.gone = outcome is Outcome.GONE
            try:
                async with asyncio.timeout(EDIT_PACE_SECONDS):
                    await self._finished.wait()
            except TimeoutError:
                pass

    async def _last_edit(self, fields: dict[str, Any], files: list[tuple[bytes, str]]) -> bool:
        for delay in (0.0, *FINAL_RETRY_SECONDS):
            await asyncio.sleep(delay)
            if self.gone:  # an edit before has shown it
                break
            sent = {**fields, "attachments": _files(files)} if files else fields
            outcome = await attempt(self._surface.edit(**sent))
            if outcome is Outcome.ARRIVED:
                return True
            expires_at = self._surface.expires_at
            if outcome is Outcome.GONE or (expires_at is not None and discord.utils.utcnow() >= expires_at):
                self.gone = True
                break
        else:
            if await attempt(self._surface.follow_up(**fields, files=_files(files))) is Outcome.ARRIVED:
                return True
        log.warning("the answer to %d could not be delivered", self._surface.id)
        return False


def _files(files: list[tuple[bytes, str]]) -> list[discord.File]:
    """Made anew for each try: sending one reads it to its end."""
    return [discord.File(io.BytesIO(content), filename) for content, filename in files]


def quote(text: str, limit: int = 200) -> str:
    """A member's own words in one line, without formatting of their own."""
    line = " ".join(text.split())
    if len(line) > limit:
        line = line[: limit - 1].rstrip() + "…"
    return discord.utils.escape_markdown(line)
