"""Pictures without a model: drawn by Pillow from prompt and seed, for the demo and for tests."""

from __future__ import annotations

import asyncio

from providers.base import ImageRequest, Key, Picture
from providers.catalog import Entry
from providers.pictures import encode_png
from providers.sketch.drawing import draw


class Sketch:
    """Draws the same picture for the same prompt, size and seed, and labels it as a sketch."""

    def __init__(self, entry: Entry) -> None:
        self.name = entry.name
        self.model = entry.model

    async def generate(self, request: ImageRequest, key: Key) -> Picture:
        """Draw one picture in a worker thread."""
        png = await asyncio.to_thread(_draw, request)
        return Picture(png, request.width, request.height, self.model, request.seed)


def _draw(request: ImageRequest) -> bytes:
    return encode_png(draw(request.prompt, width=request.width, height=request.height, seed=request.seed))
