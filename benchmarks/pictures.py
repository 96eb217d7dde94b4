"""How long the event loop is kept waiting while twenty pictures of 1024 x 1024 are made at once.

Twenty members order a picture from a vendor on a local socket, which sends real PNGs as base64; the bot reads
the answers, checks, decodes and encodes the pictures and books them, as it always does. Meanwhile a timer
that is due every five milliseconds notes how late it is. The aim: under 50 ms at the 99th percentile.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp
from aiohttp import web
from PIL import Image
from pydantic import SecretStr

from assistant import Assistant, Conversation, Limits
from assistant.values import Origin, PictureOrder, Pictures
from db.engine import open_database
from providers.catalog import load_catalog
from providers.chains import build_image_router
from providers.router import ChatRouter

ORDERS = 20
SIDE = 1024
KEYS = 4
TICK_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Result:
    """How late the timer was, in milliseconds, and how long it all took."""

    pictures: int
    seconds: float
    loop_lag_p50_ms: float
    loop_lag_p99_ms: float
    loop_lag_most_ms: float


def real_png() -> bytes:
    """About what a model makes: smooth shapes with some grain, 1 to 2 MB as PNG."""
    base = Image.radial_gradient("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    grain = Image.effect_noise((SIDE, SIDE), 12)
    bands = (base, Image.blend(base, grain, 0.2), Image.blend(base.rotate(90), grain, 0.3))
    buffer = io.BytesIO()
    Image.merge("RGB", bands).save(buffer, "PNG")
    return buffer.getvalue()


@asynccontextmanager
async def vendor() -> AsyncIterator[str]:
    """A server on a socket of this computer, which answers each request with a picture; its address."""
    body = json.dumps({"data": [{"b64_json": base64.b64encode(real_png()).decode()}]}).encode()

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        await asyncio.sleep(0.2)
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_post("/v1/images/generations", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


async def measure_lag(late: list[float]) -> None:
    """Note how late a timer is, in seconds, again and again."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + TICK_SECONDS
        await asyncio.sleep(TICK_SECONDS)
        late.append(loop.time() - due)


async def order(assistant: Assistant, number: int) -> int:
    """Order a picture as a member of one's own; how many came."""
    wanted = PictureOrder(Origin(number, 1, number, number), "a lighthouse at night", SIDE, SIDE, seed=number)
    async with aclosing(assistant.imagine(wanted)) as events:
        async for event in events:
            if isinstance(event, Pictures):
                return len(event.pictures)
    return 0


async def run(address: str, folder: Path, orders: int = ORDERS) -> Result:
    """Order so many pictures at once from the vendor at `address`."""
    entries = load_catalog({"hf-nscale": {"base_url": f"{address}/v1"}})
    secrets = [(f"HF_TOKEN{number}", SecretStr(f"value {number}")) for number in range(1, KEYS + 1)]
    async with (
        open_database(f"sqlite+aiosqlite:///{folder / 'pictures.db'}") as database,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        router = build_image_router(entries, ["hf-nscale"], lambda _: secrets, session)
        assistant = Assistant(database, ChatRouter([]), router, Conversation("", 0), Limits())
        late: list[float] = []
        measuring = asyncio.create_task(measure_lag(late))
        started = time.perf_counter()
        made = sum(await asyncio.gather(*(order(assistant, number) for number in range(1, orders + 1))))
        seconds = time.perf_counter() - started
        measuring.cancel()
    centiles = statistics.quantiles(late, n=100)
    return Result(made, seconds, *(1000 * one for one in (centiles[49], centiles[98], max(late))))


async def measure(orders: int = ORDERS) -> Result:
    """The vendor runs in a process of its own, so that only the bot's loop is measured."""
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.pictures", "--vendor"), stdout=asyncio.subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            address = (await process.stdout.readline()).decode().strip()
            return await run(address, Path(folder), orders)
        finally:
            process.terminate()
            await process.wait()


async def serve() -> None:
    """Be the vendor until ended."""
    async with vendor() as address:
        print(address, flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.add_argument("--vendor", action="store_true", help="(used by this program itself)")
    options = parser.parse_args()
    if options.vendor:
        asyncio.run(serve())
        return
    result = asyncio.run(measure())
    if options.json:
        print(json.dumps(asdict(result)))
        return
    print(f"{result.pictures} pictures of {SIDE} x {SIDE} at once in {result.seconds:.1f} s")
    print(
        f"the event loop was late by {result.loop_lag_p50_ms:.1f} ms (median), "
        f"{result.loop_lag_p99_ms:.1f} ms (99 of 100), {result.loop_lag_most_ms:.0f} ms at most"
    )


if __name__ == "__main__":
    main()
