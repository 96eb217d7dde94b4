"""Running a bot: what signals tell it, its way to Discord, and reading the settings anew."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
from discord.gateway import ReconnectWebSocket

from backups import keep_backups
from configuration import all_secrets
from logs import set_up_logging
from nightly import check_books
from providers.catalog import CatalogError
from settings import Settings, SettingsError
from sources import Variables

if TYPE_CHECKING:
    from bot import Colloquy
    from monitoring.server import Watch
    from sharding import ShardedBot

log = logging.getLogger("colloquy")

# Seconds between tries to reach Discord: doubled each time, up to the longest.
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0
# Of the identifies that Discord allows in a day (1,000), the last so many are spread over what is left of it.
SPARE_IDENTIFIES = 50
# What a running bot cannot change.
FIXED_SETTINGS = (
    *("discord_token", "database_url", "development_guild_id"),
    *("shard_count", "shard_ids", "watch_host", "watch_port"),
)

# Reads the settings of this host. Raises SettingsError.
Read = Callable[[], tuple[Settings, Variables]]


class Signals:
    """What the process is told from outside, for as long as the block lasts.

    SIGTERM or SIGINT (Ctrl-C) set `stop`; each further one cancels the task that entered the block, and so
    does the first while `opening` holds. SIGHUP sets `reload`, unless it says that the terminal was closed.
    Windows has none of them: there Ctrl-C cancels that task at once.
    """

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.reload = asyncio.Event()
        self.opening = True  # nobody is being answered yet, and it may wait for a server that is away

    def __enter__(self) -> Signals:
        task = asyncio.current_task()
        assert task is not None
        self._task: asyncio.Task[Any] = task
        self._in_terminal = sys.stderr.isatty()
        if sys.platform != "win32":
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGINT, self._stop)
            loop.add_signal_handler(signal.SIGTERM, self._stop)
            loop.add_signal_handler(signal.SIGHUP, self._reload)
        return self

    def __exit__(self, *_: object) -> None:
        if sys.platform != "win32":
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().remove_signal_handler(number)

    def _stop(self) -> None:
        if self.stop.is_set() or self.opening:
            self._task.cancel()
        self.stop.set()

    def _reload(self) -> None:
        if self._in_terminal and not os.isatty(sys.stderr.fileno()):  # it is gone
            self._stop()
        else:
            self.reload.set()


async def run(
    opening: AbstractAsyncContextManager[Colloquy], settings: Settings, variables: Variables, read: Read
) -> None:
    """Open the bot and run it until it is told to stop. Settings and `variables` are those it is built with.

    Raises discord.LoginFailure, what else of Discord no further try can mend, SettingsError when what is
    watched cannot be served where they say, and what the opening raises.
    """
    with Signals() as signals:
        try:
            # Watched from before it is open until it is closed.
            async with _watching(settings) as watch, opening as bot:
                signals.opening = False
                if watch is not None:
                    watch.bot = bot
                # What is there now stays. Else the garbage collector looks through all of it again and again,
                # and each time nobody is answered for up to a tenth of a second.
                gc.freeze()
                try:
                    await _serve(bot, signals, variables, read)
                finally:
                    if watch is not None:
                        watch.bot = None
        except asyncio.CancelledError:
            log.info("stopped at once")


@asynccontextmanager
async def _watching(settings: Settings) -> AsyncIterator[Watch | None]:
    """Serve health and figures, if the host wants that."""
    if settings.watch_port is None:
        yield None
        return
    from monitoring.server import Watch  # here, for what it imports takes 4 MiB

    watch = Watch()
    try:
        await watch.open(settings.watch_host, settings.watch_port)
    except OSError as error:
        place = f"{settings.watch_host}:{settings.watch_port}"
        reason = error.strerror or error
        # A port may become free, and an address appear some time after the machine has started.
        raise SettingsError(
            [f"WATCH_HOST, WATCH_PORT: nothing can be served at {place}: {reason}."],
            may_pass=not isinstance(error, PermissionError),
        ) from None
    try:
        yield watch
    finally:
        await watch.close()


async def _serve(bot: Colloquy, signals: Signals, variables: Variables, read: Read) -> None:
    """Let the bot answer until a signal says stop, then let it finish."""
    connection = asyncio.create_task(stay_connected(bot, bot.settings.discord_token.get_secret_value()))
    told = asyncio.create_task(signals.stop.wait())
    reloading = asyncio.create_task(_reload_when_told(bot, signals, variables, read))
    copying = asyncio.create_task(keep_backups(lambda: bot.settings, bot.tell_owner))
    checking = asyncio.create_task(check_books(bot.settings, bot.tell_owner))
    try:
        await asyncio.wait((connection, told), return_when=asyncio.FIRST_COMPLETED)
        if connection.done():
            await connection
        else:
            log.info("stopping: what is being answered gets %g seconds", bot.settings.stop_seconds)
            await bot.finish(bot.settings.stop_seconds)
    finally:
        tasks = (connection, told, reloading, copying, checking)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def stay_connected(bot: ShardedBot, token: str, first_pause: float = FIRST_PAUSE_SECONDS) -> None:
    """Log in, connect, and stay so until the bot is closed, however often that takes another try.

    Once a shard was connected, discord.py tries again by itself. Raises discord.LoginFailure for a token that
    Discord does not know, and what else no further try can mend.
    """
    pause = first_pause
    logged_in = False
    while True:
        try:
            if not logged_in:
                await bot.login(token)
                logged_in = True
            await _spare_identifies(bot)
            await bot.connect()
            return
        except Exception as error:
            if not _may_pass(error):
                raise
            log.warning(
                "Discord cannot be reached (%s); the next try is in %.0f seconds", type(error).__name__, pause
            )
        if not logged_in:  # another login makes another session, and would leave this one open
            await bot.http.close()
            bot.http.connector = discord.utils.MISSING
        await asyncio.sleep(pause * random.uniform(0.8, 1))
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _may_pass(error: BaseException) -> bool:
    """Whether another try may go better."""
    if isinstance(error, discord.GatewayNotFound) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, discord.HTTPException):
        return error.status == 429 or error.status >= 500
    if isinstance(error, discord.ConnectionClosed):  # while it was greeted; else it is no reason to be here
        return error.code == 1000
    return isinstance(error, (OSError, aiohttp.ClientError, ReconnectWebSocket))


async def _spare_identifies(bot: ShardedBot) -> None:
    """Wait when few identifies are left: after the last one Discord would reset the bot's token."""
    while True:
        advised, _, limit = await bot.http.get_bot_gateway()
        shards = len(bot.shard_ids) if bot.shard_ids else bot.shard_count or advised
        starts, reset_after = limit["remaining"] // max(1, shards), limit["reset_after"] / 1000
        if starts > SPARE_IDENTIFIES:
            return
        seconds = reset_after / max(1, starts)
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        log.error(
            "Discord lets this bot connect %d more times in the next %.1f hours, and resets its token after "
            "that. So the bot waits until %s UTC. Find out what restarts it.",
            starts,
            reset_after / 3600,
            f"{until:%Y-%m-%d %H:%M:%S}",
        )
        with bot.waiting():
            await asyncio.sleep(seconds)
        if starts > 0:
            return


