"""The way in: `open_bot()` builds everything, `main()` runs it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import discord
from discord import app_commands
from discord.ext import commands

from assistant import Assistant, KeyMemory
from building import Builder
from cogs import messages
from cogs.answering import Answers
from cogs.attachments import FileReader
from cogs.discord_calls import DiscordCalls, DiscordResting, Outcome
from cogs.drawing import Drawings
from cogs.errors import SORRY, sentence_for
from cogs.tokens import Seal
from commands import EXIT_CONFIGURATION, parse, perform, refuse
from configuration import all_secrets, configure
from db.engine import DatabaseError, DatabaseUnusable, open_database
from db.files import explain
from db.keeping import end_orphans, keeping, wait_to_identify
from logs import request_id, set_up_logging
from providers.catalog import CatalogError
from providers.keys import FindSecrets
from providers.route import State
from providers.router import ChatRouter, ImageRouter
from running import run
from settings import Settings, SettingsError
from sharding import ShardedBot

log = logging.getLogger("colloquy")

T = TypeVar("T")

EXTENSIONS = (
    "cogs.ask",
    "cogs.ask_about",
    "cogs.imagine",
    "cogs.picture_info",
    "cogs.usage",
    "cogs.weekly",
    "cogs.host",
    "cogs.budget",
    "cogs.forget",
    "cogs.last",
    "cogs.status",
    "cogs.unfinished",
)

TWIN = "Another process answers for this bot, so it seems to run twice with one token. Stop one of the two."
# How long a stop waits for finished answers to reach Discord.
DELIVERY_SECONDS = 5.0


class Tree(app_commands.CommandTree[Any]):
    """The commands, the one place where their errors are answered, and who is being answered."""

    def __init__(self, client: Colloquy) -> None:
        super().__init__(client)
        self.running: set[asyncio.Task[Any]] = set()
        self._twin_told = False  # whether the owner knows that another process answers, too

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        """Note the task that answers this interaction; everyone may go on."""
        self._note_running(interaction.id)
        return True

    def _note_running(self, number: int) -> None:
        request_id.set(number)
        if task := asyncio.current_task():
            self._look_after(task)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do this in a task of its own, which the bot waits for when it stops."""
        task = asyncio.create_task(work)
        self._look_after(task)
        return task

    def _look_after(self, task: asyncio.Task[Any]) -> None:
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    async def answer_press(self, interaction: discord.Interaction[Any], work: Awaitable[None]) -> None:
        """Do what a button asks for, with the care that commands get: discord.py only logs its errors."""
        self._note_running(interaction.id)
        try:
            await work
        except Exception as error:
            await self._answer_error(interaction, error)

    async def answer_message(
        self, message_id: int, work: Awaitable[None], tell: Callable[[str], Awaitable[None]]
    ) -> None:
        """Do what a message asks for, with the same care; `tell` shows its author a sentence."""
        self._note_running(message_id)
        try:
            await work
        except Exception as error:
            log.error("a message could not be answered", exc_info=error)
            await self.client.calls.attempt(tell(SORRY))

    async def on_error(
        self, interaction: discord.Interaction[Any], error: app_commands.AppCommandError, /
    ) -> None:
        """Tell the member what is wrong in one sentence, and the host in the log."""
        cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
        await self._answer_error(interaction, cause)

    async def _answer_error(self, interaction: discord.Interaction[Any], cause: Exception) -> None:
        if isinstance(cause, DiscordResting) or (
            isinstance(cause, discord.HTTPException) and not interaction.response.is_done()
        ):
            # The deferral came too late (10062), or another process answered first (40060). Nobody was
            # asked and nothing booked; there is no one left to tell.
            log.warning("interaction %d could not be answered: %s", interaction.id, cause)
            if getattr(cause, "code", None) == 40060:
                log.error("another process answers for this bot: is it running twice?")
                if not self._twin_told:
                    self._twin_told = True
                    self.client.tell_owner(TWIN)
            return
        sentence = sentence_for(cause)
        if sentence is SORRY:
            name = f"command {interaction.command.qualified_name}" if interaction.command else "button"
            log.error("the %s failed (interaction %d)", name, interaction.id, exc_info=cause)
        if not interaction.response.is_done():
            call = await self.client.calls.attempt(
                interaction.response.send_message(sentence, ephemeral=True)
            )
            if call.outcome is Outcome.ARRIVED:
                return
            # The deferral may have arrived all the same, and only Discord's answer to it got lost.
        await self.client.calls.attempt(interaction.edit_original_response(content=sentence, view=None))


