"""The bot in a process of its own, which may be killed at any moment."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.fake_discord import FakeDiscord
from tests.fake_vendors import FakeVendor

ROOT = Path(__file__).parent.parent


@asynccontextmanager
async def starting_process(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The bot from its first moment on; killed at the end, if nobody has done so."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.run_bot", fake.url, fake.token, database_url, f"{vendor.url}/v1"),
        cwd=ROOT,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def bot_process(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The same, once it is connected."""
    identified = len(fake.gateway.identifies)
    async with starting_process(fake, vendor, database_url) as process:
        await fake.until(lambda: len(fake.gateway.identifies) > identified, timeout=30)
        await fake.ready()
        yield process