async def _reload_when_told(bot: Colloquy, signals: Signals, variables: Variables, read: Read) -> None:
    """Read the settings again at every signal; those with mistakes change nothing."""
    # Answers that began with an old key may still log it.
    secrets = set(all_secrets(bot.settings, variables))
    while True:
        await signals.reload.wait()
        signals.reload.clear()
        before = bot.settings
        try:
            settings, variables = await asyncio.to_thread(read)
            secrets.update(all_secrets(settings, variables))
            bot.adopt(settings, variables.find)
        except Exception as error:
            problems = [f"{type(error).__name__}: {error}"]
            if isinstance(error, (SettingsError, CatalogError)):
                problems = error.problems
            for problem in problems:
                log.error("the new settings have a mistake: %s", problem)
            log.error("the bot goes on with its old settings")
            bot.tell_owner("The new settings have mistakes, which the log lists: the old ones stay in force.")
            continue
        set_up_logging(settings.log_level, secrets, settings.log_format)
        log.info("the settings were read again")
        for name in _fixed(before, settings):
            sentence = f"{name} has changed in the settings. The bot has to be restarted for that."
            log.warning("%s", sentence)
            bot.tell_owner(sentence)


def _fixed(before: Settings, after: Settings) -> list[str]:
    """The settings that differ and that a running bot cannot change."""
    names = [name.upper() for name in FIXED_SETTINGS if getattr(before, name) != getattr(after, name)]
    if before.chat.answer_mentions != after.chat.answer_mentions:
        names.append("[chat] answer_mentions")
    return names
