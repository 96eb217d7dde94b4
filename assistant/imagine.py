"""A picture, from admission to the booked result."""

from __future__ import annotations

import logging
import random
from dataclasses import replace

from assistant.booking import BOOKS_CLOSED, Booking
from assistant.limits import LimitReached
from assistant.values import Limits, Picture, PictureOrder, Refusal
from db.engine import Database, DatabaseError
from providers.base import ImageRequest, ProviderError, Usage
from providers.router import ImageRouter
from providers.walk import NothingConfigured

log = logging.getLogger(__name__)

# What all vendors take as a seed.
LARGEST_SEED = 2**31 - 1


async def imagine(
    database: Database, router: ImageRouter, limits: Limits, order: PictureOrder
) -> Picture | Refusal | None:
    """Make one picture and book it; None for an interaction seen before."""
    if not router.routes:
        return Refusal(NothingConfigured.sentence)
    seed = order.seed if order.seed is not None else random.randint(0, LARGEST_SEED)
    request = ImageRequest(order.prompt, order.width, order.height, seed, order.steps)
    most = Usage(pictures=1, pixels=order.width * order.height)
    booking = Booking(database, order.origin, "imagine", pictures=1, micros=router.dearest(most))
    try:
        if not await booking.admit(limits):
            return None
        picture = await router.generate(request, booking)
        await booking.settle(replace(picture.usage, pixels=picture.width * picture.height), "answered")
        return picture
    except LimitReached as refusal:
        return Refusal(str(refusal))
    except DatabaseError as error:
        log.error("the books cannot be written, so nothing is sent: %s", error.__cause__ or error)
        return Refusal(BOOKS_CLOSED)
    except ProviderError as error:
        log.warning("no picture for interaction %d: %s", order.origin.interaction_id, error.detail)
        return Refusal(str(error))
    finally:
        if booking.open:  # nobody made it, or the bot is stopping
            await booking.abandon()
