"""What a picture model can do, as data, and fitting a request to it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from providers.base import ImageRequest
from providers.estimates import guess_tokens

# More than any model has a use for; members cannot ask for more.
MOST_STEPS = 150

Size = Annotated[str, Field(pattern=r"^[1-9]\d{1,3}x[1-9]\d{1,3}$")]


class PictureLimits(BaseModel):
    """What a picture model can do. Sides in pixels; a megapixel is a million of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sizes: tuple[Size, ...] = ()  # the only sizes it can make, as "1024x1024"; none: any within the bounds
    min_side: int = Field(64, ge=8, le=4096)
    max_side: int = Field(2048, ge=8, le=4096)
    multiple_of: int = Field(8, ge=1, le=256)  # what both sides are multiples of
    max_megapixels: float = Field(4.2, gt=0, le=16.8)
    steps: int | None = Field(None, ge=1)  # default; None: the model has none
    min_steps: int = Field(1, ge=1)
    max_steps: int = Field(12, ge=1, le=MOST_STEPS)
    guidance_scale: float | None = None  # default; None: none is sent unless a request names it
    max_guidance: float = Field(20, gt=0)
    takes: tuple[Literal["seed", "guidance", "negative"], ...] = ("seed",)  # what a request may choose
    prompt_tokens: int | None = Field(None, ge=1)  # how much of a prompt it reads; None: all of it

    @model_validator(mode="after")
    def _least_before_most(self) -> Self:
        if self.min_side > self.max_side or self.min_steps > self.max_steps:
            raise ValueError("min_side and min_steps must not be above max_side and max_steps")
        return self


def fit(request: ImageRequest, limits: PictureLimits) -> tuple[ImageRequest, tuple[str, ...]]:
    """The nearest request that the model can do, with its defaults filled in, and a sentence for each change.

    What the model has none of is None in it, and its negative prompt empty.
    """
    width, height = nearest_size(limits, request.width, request.height)
    steps, guidance, negative, seed = limits.steps, limits.guidance_scale, request.negative, request.seed
    notes = []
    if (width, height) != (request.width, request.height):
        asked = f"{request.width} x {request.height}"
        notes.append(f"This model makes {width} x {height}, the nearest to {asked}.")
    if request.steps is not None:
        if steps is None:
            notes.append("This model has no steps to choose.")
        else:
            steps = max(limits.min_steps, min(request.steps, limits.max_steps))
            if steps != request.steps:
                span = f"takes {limits.min_steps} to {limits.max_steps} steps"
                notes.append(f"This model {span}: it took {steps}, not {request.steps}.")
    if request.guidance is not None:
        if "guidance" not in limits.takes:
            notes.append("This model takes no guidance.")
        else:
            guidance = max(0.0, min(request.guidance, limits.max_guidance))
            if guidance != request.guidance:
                span = f"takes guidance from 0 to {limits.max_guidance:g}"
                notes.append(f"This model {span}: it took {guidance:g}, not {request.guidance:g}.")
    if negative and "negative" not in limits.takes:
        negative = ""
        notes.append("This model takes no negative prompt.")
    if seed is not None and "seed" not in limits.takes:
        seed = None  # no note: nobody need have asked for one, and that there is none shows by itself
    if limits.prompt_tokens is not None and guess_tokens(request.prompt) > limits.prompt_tokens:
        reads = f"reads about {limits.prompt_tokens} tokens of a prompt"
        notes.append(f"This model {reads}: the end of this one may be lost.")
    fitted = replace(
        request,
        width=width,
        height=height,
        steps=steps,
        guidance=guidance,
        negative=negative,
        seed=seed,
    )
    return fitted, tuple(notes)


def nearest_size(limits: PictureLimits, width: int, height: int) -> tuple[int, int]:
    """The size nearest to `width` x `height`, in shape before area, that the model can make."""
    if limits.sizes:

        def distance(size: tuple[int, int]) -> tuple[float, float]:
            w, h = size
            shape = abs(math.log(w / h) - math.log(width / height))
            return shape, abs(math.log(w * h) - math.log(width * height))

        return min((_sides(size) for size in limits.sizes), key=distance)
    # The same shape within all bounds, where there is one.
    scale = min(
        1.0,
        limits.max_side / max(width, height),
        math.sqrt(limits.max_megapixels * 1e6 / (width * height)),
    )
    scale = max(scale, min(limits.min_side / min(width, height), limits.max_side / max(width, height)))
    w, h = (_side(limits, side * scale) for side in (width, height))
    while w * h > limits.max_megapixels * 1e6 and max(w, h) > limits.min_side:  # rounded up too far
        w, h = (w - limits.multiple_of, h) if w >= h else (w, h - limits.multiple_of)
    return w, h


def _side(limits: PictureLimits, side: float) -> int:
    step = limits.multiple_of
    least, most = -(-limits.min_side // step) * step, limits.max_side // step * step
    return max(least, min(round(side / step) * step, most))


def _sides(size: str) -> tuple[int, int]:
    width, height = size.split("x")
    return int(width), int(height)
