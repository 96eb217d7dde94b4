"""Pictures without a model: drawn by Pillow from prompt and seed, for the demo and for tests."""

from __future__ import annotations

from providers.base import ImageRequest, Key, Picture
from providers.catalog import Entry
from providers.limits import fit
from providers.parameters import describe
from providers.pictures import in_worker
from providers.pixels import encode_png
from providers.sketch.drawing import draw


class Sketch:
    """Draws the same picture for the same request, and labels it as a sketch.

    What the negative prompt names is left out; with fewer steps than it takes, a picture stays unfinished.
    """

    def __init__(self, entry: Entry) -> None:
        self.name = entry.name
        self.model = entry.model
        self._entry = entry

    async def generate(self, request: ImageRequest, key: Key) -> Picture:
        """Draw one picture in a worker thread."""
        made, adjustments = fit(request, self._entry)
        seed = made.seed or 0
        png = await in_worker(self._draw, made, seed)
        return Picture(
            png,
            made.width,
            made.height,
            self.model,
            seed,
            made.steps,
            negative=made.negative,
            adjustments=adjustments,
        )

    def _draw(self, made: ImageRequest, seed: int) -> bytes:
        finished = 1.0 if made.steps is None else min(1.0, made.steps / self._entry.max_steps)
        size = made.width, made.height
        picture = draw(
            made.prompt,
            width=made.width,
            height=made.height,
            seed=seed,
            negative=made.negative,
            finished=finished,
        )
        parameters = describe(
            made.prompt,
            made.negative,
            steps=made.steps,
            seed=seed,
            size=size,
            model=self.model,
            guidance=None,
        )
        return encode_png(picture, parameters)
