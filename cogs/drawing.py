"""Drawing pictures wherever they were asked for: what `/imagine` and the buttons below pictures share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import discord

from assistant import Assistant
from assistant.stopping import StopSignal
from assistant.uploads import make_files
from assistant.values import Drawing, Picture, PictureOrder, Pictures, Refusal, Waiting
from cogs.answering import place_line
from cogs.buttons import stop_view
from cogs.delivery import Delivery, LiveReply, quote
from cogs.links import sendable
from cogs.picture_buttons import picture_view
from cogs.splitting import cut
from cogs.stopping import Stops, timer
from cogs.surfaces import Surface
from cogs.uploads import Upload

# How often a member is told how long it has taken so far.
TICK_SECONDS = 3.0
# Discord's limits.
DESCRIPTION_LENGTH = 1024
MESSAGE_LENGTH = 2000

RESTARTING = "The bot is restarting. Please ask again in a minute."
NOT_DELIVERED = (
    "Discord did not take what was made. Please try again; if that does not help, choose a smaller size, or "
    "fewer at once."
)
BLOCKED = "A filter of this server or of Discord did not let this through."


class Drawings:
    """Draws for the whole bot."""

    def __init__(self, assistant: Assistant, stops: Stops) -> None:
        self._assistant = assistant
        self._stops = stops

    async def draw(self, order: PictureOrder, surface: Surface) -> None:
        """Show the pictures of an order where it was asked for."""
        origin, stop = order.origin, StopSignal()
        heading = heading_of(order.prompt)
        reply = LiveReply(surface, heading, view=stop_view(origin.interaction_id), when_blocked=BLOCKED)
        delivery: Delivery | None = None
        with self._stops.counted(origin.interaction_id, origin.user_id, stop), timer(surface, stop):
            async with reply:
                try:
                    end, seconds = await self._listen(order, stop, reply)
                except asyncio.CancelledError:
                    await reply.finish([heading + RESTARTING])
                    self._assistant.deliveries.note(origin.interaction_id, "")
                    raise
                if reply.gone:
                    delivery = Delivery.NONE
                elif isinstance(end, Refusal):
                    await reply.finish([heading + end.sentence])
                elif end is not None:
                    delivery = await _deliver(order, end, seconds, reply, surface.file_limit)
        if end is not None or reply.gone:  # else it is being drawn elsewhere
            self._assistant.deliveries.note(origin.interaction_id, delivery.value if delivery else "")

    async def _listen(
        self, order: PictureOrder, stop: StopSignal, reply: LiveReply
    ) -> tuple[Pictures | Refusal | None, float]:
        """Show how far it is; give the end (None: nobody reads it), and how many seconds it took."""
        end: Pictures | Refusal | None = None
        async with _Progress(reply) as progress, aclosing(self._assistant.imagine(order, stop)) as events:
            async for event in events:
                if isinstance(event, Waiting):
                    reply.show_status(place_line(event.place))
                elif isinstance(event, Drawing):
                    progress.show(event)
                else:
                    end = event
                if reply.gone:  # deleted by a moderator
                    return None, progress.seconds
        return end, progress.seconds


class _Progress:
    """Tells again and again how many pictures are there and how long it has taken, as a context manager."""

    def __init__(self, reply: LiveReply) -> None:
        self._reply = reply
        self._state: Drawing | None = None
        self._began_at = time.monotonic()
        self._ticking: asyncio.Task[None] | None = None

    @property
    def seconds(self) -> float:
        """Since the first picture was begun."""
        return time.monotonic() - self._began_at

    async def __aenter__(self) -> _Progress:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._ticking is not None:
            self._ticking.cancel()

    def show(self, state: Drawing) -> None:
        """Show it now, and go on with the seconds."""
        if self._state is None:
            self._began_at = time.monotonic()
            self._ticking = asyncio.create_task(self._tick())
        self._state = state
        self._show()

    def _show(self) -> None:
        assert self._state is not None
        done, count = self._state.done, self._state.count
        what = f"{min(done + 1, count)} of {count}" if count > 1 else "the picture"
        self._reply.show_status(f"-# Drawing {what}, {self.seconds:.0f} s")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._show()


async def _deliver(
    order: PictureOrder, end: Pictures, seconds: float, reply: LiveReply, file_limit: int
) -> Delivery:
    made, notes = await make_files(end.pictures, file_limit)
    alternative = cut(sendable(order.prompt), DESCRIPTION_LENGTH)
    files = [Upload(file.name, file.data, alternative, order.spoiler) for file in made]
    lines = [*_facts(end.pictures, seconds), *_notes(end), *notes]
    content = reply.heading + "\n".join(f"-# {line}" for line in lines)
    view = picture_view(end.row_id)
    delivery = await reply.finish([cut(content, MESSAGE_LENGTH)], files=files, view=view)
    if delivery is not Delivery.FULL:
        if not (reply.gone or reply.blocked):
            await reply.finish([reply.heading + NOT_DELIVERED], view=view)
    elif len(files) < len(end.pictures):
        delivery = Delivery.PARTIAL if files else Delivery.NONE
    return delivery


def _facts(pictures: Sequence[Picture], seconds: float) -> list[str]:
    """What they were made with: a line, or more where models or sizes differ."""
    groups: dict[tuple[Any, ...], list[Picture]] = {}
    for picture in pictures:
        kind = (picture.width, picture.height, picture.steps, picture.model)
        groups.setdefault(kind, []).append(picture)
    lines = []
    for (width, height, steps, model), group in groups.items():
        facts = [f"{width} x {height}", _seeds([picture.seed for picture in group])]
        if steps is not None:
            facts.append(f"{steps} {'step' if steps == 1 else 'steps'}")
        facts.append(discord.utils.escape_markdown(model))
        lines.append(" · ".join(facts))
    lines[-1] += f" · {seconds:.0f} s"
    return lines


def _seeds(seeds: Sequence[int | None]) -> str:
    known = [seed for seed in seeds if seed is not None]
    if not known:
        return "this model takes no seed"
    if len(known) == 1:
        return f"seed {known[0]}"
    follow = all(later == earlier + 1 for earlier, later in pairwise(known))
    listed = f"{known[0]} to {known[-1]}" if follow and len(known) > 2 else ", ".join(map(str, known))
    return f"seeds {listed}"


def _notes(end: Pictures) -> list[str]:
    """What was not as it was asked for."""
    notes = list(dict.fromkeys(note for picture in end.pictures for note in picture.adjustments))
    made = f"{len(end.pictures)} of {end.count} {'was' if len(end.pictures) == 1 else 'were'} made"
    if len(end.pictures) < end.count:
        why = " ".join(end.missed) or "It was stopped."
        notes.insert(0, f"{made}. {discord.utils.escape_markdown(why)}")
    return notes


def heading_of(prompt: str) -> str:
    """The prompt above its pictures."""
    return f"**{quote(prompt)}**\n"
