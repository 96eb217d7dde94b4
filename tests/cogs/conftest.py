"""What the tests of the cogs share: the real bot in a simulated server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import discord
import pytest
import simcord

from bot import open_bot
from db.engine import open_database
from db.verify import find_discrepancies
from providers.base import Key
from providers.router import ChatRouter, ImageRouter
from settings import Settings
from tests.cogs.world import OpenWorld, World
from tests.fakes import ScriptedChat, ScriptedImages, Step, chat_route, image_route


@pytest.fixture
async def open_world(database_url: str) -> AsyncIterator[OpenWorld]:
    """Build a server with a member and an admin around the real bot with scripted providers.

    After the test the bots have stopped, and their books must agree.
    """
    worlds: list[World] = []
    async with AsyncExitStack() as stack:

        async def build(
            *scripts: list[Step],
            images: ScriptedImages | None = None,
            chat_keys: Sequence[Key] = (),
            image_keys: Sequence[Key] = (),
            sees: bool = False,
        ) -> World:
            chat = ScriptedChat(*scripts)
            pictures = images or ScriptedImages()
            settings = Settings(discord_token="simulated", database_url=database_url, shard_count=1)
            bot = await stack.enter_async_context(
                open_bot(
                    settings,
                    chat_router=ChatRouter([chat_route(chat, *chat_keys, sees=sees)]),
                    image_router=ImageRouter([image_route(pictures, *image_keys)]),
                )
            )
            env = simcord.Env(bot)
            await env.start()
            stack.push_async_callback(env.shutdown)
            guild = env.create_guild(name="Test server")
            channel = guild.create_text_channel("general")
            member = guild.add_member(env.create_user("ada"))
            managers = guild.create_role(
                "managers", permissions=discord.Permissions(manage_guild=True, manage_messages=True)
            )
            admin = guild.add_member(env.create_user("grace"), roles=[managers])
            worlds.append(World(env, bot, channel, member, admin, chat, pictures))
            return worlds[-1]

        yield build
    for world in worlds:
        errors = [getattr(error, "original", error) for error in world.env.errors]
        assert [type(error) for error in errors] == world.expected_errors
    async with open_database(database_url) as database, database.transaction() as connection:
        assert await find_discrepancies(connection) == []
