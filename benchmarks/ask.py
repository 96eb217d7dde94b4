"""`/ask` under load: the bot beside the least that discord.py needs to stream an answer, in the same run.

Answers of 300 chunks over 4 seconds, offered at 50 and at 90 per second. The bot (discord.py, its books in
an SQLite file and all) runs in a process of its own, the vendor in another, the fake Discord here, with real
sockets between them. The floor is a discord.py handler that defers, streams the same bytes with aiohttp,
makes the same edits and stores nothing. Each question is a member's only one, three come from a channel.

CPU is what the bot's process takes, all threads, from the first question to the last final text.
Acknowledged: from the interaction's dispatch to its callback, as Discord sees it. First text: from the
vendor's first byte of text to the edit that shows it. Loop lag: how late a task is woken that asks for it
every 5 ms. Lost: no final text in time. At the end the books are checked. Network and TLS have no share.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.children import Child, open_child
from benchmarks.streaming_vendor import END
from tests.fake_discord import FakeDiscord, FakeInteraction, FakeUser

RATES = (50.0, 90.0)
ANSWERS = 400
CHUNKS = 300
SECONDS = 4.0
WARM_UP = 20
PER_CHANNEL = 3
LONG_RUN = 10_000
LONG_RUN_STEP = 1_000
LONG_RUN_RATE = 25.0  # it is about memory, not about speed
# How long after the last question its answer may come; an overloaded bot has a queue to work off.
GRACE_SECONDS = 45.0


@dataclass(frozen=True, slots=True)
class Load:
    """How much is asked, and how long an answer takes its vendor."""

    answers: int = ANSWERS
    chunks: int = CHUNKS
    seconds: float = SECONDS


@dataclass(frozen=True, slots=True)
class Figures:
    """What one bot showed at one rate. Cores are the shares of one core that the fakes took."""

    cpu_ms_per_answer: float
    ack_p50_ms: float
    ack_p99_ms: float
    first_text_p99_ms: float
    loop_lag_p99_ms: float
    rss_mib: float
    lost: int
    answers_per_second: float
    bot_cores: float
    discord_cores: float
    vendor_cores: float


class Scene:
    """A fake Discord and a vendor with one bot between them."""

    def __init__(self, fake: FakeDiscord, vendor: Child, bot: Child, load: Load) -> None:
        self.bot = bot
        self._fake = fake
        self._vendor = vendor
        self._load = load
        self._asked = 0
        self._loads = 0
        self.acknowledged = 0

    async def warm_up(self) -> None:
        """Import, connect and compile what the first answers have to, unmeasured."""
        await self._ask_all(min(WARM_UP, self._load.answers), WARM_UP)

    async def measure(self, rate: float) -> Figures:
        """Ask so many questions per second, whatever becomes of them, and say what was seen."""
        await self._vendor.ask("begin")
        await self.bot.ask("begin")
        began, cpu_began = time.perf_counter(), time.process_time()
        asked = await self._ask_all(self._load.answers, rate)
        took, cpu_took = time.perf_counter() - began, time.process_time() - cpu_began
        bot, vendor = await self.bot.ask("end"), await self._vendor.ask("end")
        acknowledged = [
            one.acknowledged_at - one.dispatched_at for one in asked if one.acknowledged_at is not None
        ]
        return Figures(
            cpu_ms_per_answer=1000 * bot["cpu_s"] / len(asked),
            ack_p50_ms=1000 * percentile(acknowledged, 50),
            ack_p99_ms=1000 * percentile(acknowledged, 99),
            first_text_p99_ms=1000 * percentile(first_text_delays(asked, vendor["first_bytes"]), 99),
            loop_lag_p99_ms=1000 * percentile(bot["lags"], 99),
            rss_mib=bot["rss_mib"],
            lost=sum(not is_final(one) for one in asked),
            answers_per_second=len(asked) / took,
            bot_cores=bot["cpu_s"] / took,
            discord_cores=cpu_took / took,
            vendor_cores=vendor["cpu_s"] / took,
        )

    async def _ask_all(self, count: int, rate: float) -> list[FakeInteraction]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        # Channels of its own for each load: no conversation is longer in the last one than in the first.
        self._loads += 1
        first_channel = 300_000_000_000_000_000 + self._loads * 1_000_000
        asked = []
        for number in range(count):
            await asyncio.sleep(began + number / rate - loop.time())
            self._asked += 1
            asked.append(
                await self._fake.slash(
                    "ask",
                    {"prompt": f"question {self._asked}"},
                    user=FakeUser(200_000_000_000_000_000 + self._asked, f"member{self._asked}"),
                    channel_id=first_channel + self._asked % math.ceil(count / PER_CHANNEL),
                )
            )
        waiting = asked[::-1]

        def all_final() -> bool:  # is asked after each request, so it may not look at all of them
            while waiting and is_final(waiting[-1]):
                waiting.pop()
            return not waiting

        with suppress(TimeoutError):
            await self._fake.until(all_final, self._load.seconds + GRACE_SECONDS)
            async with asyncio.timeout(GRACE_SECONDS):  # the end may have been seen before the last edit
                while await self.bot.ask("running"):  # noqa: ASYNC110 (it is in another process)
                    await asyncio.sleep(0.05)
        self.acknowledged += sum(one.acknowledged_at is not None for one in asked)
        return asked

    def forget(self) -> None:
        """Drop what the fake Discord remembers: it looks through all of it at every request."""
        self._fake.interaction_by_token.clear()
        for memory in (self._fake.interactions, self._fake.messages, self._fake.requests):
            memory.clear()


def is_final(interaction: FakeInteraction) -> bool:
    """Whether the member sees the answer's end."""
    return interaction.original is not None and END in interaction.original.content


