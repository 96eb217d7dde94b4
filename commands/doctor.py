"""Check everything that the bot needs, and say what to do about what is not well: the settings, the Discord
token, the database, and with one short question each, every provider and key. The questions use a few tokens.

examples:
  python bot.py doctor
  python bot.py doctor --pictures          have one picture made with each key as well, which may cost
  python bot.py doctor --json | jq '.checks[] | select(.ok | not)'

exit status: 0 all is well, 1 something is not
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp
import discord

from configuration import configure
from db.engine import DatabaseUnusable, open_database
from providers.base import (
    ChatProvider,
    ChatRequest,
    Completion,
    Delta,
    ImageProvider,
    ImageRequest,
    Key,
    Message,
)
from providers.catalog import load_catalog
from providers.chains import (
    DEFAULT_CHAT_CHAIN,
    DEFAULT_IMAGE_CHAIN,
    build_chat_router,
    build_image_router,
    warn_of_retired,
)
from providers.deadline import BEGUN, Deadline
from providers.route import Route
from providers.router import as_provider_error
from settings import Settings, SettingsError

QUESTION = ChatRequest((Message("user", "Reply with the word ok."),), max_tokens=64)

REMEDIES = {
    "auth": "Make a new key at the vendor and put it in place of this one.",
    "not_entitled": "Choose another model for this provider, or another plan at the vendor.",
    "exhausted": "Buy credit at the vendor, wait until the quota opens again, or add another account's key.",
    "rate": "Nothing is broken: wait a minute, or add a key of another account.",
    "retired": "Set another model for this provider in colloquy.toml.",
    "bad_request": "Check the fields of this provider in colloquy.toml against the vendor's documentation.",
    "too_long": "Choose a model with a larger context.",
    "content": "Nothing is broken: the vendor's filter did not like the test.",
    "transient": "Check base_url, this machine's network and any proxy; the vendor may also be down.",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was examined. `remedy` is what to do when it is not `ok`."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line's options."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--pictures",
        action="store_true",
        help="also make one picture with each key, which may cost",
    )


def main(options: argparse.Namespace) -> int:
    """Examine the settings of this folder; 0: all is well, 1: something is not."""
    checks = asyncio.run(_collect(options.pictures, quiet=options.json))
    if options.json:
        print(json.dumps({"ok": all(check.ok for check in checks), "checks": [asdict(c) for c in checks]}))
    return 0 if all(check.ok for check in checks) else 1


async def _collect(pictures: bool, *, quiet: bool) -> list[Check]:
    checks = []
    async for check in examine(Path(), pictures=pictures):
        checks.append(check)
        if not quiet:
            print(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.detail}", flush=True)
            if check.remedy and not check.ok:
                print(f"      {check.remedy}", flush=True)
    return checks


async def examine(folder: Path, *, pictures: bool) -> AsyncIterator[Check]:
    """Yield each check as it is made. A call to a provider uses a few tokens, which are not booked."""
    try:
        settings, variables = configure(os.environ, folder)
    except SettingsError as error:
        for problem in error.problems:
            yield Check("settings", False, problem, "Put this right in .env or colloquy.toml.")
        return
    yield Check("settings", True, "complete")
    yield await _check_token(settings)
    yield await _check_database(settings)
    entries = load_catalog(settings.providers)
    chat_chain = settings.chat_chain if settings.chat_chain is not None else DEFAULT_CHAT_CHAIN
    image_chain = settings.image_chain if settings.image_chain is not None else DEFAULT_IMAGE_CHAIN
    for warning in warn_of_retired(entries, (*chat_chain, *image_chain), variables.find):
        yield Check("retired", False, warning, "Take it out of the settings.")
    async with aiohttp.ClientSession() as session:
        chat = build_chat_router(entries, chat_chain, variables.find, session)
        images = build_image_router(entries, image_chain, variables.find, session)
        for command, router in (("/ask", chat), ("/imagine", images)):
            if not router.routes:
                yield Check(command, False, "nobody can be asked", "Set a key, see .env.example.")
        for route in chat.routes:
            for key in route.keys:
                yield await check_chat(route, key)
        for picture_route in images.routes:
            for key in picture_route.keys:
                if pictures:
                    yield await _check_pictures(picture_route, key)
                else:
                    yield Check(
                        f"{picture_route.label} {key.variable}".strip(),
                        True,
                        "not tried, since a picture may cost; add --pictures",
                    )


async def _check_token(settings: Settings) -> Check:
    client = discord.Client(intents=discord.Intents.none())
    try:
        async with client:
            await client.login(settings.discord_token.get_secret_value())
            return Check("Discord", True, f"logged in as {client.user}")
    except discord.LoginFailure:
        remedy = "Copy it again from the page Bot of https://discord.com/developers/applications."
        return Check("Discord", False, "DISCORD_TOKEN was refused", remedy)
    except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
        return Check(
            "Discord", False, f"not reachable: {type(error).__name__}", "Check this machine's network."
        )


async def _check_database(settings: Settings) -> Check:
    try:
        async with open_database(settings.database_url.get_secret_value()):
            return Check("database", True, "can be written, and its schema is current")
    except DatabaseUnusable as error:
        if "already running" in str(error):
            return Check("database", True, "in use by a running bot")
        return Check("database", False, str(error), "See above.")


async def check_chat(route: Route[ChatProvider], key: Key) -> Check:
    """Ask one provider with one key a short question."""
    name = f"{route.label} {key.variable}".strip()
    try:
        # It may take as long as a member's question: a server of one's own may have to load its model.
        with Deadline(route.total_seconds, route.idle_seconds) as deadline:
            async with aclosing(route.provider.stream(QUESTION, key)) as events:
                deadline.begin(route.first_text_seconds)
                async for event in events:
                    if isinstance(event, Completion):
                        usage = event.usage
                        used = f" ({usage.prompt_tokens} + {usage.completion_tokens} tokens)"
                        return Check(name, True, f"answered{'' if usage.estimated else used}")
                    if isinstance(event, Delta):
                        deadline.wait = BEGUN
    except Exception as reason:
        return _failure(name, reason)
    return Check(name, False, "ended without an answer", REMEDIES["transient"])


async def _check_pictures(route: Route[ImageProvider], key: Key) -> Check:
    name = f"{route.label} {key.variable}".strip()
    try:
        async with asyncio.timeout(route.total_seconds):
            picture = await route.provider.generate(ImageRequest("a small grey stone", 512, 512, 1), key)
    except Exception as reason:
        return _failure(name, reason)
    return Check(name, True, f"made a picture of {picture.width} x {picture.height}")


def _failure(name: str, reason: Exception) -> Check:
    error = as_provider_error(reason)
    return Check(name, False, f"{error.kind}: {error.detail}", REMEDIES[error.kind])
