"""Start to ready, and idle memory: Colloquy beside the smallest discord.py bot, against a fake Discord.

Each bot runs in a process of its own, the fake Discord in this one. The network's share is none. Colloquy's
very first start makes its database and is measured apart; the others find it, as nearly every start does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

ROUNDS = 5
DEADLINE_SECONDS = 60.0


def rss_mib() -> float:
    """This process's resident memory in MiB (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return float("nan")


async def be_a_bot(kind: str, folder: str, url: str, token: str) -> None:
    """In the child: log in, and print the memory once Discord has said READY."""
    from tests.fake_discord import point_discord_py_at

    with point_discord_py_at(url):
        if kind == "floor":
            import discord
            from discord import app_commands

            client = discord.Client(intents=discord.Intents.none(), max_messages=None)
            tree = app_commands.CommandTree(client)
            tree.command(name="ask", description="Ask")(_nothing)
            await report_when_connected(client, token)
        else:
            from pydantic import SecretStr

            from bot import open_bot
            from settings import Settings

            database = SecretStr(f"sqlite+aiosqlite:///{folder}/colloquy.db")
            settings = Settings(discord_token=SecretStr(token), database_url=database)
            async with open_bot(settings) as bot:
                await report_when_connected(bot, token)


async def _nothing(interaction: object) -> None:
    """The floor's only command."""


async def report_when_connected(client: object, token: str) -> None:
    """Run the client until it is connected, print this process's memory, and stop."""
    import discord

    assert isinstance(client, discord.Client)

    @client.event
    async def on_connect() -> None:
        print(json.dumps({"rss_mib": rss_mib()}), flush=True)
        await client.close()

    with suppress(asyncio.CancelledError):
        await client.start(token)


async def measure(kind: str, folder: str, url: str, token: str) -> tuple[float, float]:
    """In the parent: seconds from the child's start to its READY, and its memory then."""
    started = time.perf_counter()
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "benchmarks.start", "--child", kind, folder, url, token),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert child.stdout is not None
    async with asyncio.timeout(DEADLINE_SECONDS):
        line = await child.stdout.readline()
        took = time.perf_counter() - started
        await child.wait()
    return took, float(json.loads(line)["rss_mib"])


async def compare() -> dict[str, float]:
    """Colloquy's first start, then both bots in turn, several times; the median of each figure."""
    from tests.fake_discord import FakeDiscord

    figures: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with FakeDiscord() as fake:
            first, _ = await measure("colloquy", folder, fake.url, fake.token)
            figures["first_ready_s"] = [first]
            for kind, prefix in (("floor", "floor_"), ("colloquy", "")) * ROUNDS:
                seconds, mib = await measure(kind, folder, fake.url, fake.token)
                figures.setdefault(f"{prefix}ready_s", []).append(seconds)
                figures.setdefault(f"{prefix}rss_mib", []).append(mib)
    return {name: round(statistics.median(values), 3) for name, values in figures.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--child", nargs=4, metavar=("KIND", "FOLDER", "URL", "TOKEN"), help=argparse.SUPPRESS
    )
    arguments = parser.parse_args()
    if arguments.child:
        asyncio.run(be_a_bot(*arguments.child))
        return
    result = asyncio.run(compare())
    if arguments.json:
        print(json.dumps(result))
        return
    print(f"Start to READY and memory then, median of {ROUNDS}")
    print(f"{'':23}{'ready':>10}{'memory':>12}")
    for name, prefix in (("smallest discord.py bot", "floor_"), ("Colloquy", "")):
        print(f"{name:23}{result[f'{prefix}ready_s']:>8.2f} s{result[f'{prefix}rss_mib']:>8.1f} MiB")
    print(f"{'Colloquy, first start':23}{result['first_ready_s']:>8.2f} s")


if __name__ == "__main__":
    main()