def first_text_delays(asked: Sequence[FakeInteraction], first_bytes: dict[str, float]) -> list[float]:
    """Seconds from the first byte of text to the first edit; both clocks are the machine's monotonic one."""
    delays = []
    for interaction in asked:
        question = interaction.payload["data"]["options"][0]["value"].removeprefix("question ")
        versions = interaction.original.versions if interaction.original is not None else []
        shown = next((version.at for version in versions if version.content), None)
        if shown is not None and question in first_bytes:
            delays.append(shown - first_bytes[question])
    return delays


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many percent lie at or below; not a number when there are none."""
    if len(values) < 2:
        return values[0] if values else math.nan
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


@asynccontextmanager
async def open_scene(kind: str, load: Load, database_url: str) -> AsyncIterator[Scene]:
    """Start the three and wait until the bot is connected and warm."""
    async with (
        FakeDiscord() as fake,
        open_child("benchmarks.streaming_vendor", str(load.chunks), str(load.seconds)) as vendor,
    ):
        vendor_url = f"http://127.0.0.1:{await vendor.ask('')}"
        arguments = (kind, fake.url, fake.token, vendor_url, database_url)
        async with open_child("benchmarks.ask_bots", *arguments) as bot:
            await fake.ready(timeout=30)
            scene = Scene(fake, vendor, bot, load)
            await scene.warm_up()
            yield scene


async def check_books(scene: Scene) -> None:
    """Stop the bot. Raises RuntimeError unless every question it took on is booked, once and settled."""
    books = await scene.bot.last_words()
    if books != {"requests": scene.acknowledged, "settled": scene.acknowledged, "discrepancies": []}:
        raise RuntimeError(f"after {scene.acknowledged} questions the books hold {books}")


async def compare(rates: Sequence[float], load: Load) -> dict[float, tuple[Figures, Figures]]:
    """The floor's and Colloquy's figures at each rate."""
    result = {}
    for rate in rates:
        with tempfile.TemporaryDirectory() as folder:
            database_url = f"sqlite+aiosqlite:///{Path(folder, 'colloquy.db')}"
            async with open_scene("floor", load, "") as scene:
                floor = await scene.measure(rate)
            async with open_scene("colloquy", load, database_url) as scene:
                colloquy = await scene.measure(rate)
                await check_books(scene)
        result[rate] = floor, colloquy
    return result


def as_json(floor: Figures, colloquy: Figures) -> dict[str, Any]:
    """One rate's figures by the names that are promised."""
    return {
        "cpu_ms_per_answer": round(colloquy.cpu_ms_per_answer, 2),
        "floor_cpu_ms_per_answer": round(floor.cpu_ms_per_answer, 2),
        "ack_p50_ms": round(colloquy.ack_p50_ms, 2),
        "ack_p99_ms": round(colloquy.ack_p99_ms, 2),
        "first_text_p99_ms": round(colloquy.first_text_p99_ms, 2),
        "loop_lag_p99_ms": round(colloquy.loop_lag_p99_ms, 2),
        "rss_mib": round(colloquy.rss_mib, 1),
        "lost": colloquy.lost,
    }


