"""Pictures, from the order to the booked results: up to four at once, each over its own attempts."""

from __future__ import annotations

import asyncio
import copy
import logging
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from assistant.booking import BOOKS_CLOSED, Booking
from assistant.figures import Figures
from assistant.queue import Queue
from assistant.running import Running
from assistant.stopping import Stopped, StopSignal
from assistant.values import (
    Drawing,
    Limits,
    PictureOrder,
    PictureRefused,
    Pictures,
    Reason,
    Refusal,
    Refused,
    Waiting,
    reason_of,
)
from db.engine import Connection, Database, DatabaseError, to_the_end
from db.pictures import Made, StoredPictures, add_pictures, forget_pictures, read_pictures
from providers.base import ImageRequest, Picture, ProviderError
from providers.limits import MOST_STEPS as MOST_STEPS  # for the cogs
from providers.parameters import read_parameters
from providers.router import ImageRouter
from providers.walk import NothingConfigured

log = logging.getLogger(__name__)

# What all vendors take as a seed.
LARGEST_SEED = 2**31 - 1
# How many seeds are near one.
NEAR_SEEDS = 10_000
STOPPED = "Stopped before a picture was made."
FORGOTTEN = "What this was made with is no longer kept. Please ask for a new picture with /imagine."
NOT_YOURS = (
    "Only the member who asked for these pictures, or somebody who may manage messages, can delete them."
)

Event = Waiting | Drawing | Pictures | Refusal


@dataclass
class _Ordered:
    """One order on its way."""

    order: PictureOrder
    booking: Booking
    seed: int  # of the first picture
    made: dict[int, Picture] = field(default_factory=dict)  # by their place in the order
    missed: dict[str, Reason] = field(default_factory=dict)  # why others were not made: sentences, in order
    stopped: bool = False
    forgotten: bool = False  # its member was forgotten while it was drawn
    end: Pictures | Refusal | None = None


