"""What a request costs, from what it used and its model's price."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from providers.base import Usage

Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000)]


class Price(BaseModel):
    """A model's price in dollars: tokens by the million, pictures each, by their million pixels, or both.

    `date` is the day on which it was checked; None: there is nothing to check, as with one's own server.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    date: date | None
    prompt: Dollars | None = None
    completion: Dollars | None = None
    cached_prompt: Dollars | None = None  # of those prompt tokens; None: they cost what the others do
    per_picture: Dollars | None = None
    per_megapixel: Dollars | None = None


# What one's own machine asks for.
FREE = Price(
    date=None, prompt=Decimal(0), completion=Decimal(0), per_picture=Decimal(0), per_megapixel=Decimal(0)
)


def cost_micros(price: Price | None, usage: Usage) -> int | None:
    """The cost in millionths of a dollar, rounded up; None when the price does not cover what was used.

    Thinking is part of the completion tokens. The prompt of a picture is part of the picture's price where
    tokens have none of their own.
    """
    if price is None:
        return None
    draws = price.per_picture is not None or price.per_megapixel is not None
    if usage.pictures and not draws:
        return None
    if not draws and (price.prompt is None or price.completion is None):
        return None
    prompt, zero = price.prompt or Decimal(0), Decimal(0)
    cached = min(usage.cached_tokens, usage.prompt_tokens)
    # A dollar for a million tokens or pixels is a millionth of a dollar for one.
    micros = (
        prompt * (usage.prompt_tokens - cached)
        + (prompt if price.cached_prompt is None else price.cached_prompt) * cached
        + (price.completion or zero) * usage.completion_tokens
        + (price.per_picture or zero) * 1_000_000 * usage.pictures
        + (price.per_megapixel or zero) * usage.pixels
    )
    return math.ceil(micros)


def dearest(prices: Iterable[Price | None], usage: Usage) -> int:
    """What that use costs at most, of those prices that cover it; 0 when none does."""
    return max((cost for price in prices if (cost := cost_micros(price, usage)) is not None), default=0)
