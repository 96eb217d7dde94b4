"""How others lost spend, with the whole bot between the two sockets; the rest is in tests/assistant.

The numbers are those of a widely used proxy's issues.
"""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from bot import open_bot
from db.engine import open_database
from settings import Limits, Settings, SettingsError
from tests.fake_discord import FakeDiscord
from tests.fake_vendors import FakeVendor, chunk, events, usage
from tests.living_bot import living_bot, rows, until_done


async def test_answers_with_one_id_are_rows_of_their_own(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """6633: the vendor's id is empty, missing or always the same; each answer is booked with its figures."""
    ids: list[Any] = ["", "", None, "answer-1", "answer-1"]
    for number, answer_id in enumerate(ids, 1):
        pieces = (chunk("Yes."), chunk(finish_reason="stop"), chunk(choices=[], usage=usage(number, 1)))
        vendor.reply(events(*(piece | {"id": answer_id} for piece in pieces)))
    async with living_bot(fake, database_url, vendor.url) as bot:
        for _ in ids:
            await until_done(bot, await fake.slash("ask", {"prompt": "Really?"}))

    async with open_database(database_url) as database:
        booked = await rows(database, "attempts")
    assert [(row["state"], row["prompt_tokens"]) for row in booked] == [
        ("settled", number) for number in range(1, 6)
    ]


async def test_a_bot_whose_accounting_could_not_work_does_not_start(database_url: str) -> None:
    """19163, 23019: with a limit in dollars and no price for any model, it says what to set, and ends."""
    unpriced = {
        "wire": "chat-completions",
        "base_url": "http://127.0.0.1:9/v1",
        "model": "nobody-knows",
        "keys": ("SOME_KEY",),
    }
    settings = Settings(
        discord_token="x" * 30,
        database_url=database_url,
        chat_chain=("unpriced",),
        image_chain=(),
        providers={"unpriced": unpriced},
        limits=Limits(server_dollars_per_month=5),
    )
    with pytest.raises(SettingsError, match=r"server_dollars_per_month.*\[providers.NAME.prices\]"):
        async with open_bot(settings, lambda name: [(name, SecretStr("a-key"))]):
            raise AssertionError("it has started")
