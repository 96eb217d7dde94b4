"""An answer on its way to Discord: shown while it grows, in as few messages as needed, and finished once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import discord

from cogs.discord_calls import Call, Outcome
from cogs.fences import Fence, resumed
from cogs.links import displayable, escaped, sendable
from cogs.splitting import add_line, shorten, split_text, units
from cogs.surfaces import Surface
from cogs.uploads import Upload, opened, upload_seconds

log = logging.getLogger(__name__)

# No answer waits longer than this for another try.
MOST_WAIT_SECONDS = 60.0
# Without text for so long, the member is told that something is going on.
WAITING_SECONDS = 4.0
# Lines in place of text change so many times more slowly: in a long queue everyone moves with each answer.
STATUS_PACE = 4
# A longer answer comes as a file.
MOST_MESSAGES = 4

STILL_WRITING = "-# Still writing. At the end the whole answer comes as a file."
IN_FILE = "-# The answer goes on in the file, which holds all of it."
TOO_LARGE = "-# The answer goes on, but as a file it is larger than this server takes. Ask for a shorter one."
NO_FILE = (
    "-# The rest did not fit, and Discord took no file with the whole answer here. Ask for a shorter one."
)
BLOCKED = "A filter of this server or of Discord did not let the answer through. /last shows it to you alone."


class Delivery(Enum):
    """How much of an answer has arrived."""

    FULL = "full"
    PARTIAL = "partial"
    NONE = "none"


@dataclass(slots=True)
class _Sent:
    """A message as it stands on Discord, as far as we know."""

    message: Any = None  # what the surface takes for it; None: the first
    content: str = ""
    view: discord.ui.View | None = None
    editable: bool = True  # not if Discord's answer got lost that says which message it is


class LiveReply:
    """One answer: shown while it grows, then finished once.

    One edit is in flight at a time, and the latest text wins. An edit that fails is dropped, unless it is the
    last: that one is tried again, and then sent as a follow-up. A message that is full is left as it is, and
    the text goes on in the next one.
    """

    def __init__(
        self,
        surface: Surface,
        heading: str = "",
        *,
        view: discord.ui.View | None = None,
        waiting: str = "",
        when_blocked: str = BLOCKED,
    ) -> None:
        """`view` is shown as long as the answer grows; `waiting` is a line for when no text comes.

        `when_blocked` is what is said in place of what a filter does not let through.
        """
        self.heading = heading
        self.text = ""  # as much as has come
        self.fence: Fence | None = None  # the code block that the text goes on in
        self.gone = False  # somebody deleted a message of it: nobody wants more
        self.blocked = False  # a filter stopped it, and that has been said
        self._surface = surface
        self._calls = surface.calls
        self._view = view
        self._waiting = waiting
        self._when_blocked = when_blocked
        self._visible = False  # whether any of the text can be shown yet
        self._refused = False
        self._status = ""
        self._messages = [_Sent()]
        self._may_go_on = True  # whether a message that follows may be begun before the end
        self._quiet = False  # no more edits before the end
        self._ended = False
        self._changed = asyncio.Event()
        self._woken = (
            asyncio.Event()
        )  # the pace need not be kept: it is the end, or the first that can be seen
        self._editing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> LiveReply:
        if self._waiting:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(WAITING_SECONDS, self.show_status, self._waiting)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop_editing()

    def show(self, text: str) -> None:
        """Have the text so far shown as soon as the pace allows."""
        self.text = text
        if not self._visible and self._displayable(text, ended=False).strip():
            self._visible = True
            self._woken.set()
        self._stop_timer()
        self._change()

    def show_status(self, line: str) -> None:
        """Have a line shown in place of the text that has not come yet."""
        if not self._visible:
            self._status = line
            self._stop_timer()
            self._change()

    @property
    def remaining(self) -> Delivery:
        """How much there is of an answer of which somebody deleted the message that grew."""
        return Delivery.PARTIAL if len(self._messages) > 1 else Delivery.NONE

    async def finish_text(
        self,
        text: str,
        *,
        note: str = "",
        footer: str = "",
        view: discord.ui.View | None = None,
        in_one: bool = False,
    ) -> Delivery:
        """Show a model's whole text. Past four messages it comes as a file, and its beginning stays shown.

        `note` is a line that has to be seen; `footer` one that is left out where it would take a message.
        `in_one`: it is not known what stands below the first message, so what is longer comes as a file.
        """
        whole = [part.shown for part in split_text(self.heading + self._displayable(text))]
        parts = add_line(whole, note) if note else whole
        if len(parts) <= (1 if in_one else MOST_MESSAGES):
            if footer and len(with_footer := add_line(parts, footer)) == len(parts):
                parts = with_footer
            return await self.finish(parts, view=view)

        def beginning(messages: int, *lines: str) -> list[str]:
            last = "\n".join(line for line in (*lines, note, footer) if line)
            return [*whole[: messages - 1], shorten(whole[messages - 1], last)]

        content = sendable(text).encode()
        # What is shown already is beginning enough.
        shown = min(len(self._messages), len(whole))
        if len(content) > self._surface.file_limit:
            return await self.finish(beginning(shown, TOO_LARGE), view=view)
        files = [Upload("answer.md", content)]
        delivery = await self.finish(beginning(shown, IN_FILE), files=files, view=view)
        if not self._refused:
            return delivery
        delivery = await self.finish(beginning(min(MOST_MESSAGES, len(whole)), NO_FILE), view=view)
        return Delivery.PARTIAL if delivery is Delivery.FULL else delivery

    async def finish(
        self,
        parts: Sequence[str],
        *,
        files: Sequence[Upload] = (),
        view: discord.ui.View | None = None,
    ) -> Delivery:
        """Show the final messages; files and view go with the last.

        What is shown already is not sent again. A part that cannot be delivered ends it.
        """
        await self._stop_editing()
        seen = bool(self.text) and bool(self._messages[0].content)
        arrived = 0
        for place, part in enumerate(parts):
            is_last = place == len(parts) - 1
            if not await self._deliver(place, part, files if is_last else (), view if is_last else None):
                break
            arrived += 1
        if arrived == len(parts):
            return Delivery.FULL
        if not self.gone:
            log.warning("the answer to %s could not be delivered", self._surface.name)
        return Delivery.PARTIAL if arrived or (seen and not self.gone) else Delivery.NONE

    def _displayable(self, text: str, *, ended: bool = True) -> str:
        return displayable(resumed(self.fence, text, ended=ended), ended=ended)

    # While the answer grows

    def _change(self) -> None:
        self._changed.set()
        if self._editing is None and not self._ended:
            self._editing = asyncio.create_task(self._edit_while_it_grows())

    async def _edit_while_it_grows(self) -> None:
        while not (self._ended or self.gone or self._quiet):
            await self._changed.wait()
            if self._ended:
                break
            self._changed.clear()
            self._woken.clear()
            pause = self._calls.pace_seconds * (1 if self._visible else STATUS_PACE)
            if not self._calls.only_needed:
                pause = max(pause, await self._bring_up_to_date())
            try:
                async with asyncio.timeout(pause):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def _bring_up_to_date(self) -> float:
        """Edit the message that grows, and begin the next where it is full; seconds to wait afterwards."""
        text = self._displayable(self.text, ended=False) if self._visible else self._status
        if not text:
            return 0.0
        parts = [part.shown for part in split_text(self.heading + text)]
        place = len(self._messages) - 1
        if len(parts) <= place:
            return 0.0
        sent, content = self._messages[place], parts[place]
        is_full = len(parts) > place + 1
        if is_full and place + 1 == MOST_MESSAGES:
            content = shorten(content, STILL_WRITING)
        begins_next = is_full and place + 1 < MOST_MESSAGES and self._may_go_on
        view = None if begins_next else self._view
        call = Call(outcome=Outcome.ARRIVED)
        if sent.editable and (sent.content != content or sent.view is not view):
            call = await self._edit(sent, content, view)
        if begins_next and call.outcome is Outcome.ARRIVED and not self._ended:
            call = await self._follow_up(parts[place + 1], self._view)
            # But for a 429 it may be there all the same, so it is not sent again before the end.
            self._may_go_on = call.outcome is Outcome.ARRIVED or call.status == 429
        self.gone = call.outcome is Outcome.DELETED
        self._quiet = call.outcome in (Outcome.EXPIRED, Outcome.REFUSED, Outcome.BLOCKED)
        if call.outcome is Outcome.FAILED or begins_next:
            self._changed.set()
        return call.pause

    async def _stop_editing(self) -> None:
        self._ended = True
        self._changed.set()
        self._woken.set()
        self._stop_timer()
        if self._editing is not None:
            await self._editing

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Calls

    async def _edit(
        self, sent: _Sent, content: str, view: discord.ui.View | None, files: Sequence[Upload] = ()
    ) -> Call:
        fields: dict[str, Any] = {"content": content}
        if files:
            fields["files"] = opened(files)
        if view is not sent.view:
            fields["view"] = view
        call = await self._calls.attempt(self._surface.edit(sent.message, fields), upload_seconds(files))
        if call.outcome is Outcome.ARRIVED:
            sent.content, sent.view = content, view
        return call

    async def _follow_up(
        self, content: str, view: discord.ui.View | None, files: Sequence[Upload] = ()
    ) -> Call:
        fields = {"content": content, "view": view, "files": opened(files) if files else None}
        call = await self._calls.attempt(self._surface.follow_up(fields), upload_seconds(files))
        if call.outcome is Outcome.ARRIVED:
            self._messages.append(_Sent(call.result, content, view, call.result is not None))
        return call

    # At the end

    async def _deliver(
        self, place: int, content: str, files: Sequence[Upload], view: discord.ui.View | None
    ) -> bool:
        sent = self._messages[place] if place < len(self._messages) else None
        if sent is not None and not files and sent.content == content and sent.view is view:
            return True
        outcome = Outcome.FAILED
        if sent is not None and sent.editable:
            outcome = await self._insist(lambda: self._edit(sent, content, view, files))
        if outcome is Outcome.FAILED:
            outcome = await self._insist(lambda: self._follow_up(content, view, files))
            if outcome is Outcome.ARRIVED and sent is not None:
                self._messages[place] = self._messages.pop()  # it stands for the one that cannot be edited
        self.blocked = outcome is Outcome.BLOCKED
        if self.blocked and sent is not None:
            await self._insist(lambda: self._edit(sent, self._when_blocked, None))
        elif self.blocked:
            await self._insist(lambda: self._follow_up(self._when_blocked, None))
        self.gone = self.gone or outcome is Outcome.DELETED
        self._refused = outcome is Outcome.REFUSED
        return outcome is Outcome.ARRIVED

    async def _insist(self, send: Callable[[], Awaitable[Call]]) -> Outcome:
        """Try until it arrives, no other try would help, or the time for answers is over."""
        loop, expires_at = asyncio.get_running_loop(), self._surface.expires_at
        asked_to_wait = 0.0
        for delay in self._calls.retry_seconds:
            wait = max(delay, asked_to_wait, self._calls.resting_seconds)
            if wait > MOST_WAIT_SECONDS:
                return Outcome.FAILED
            if expires_at is not None and loop.time() + wait >= expires_at:
                return Outcome.EXPIRED
            await asyncio.sleep(wait)
            call = await send()
            if call.outcome is not Outcome.FAILED:
                return call.outcome
            asked_to_wait = call.retry_after
        return Outcome.FAILED


def quote(text: str, limit: int = 200) -> str:
    """A member's own words in one line, without formatting of their own."""
    line = " ".join(sendable(text).split())
    if units(line) > limit:
        line = split_text(line, limit - 1)[0].shown + "…"
    return escaped(line)
