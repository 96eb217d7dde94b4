"""Runs the real bot against a fake Discord, in a process of its own that a test can kill.

Arguments: the fake Discord's address, its token, the database's URL, and the address of a fake vendor.
"""

from __future__ import annotations

import asyncio
import sys

from pydantic import SecretStr

from bot import open_bot
from logs import set_up_logging
from settings import Settings
from tests.fake_discord import point_discord_py_at


async def run(discord_url: str, token: str, database_url: str, vendor_url: str) -> None:
    settings = Settings(
        discord_token=SecretStr(token),
        database_url=SecretStr(database_url),
        chat_chain=("openai",),
        image_chain=("openai-images",),
        providers={"openai": {"base_url": vendor_url}, "openai-images": {"base_url": vendor_url}},
    )
    with point_discord_py_at(discord_url):
        async with open_bot(settings, lambda name: [(name, SecretStr("key-of-the-test"))]) as bot:
            await bot.start(token)


if __name__ == "__main__":
    set_up_logging("INFO")
    asyncio.run(run(*sys.argv[1:5]))