class Colloquy(ShardedBot):
    """The bot. It reads messages only where the host wants mentions answered: commands need no intent."""

    tree: Tree

    def __init__(
        self,
        assistant: Assistant,
        settings: Settings,
        builder: Builder,
        wait_to_identify: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.calls = DiscordCalls()
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self.calls.before_request)
        trace.on_request_end.append(self.calls.after_reply)
        trace.on_request_exception.append(self.calls.after_failure)
        super().__init__(
            wait_to_identify=wait_to_identify,
            shard_count=settings.shard_count,
            shard_ids=settings.shard_ids,
            command_prefix=commands.when_mentioned,
            help_command=None,
            intents=messages.INTENTS if settings.chat.answer_mentions else discord.Intents.none(),
            allowed_mentions=discord.AllowedMentions.none(),
            member_cache_flags=discord.MemberCacheFlags.none(),
            max_messages=None,
            http_trace=trace,
            guild_ready_timeout=0,  # without the intent for them, there are no guilds to wait for
            tree_cls=Tree,
            allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
            allowed_contexts=app_commands.AppCommandContext(
                guild=True, dm_channel=True, private_channel=False
            ),
        )
        self.assistant = assistant
        self.settings = settings
        self._builder = builder
        self._answers_mentions = settings.chat.answer_mentions
        self.answers = Answers(assistant, footer=settings.chat.footer)
        self.files = FileReader()
        self.seal = Seal(settings.discord_token.get_secret_value())
        self.drawings = Drawings(assistant, self.answers.stops)

    async def setup_hook(self) -> None:
        """Load the commands and tell Discord of them: one request, which creates only what has changed."""
        for extension in (*EXTENSIONS, "cogs.mention") if self._answers_mentions else EXTENSIONS:
            if extension not in self.extensions:  # from a login that failed later on
                await self.load_extension(extension)
        if self.settings.development_guild_id is not None:
            guild = discord.Object(self.settings.development_guild_id)
            self.tree.copy_global_to(guild=guild)
            await self.tree.sync(guild=guild)
        await self.tree.sync()
        log.info("logged in as %s. To add the bot to a server, open %s", self.user, self._invitation())

    def _invitation(self) -> str:
        client_id = self.application_id or 0
        if self._answers_mentions:  # only as a member of the server does the bot hear messages
            return discord.utils.oauth_url(client_id, permissions=messages.PERMISSIONS)
        return discord.utils.oauth_url(client_id, scopes=("applications.commands",))

    async def on_message(self, message: discord.Message, /) -> None:
        """Take no text commands: what mentions mean is the affair of `cogs.mention`."""

    def tell_owner(self, sentence: str) -> None:
        """Post a notice in the channel that the host has set for it, if any."""
        if self.settings.owner_channel_id is not None and self.is_ready():
            channel = self.get_partial_messageable(self.settings.owner_channel_id)
            self.tree.start(self.calls.attempt(channel.send(sentence)))

    async def on_ready(self) -> None:
        """Say that the bot is there."""
        log.info("connected to Discord")

    def adopt(self, settings: Settings, find_keys: FindSecrets) -> None:
        """Answer by other settings from now on; what is being answered keeps those it began with.

        Raises CatalogError, SettingsError, and has changed nothing then.
        """
        self.assistant.adopt(*self._builder.build(settings, find_keys))
        self.settings = settings
        self.answers.footer = settings.chat.footer

    async def finish(self, seconds: float = 0) -> None:
        """Take nothing new, give what is being answered so many seconds, and cut off and book the rest."""
        await self.assistant.stop(seconds)
        if delivering := set(self.tree.running):  # answers that are booked and on their way to Discord
            await asyncio.wait(delivering, timeout=DELIVERY_SECONDS)


@asynccontextmanager
async def open_bot(
    settings: Settings,
    find_keys: FindSecrets = lambda _: (),
    *,
    chat_router: ChatRouter | None = None,
    image_router: ImageRouter | None = None,
) -> AsyncIterator[Colloquy]:
    """Build the whole bot from its settings, and own what it holds: database, HTTP session, bot.

    `find_keys` yields the keys that a setting's name stands for; a router that is handed in (by tests)
    takes the place of the one the settings describe. The bot has not connected yet. At the end, what is
    still being answered is cut off and booked. Raises CatalogError, SettingsError, DatabaseUnusable.
    """
    async with (
        open_database(settings.database_url.get_secret_value(), patient=True) as database,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        state = State(KeyMemory(database))
        try:
            await end_orphans(database)
            await state.pool.load()
        except DatabaseError as error:
            reason, remedy, may_pass = explain(error)
            raise DatabaseUnusable(
                f"The database cannot be used: {reason}. {remedy}", may_pass=may_pass or database.process > 0
            ) from None
        builder = Builder(session, state, chat_router, image_router)
        assistant = Assistant(database, *builder.build(settings, find_keys))
        # Processes that share the shards share what Discord lets them identify, too.
        wait = partial(wait_to_identify, database) if database.process and settings.shard_ids else None
        async with (
            Colloquy(assistant, settings, builder, wait) as bot,
            keeping(database, state.pool.refresh),
        ):
            for listeners in (state.notices.listeners, database.listeners):
                listeners.append(bot.tell_owner)
            try:
                yield bot
            finally:
                await bot.finish()


def main(arguments: list[str]) -> int:
    """Start the bot with the settings of this folder, or do another command; return the exit status."""
    options = parse(arguments)
    os.umask(0o077)  # what is written holds what members wrote: nobody else on the machine shall read it
    if options.command != "run":
        set_up_logging("WARNING")
        return perform(options)
    set_up_logging("INFO")
    try:
        read = partial(configure, os.environ, Path())
        settings, variables = read()
        set_up_logging(settings.log_level, all_secrets(settings, variables), settings.log_format)
        asyncio.run(run(open_bot(settings, variables.find), settings, variables, read))
    except (SettingsError, CatalogError, DatabaseUnusable) as error:
        return refuse(error, "Colloquy cannot start. ")
    except discord.LoginFailure:
        print(
            "Colloquy cannot start. Discord refused DISCORD_TOKEN. Copy it again from the page Bot of your "
            "application at https://discord.com/developers/applications.",
            file=sys.stderr,
        )
        return EXIT_CONFIGURATION
    except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
        log.error("Discord cannot be reached: %s", error)
        return 1
    except Exception:  # into the log, which strikes out secrets
        log.exception("Colloquy ended with a fault of its own")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