def print_table(rate: float, floor: Figures, colloquy: Figures, load: Load) -> None:
    """Both bots side by side, with the aims."""
    print(
        f"{load.answers} answers of {load.chunks} chunks in {load.seconds:g} s, {rate:g} offered per second"
    )
    print(f"{'':28}{'floor':>10}{'Colloquy':>10}")
    ratio = colloquy.cpu_ms_per_answer / floor.cpu_ms_per_answer
    rows = (
        ("CPU per answer, ms", "cpu_ms_per_answer", f"{ratio:.2f} times the floor (aim: 1.3 at most)"),
        ("acknowledged p50, ms", "ack_p50_ms", ""),
        ("acknowledged p99, ms", "ack_p99_ms", "aim: under 250 at 50 per second"),
        ("first text p99, ms", "first_text_p99_ms", "aim: under 100"),
        ("loop lag p99, ms", "loop_lag_p99_ms", "aim: under 50"),
        ("memory at the end, MiB", "rss_mib", ""),
        ("lost answers", "lost", "aim: none"),
        ("answers per second", "answers_per_second", ""),
        ("cores: bot", "bot_cores", ""),
        ("cores: fake Discord", "discord_cores", ""),
        ("cores: fake vendor", "vendor_cores", ""),
    )
    for title, name, remark in rows:
        figures = (getattr(floor, name), getattr(colloquy, name))
        shown = "".join(f"{figure:>10}" if name == "lost" else f"{figure:>10.2f}" for figure in figures)
        print(f"{title:28}{shown}   {remark}".rstrip())


async def run_long(answers: int, load: Load) -> list[float]:
    """Colloquy's memory in MiB, first when warm and then after each load, until so many were answered."""
    memory: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        database_url = f"sqlite+aiosqlite:///{Path(folder, 'colloquy.db')}"
        async with open_scene("colloquy", load, database_url) as scene:
            memory.append((await scene.bot.ask("end"))["rss_mib"])
            for _ in range(answers // load.answers):
                figures = await scene.measure(LONG_RUN_RATE)
                if figures.lost:
                    raise RuntimeError(f"{figures.lost} answers were lost")
                memory.append(figures.rss_mib)
                scene.forget()
            await check_books(scene)
    return memory


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--answers", type=int, help=f"per rate; {ANSWERS} unless told, {LONG_RUN} with --long"
    )
    parser.add_argument("--chunks", type=int, default=CHUNKS, help=f"in each answer; {CHUNKS} unless told")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="that a vendor takes for an answer")
    parser.add_argument("--long", action="store_true", help="memory after each 1,000 answers instead")
    arguments = parser.parse_args()
    if arguments.long:
        load = Load(LONG_RUN_STEP, arguments.chunks, arguments.seconds)
        memory = asyncio.run(run_long(arguments.answers or LONG_RUN, load))
        if arguments.json:
            print(json.dumps({"rss_mib": [round(mib, 1) for mib in memory]}))
            return
        print("Colloquy's memory, MiB (aim: flat)")
        for number, mib in enumerate(memory):
            print(f"{number * LONG_RUN_STEP:>8} answers{mib:>10.1f}")
        return
    load = Load(arguments.answers or ANSWERS, arguments.chunks, arguments.seconds)
    result = asyncio.run(compare(RATES, load))
    if arguments.json:
        print(json.dumps({f"{rate:g}": as_json(*figures) for rate, figures in result.items()}))
        return
    for rate, figures in result.items():
        print_table(rate, *figures, load)


if __name__ == "__main__":
    main()
