"""What is reserved for pictures: the most that they may cost, whoever makes them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assistant import Assistant, Conversation
from assistant.values import Limits, PictureOrder, Pictures, Refusal
from db.engine import Database
from providers.base import ImageRequest, Key, Picture
from providers.catalog import load_catalog
from providers.router import ChatRouter, ImageRouter
from tests.assistant.scene import origin
from tests.fakes import ScriptedImages, image_route
from tests.living_bot import rows


class LargerPainter(ScriptedImages):
    """Makes 1536 x 1024 whatever is ordered."""

    async def generate(self, request: ImageRequest, key: Key) -> Picture:
        return replace(await super().generate(request, key), width=1536, height=1024)


@pytest.mark.parametrize(("dollars", "made"), [(0.023, 0), (0.024, 4)])
async def test_the_size_that_is_made_is_reserved(database: Database, dollars: float, made: int) -> None:
    """What larger pictures than were ordered cost is held back before they are made, for each and in all."""
    entry = load_catalog()["openai-images"]
    painter = LargerPainter()
    route = image_route(painter, price=entry.price, picture_limits=entry)
    limits = Limits(dollars_per_day=dollars)
    assistant = Assistant(database, ChatRouter([]), ImageRouter([route]), Conversation("", 0), limits)
    order = PictureOrder(origin(1), "a fox", 1344, 768, count=4)
    *_, end = [event async for event in assistant.imagine(order)]

    assert len(painter.calls) == made
    assert [row["cost_micros"] for row in await rows(database, "attempts")] == [6_000] * made
    assert isinstance(end, Pictures if made else Refusal)