class Imagining:
    """Makes pictures: one order at a time for each member, and a few for each channel."""

    def __init__(
        self,
        database: Database,
        router: ImageRouter,
        limits: Limits,
        running: Running,
        figures: Figures,
        orders_per_channel: int,
    ) -> None:
        self._database = database
        self._router = router
        self._limits = limits
        self._running = running
        self._figures = figures
        self.queue = Queue(orders_per_channel)
        self._ordered: dict[int, _Ordered] = {}  # by interaction

    def adopting(self, router: ImageRouter, limits: Limits, orders_per_channel: int) -> Imagining:
        """The same, with other settings for orders to come; what is being made keeps its own."""
        other = copy.copy(self)
        other._router, other._limits = router, limits
        self.queue.per_channel = orders_per_channel
        return other

    async def imagine(self, order: PictureOrder, stop: StopSignal) -> AsyncGenerator[Event]:
        """Yield what becomes of the order; last comes one Pictures or Refusal.

        Nothing comes for an interaction that was seen before. Each picture is booked as it comes; what was
        not made is given back. Whoever stops listening early stops the vendors too.
        """
        number = order.origin.interaction_id
        if number in self._ordered:
            return
        seed = order.seed if order.seed is not None else random.randint(0, LARGEST_SEED)
        self._ordered[number] = ordered = _Ordered(
            order, Booking(self._database, order.origin, "imagine", self._figures, pictures=order.count), seed
        )
        try:
            with self._running.counted():
                if not self._router.routes:
                    raise NothingConfigured
                async with aclosing(self._draw(ordered, stop)) as events:
                    async for event in events:
                        yield event
        except Stopped:
            ordered.end = Refusal(STOPPED, "stopped")
        except (Refused, DatabaseError, ProviderError) as error:
            ordered.end = Refusal(_sentence_for(error), reason_of(error))
        finally:
            if ordered.end is not None or ordered.booking.request_id:  # else it was seen before
                self._figures.count_end("imagine", ordered.end, ordered.booking.seconds)
            if ordered.booking.open:  # nobody made any, the listener left, or the bot is stopping
                await ordered.booking.abandon(None)
            del self._ordered[number]
        if ordered.end is not None:
            yield ordered.end

    async def _draw(self, ordered: _Ordered, stop: StopSignal) -> AsyncGenerator[Waiting | Drawing]:
        """Yield everything but the end, which is noted; raise what prevents it."""
        order, origin = ordered.order, ordered.order.origin
        micros = order.count * self._router.dearest_picture(order.width, order.height, order.model)

        async def reserve(_: Connection) -> tuple[int, int]:
            return 0, micros

        with self.queue.place(origin.channel_id, origin.user_id) as queued:
            try:
                with stop.stoppable():
                    stop.begin()
                    while (number := await queued.next_number()) > 0:
                        stop.end()
                        yield Waiting(number)
                        await ordered.booking.wait()
                        stop.begin()
                    stop.end()
                    if not await ordered.booking.admit(self._limits, reserve):
                        return
                    parts = ordered.booking.parts(order.count)
                    drawing = {
                        asyncio.create_task(self._make(ordered, place, part))
                        for place, part in enumerate(parts)
                    }
                    try:
                        yield Drawing(0, order.count)
                        while drawing:
                            stop.begin()
                            done, drawing = await asyncio.wait(drawing, return_when=asyncio.FIRST_COMPLETED)
                            stop.end()
                            for task in done:
                                task.result()
                            if drawing:
                                yield Drawing(len(ordered.made), order.count)
                    finally:
                        for task in drawing:
                            task.cancel()
                        if drawing:
                            await to_the_end(asyncio.wait(drawing))
            except Stopped:
                if not ordered.made:
                    raise
                ordered.stopped = True
            await self._close(ordered)

    async def _make(self, ordered: _Ordered, place: int, part: Booking) -> None:
        """Make one of the pictures and book it; note why if it was not made."""
        order = ordered.order
        request = ImageRequest(
            prompt=order.prompt,
            width=order.width,
            height=order.height,
            seed=(ordered.seed + place) % (LARGEST_SEED + 1),
            steps=order.steps,
            guidance=order.guidance,
            negative=order.negative,
            model=order.model,
        )
        try:
            picture = await self._router.generate(request, part)
            ordered.made[place] = picture  # before it is booked, which happens even if this task is cancelled
            pixels = picture.width * picture.height
            await part.settle(replace(picture.usage, pixels=pixels, steps=picture.steps or 0), "answered")
        except (Refused, DatabaseError, ProviderError) as error:
            ordered.missed[_sentence_for(error)] = reason_of(error)
        finally:
            if part.open:
                await part.abandon(part.attempt.reserved if part.attempt else None)

    async def _close(self, ordered: _Ordered) -> None:
        """Close the request, keep what its pictures were made with, and make them the end."""
        order, booking = ordered.order, ordered.booking
        pictures = [ordered.made[place] for place in sorted(ordered.made)]
        if not pictures:
            await booking.close("failed")
            ordered.end = Refusal(*next(iter(ordered.missed.items()), (STOPPED, "stopped")))
            return
        row = _row(ordered, pictures)

        async def keep(connection: Connection) -> None:
            if not ordered.forgotten:
                await add_pictures(connection, row)

        await booking.close("answered" if len(pictures) == order.count else "partial", keep)
        ordered.end = Pictures(
            tuple(pictures),
            order.count,
            ordered.stopped,
            tuple(ordered.missed),
            None if ordered.forgotten else booking.request_id,
        )

    def forget(self, user_id: int) -> None:
        """Do not keep what a member's pictures are made with that are being drawn now."""
        for ordered in self._ordered.values():
            if ordered.order.origin.user_id == user_id:
                ordered.forgotten = True

    # What was made before

    async def find(self, row_id: int, channel_id: int, user_id: int) -> StoredPictures:
        """What pictures were made with, for a member who sees them here. Raises PictureRefused."""
        row = await self._database.run(lambda connection: read_pictures(connection, row_id))
        if row is None or row.channel_id != channel_id or (row.private and row.user_id != user_id):
            raise PictureRefused(FORGOTTEN)
        return row

    async def delete(self, row_id: int, user_id: int, *, allowed: bool) -> None:
        """Forget what pictures were made with, as their message goes. Raises PictureRefused.

        `allowed`: whether the member may delete the message whatever is kept of it.
        """
        row = await self._database.run(lambda connection: read_pictures(connection, row_id))
        if not allowed and (row is None or row.user_id != user_id):
            raise PictureRefused(NOT_YOURS)
        await self._database.run(lambda connection: forget_pictures(connection, row_id))


def parameters_of(data: bytes) -> str | None:
    """The parameters that a picture's file holds, in the web UI's manner; None: it holds none."""
    return read_parameters(data)


def near_seed(row: StoredPictures) -> int:
    """A seed some way behind those of these pictures; another one each time."""
    return (row.seed + row.count + random.randrange(NEAR_SEEDS)) % (LARGEST_SEED + 1)


def _row(ordered: _Ordered, pictures: list[Picture]) -> StoredPictures:
    order = ordered.order
    return StoredPictures(
        id=ordered.booking.request_id,
        guild_id=order.origin.guild_id,
        channel_id=order.origin.channel_id,
        user_id=order.origin.user_id,
        prompt=order.prompt,
        negative=order.negative,
        model=order.model or "",
        width=order.width,
        height=order.height,
        seed=ordered.seed,
        steps=order.steps,
        guidance=order.guidance,
        count=order.count,
        spoiler=order.spoiler,
        private=order.private,
        made=tuple(
            Made(
                width=one.width,
                height=one.height,
                model=one.model,
                seed=one.seed,
                steps=one.steps,
                guidance=one.guidance,
                negative=one.negative,
            )
            for one in pictures
        ),
    )


def _sentence_for(error: Exception) -> str:
    """What the member reads; the rest goes into the log."""
    if isinstance(error, DatabaseError):
        log.error("the books cannot be written, so nothing is sent: %s", error.__cause__ or error)
        return BOOKS_CLOSED
    if isinstance(error, ProviderError):
        log.warning("no picture: %s", error.detail)
    return str(error)
