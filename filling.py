"""A month of plausible use, made up for the demo, so that its reports have something to show."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import func, insert, select

from db.engine import Connection, Database
from db.ledger import Ending, attempts, requests
from db.rollup import add_to_rollup

DAYS = 60  # two months of 30 days, so that there is a change to be seen
DAY = 86400
# Vendor, model, dollars per million prompt and completion tokens (None: no price), and how often it is asked.
CHATS = (
    ("mistral", "mistral-small-latest", (0.1, 0.3), 12),
    ("groq", "openai/gpt-oss-120b", (0.15, 0.75), 5),
    ("openrouter", "some-maker/new-model", None, 1),
)
IMAGES = ("hf-nscale", "black-forest-labs/FLUX.1-schnell")
PICTURE_MICROS = 1_300
PRICE_DATE = "2026-10-01"
BUSY_HOURS = (8, 12, 13, 16, 18, 19, 20, 20, 21, 21, 22)


async def fill(
    database: Database, guild_id: int, channel_ids: Sequence[int], user_ids: Sequence[int], now: float
) -> bool:
    """Book two months of made-up use of a server; False when anything is booked already."""

    async def book(connection: Connection) -> bool:
        if await connection.scalar(select(func.count()).select_from(requests)):
            return False
        for row, ending in _month(random.Random(7), guild_id, channel_ids, user_ids, int(now)):
            of_request = {name: row[name] for name in ("interaction_id", "guild_id", "channel_id", "user_id")}
            await connection.execute(
                insert(requests).values(
                    **of_request,
                    command=row["command"],
                    created_at=row["sent_at"],
                    open=False,
                    reserved_tokens=0,
                    reserved_pictures=0,
                    outcome="failed" if ending.state == "unbilled" else "answered",
                )
            )
            figures = {name: getattr(ending, name) for name in Ending.__dataclass_fields__}
            values = {**row, **figures, "attempt": 1, "ended_at": row["sent_at"] + 4}
            values["price_date"] = PRICE_DATE if ending.cost_micros else ""
            await connection.execute(insert(attempts).values(values))
            await add_to_rollup(connection, row, ending.totals(row["fallback"]))
        return True

    return await database.run(book)


def _month(
    chance: random.Random, guild_id: int, channel_ids: Sequence[int], user_ids: Sequence[int], now: int
) -> Iterator[tuple[dict[str, Any], Ending]]:
    """Attempts in their order: more in the evening and at weekends, a few members ask most."""
    number = 0
    for age in range(DAYS, -1, -1):
        start = now - now % DAY - age * DAY
        weekend = 1.6 if start // DAY % 7 in (2, 3) else 1.0  # 1 January 1970 was a Thursday
        growth = 1.0 + (DAYS - age) / DAYS
        for _ in range(round(9 * weekend * growth * chance.uniform(0.6, 1.4))):
            sent_at = start + chance.choice(BUSY_HOURS) * 3600 + chance.randrange(3600)
            if sent_at >= now - 60:
                continue
            number += 1
            row, ending = _attempt(chance)
            row |= {
                # No real interaction has so small an id.
                "interaction_id": number,
                "sent_at": sent_at,
                "guild_id": guild_id,
                "channel_id": _early(chance, channel_ids),
                "user_id": _early(chance, user_ids),
            }
            yield row, ending


def _attempt(chance: random.Random) -> tuple[dict[str, Any], Ending]:
    if chance.random() < 0.15:
        provider, model = IMAGES
        ending = Ending(
            "settled",
            "provider",
            pictures=1,
            pixels=1024 * 1024,
            cost_micros=PICTURE_MICROS,
            delivered="full",
            total_ms=2900,
        )
        return _place("imagine", provider, model, fallback=False), ending
    weights = [often for *_, often in CHATS]
    provider, model, price, _ = chance.choices(CHATS, weights)[0]
    row = _place("ask", provider, model, fallback=provider != CHATS[0][0])
    if chance.random() < 0.03:
        return row, Ending("unbilled", error_class="rate", cost_micros=0, delivered="none", total_ms=120)
    prompt = round(math.exp(chance.gauss(6.3, 0.7)))
    completion = round(math.exp(chance.gauss(5.4, 0.6)))
    cost = None if price is None else round(prompt * price[0] + completion * price[1])
    estimated = chance.random() < 0.04
    ending = Ending(
        "estimated" if estimated else "settled",
        "tokenizer" if estimated else "provider",
        "interrupted" if estimated else "",
        prompt,
        completion,
        cost_micros=cost,
        delivered="partial" if estimated else "full",
        first_text_ms=420,
        total_ms=3800,
    )
    return row, ending


def _place(command: str, provider: str, model: str, *, fallback: bool) -> dict[str, Any]:
    key = f"{provider.upper().replace('-', '_')}_API_KEY"
    return {
        "command": command,
        "provider": provider,
        "model": model,
        "key_variable": key,
        "fallback": fallback,
    }


def _early(chance: random.Random, ids: Sequence[int]) -> int:
    """One of them, the first ones most often."""
    return ids[min(int(chance.expovariate(3.0 / len(ids))), len(ids) - 1)]
