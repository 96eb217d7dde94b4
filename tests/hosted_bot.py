"""A host's folder with its settings, and the bot that runs on them in a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.fake_discord import FakeDiscord

ROOT = Path(__file__).parent.parent

ENV = """\
DISCORD_TOKEN={token}
DATABASE_URL={database_url}
OPENAI_API_KEY=key-of-the-test
CHAT_CHAIN=openai
"""
TOML = """\
[providers.openai]
base_url = "{vendor_url}/v1"
"""


class Host:
    """Whoever runs the bot: writes its settings, starts it, sends it signals and reads its log."""

    def __init__(self, folder: Path, fake: FakeDiscord, vendor_url: str, database_url: str = "") -> None:
        self.folder = folder
        self.fake = fake
        self.database_url = database_url or f"sqlite+aiosqlite:///{folder}/colloquy.db"
        self.write(
            ENV.format(token=fake.token, database_url=self.database_url), TOML.format(vendor_url=vendor_url)
        )

    def write(self, env: str | None = None, toml: str | None = None) -> None:
        """Put the settings into their files; None leaves one as it is."""
        for name, content in ((".env", env), ("colloquy.toml", toml)):
            if content is not None:
                (self.folder / name).write_text(content)

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    @property
    def log(self) -> str:
        return self.read("log")

    @asynccontextmanager
    async def start(self, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run the bot; at the end it is killed, unless it has ended."""
        with (self.folder / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.run_main", self.fake.url),
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ},
                stderr=log,
            )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def until_logged(self, text: str, timeout: float = 20) -> None:
        """Wait until this stands in the log."""
        async with asyncio.timeout(timeout):
            while text not in self.log:  # noqa: ASYNC110 (a file that another process writes)
                await asyncio.sleep(0.02)
