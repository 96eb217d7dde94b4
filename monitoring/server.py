"""The HTTP server: /healthz, /readyz and /metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp import web

from monitoring.health import Health
from monitoring.metrics import Metrics

if TYPE_CHECKING:
    from bot import Colloquy

# How often it is looked how late the event loop is.
LOOK_SECONDS = 0.5
# How long requests may take to end when the server is closed.
CLOSE_SECONDS = 1.0


class Watch:
    """Answers whoever watches a bot, also while that is being opened and closed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._health = Health(clock)
        self._metrics = Metrics()
        app = web.Application()
        app.router.add_get("/healthz", self._answer_alive)
        app.router.add_get("/readyz", self._answer_ready)
        app.router.add_get("/metrics", self._answer_metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_SECONDS)
        self._looking: asyncio.Task[None] | None = None

    @property
    def bot(self) -> Colloquy | None:
        """The bot that is watched; None: it is not open."""
        return self._health.bot

    @bot.setter
    def bot(self, bot: Colloquy | None) -> None:
        self._health.bot = self._metrics.bot = bot

    @property
    def port(self) -> int:
        """Where it listens."""
        number: int = self._runner.addresses[0][1]
        return number

    async def open(self, host: str, port: int) -> None:
        """Begin to listen. Raises OSError when that cannot be."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self._looking = asyncio.create_task(self._look())

    async def close(self) -> None:
        """Answer nobody any more."""
        if self._looking is not None:
            self._looking.cancel()
        await self._runner.cleanup()

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)
            self._metrics.lag.observe(max(0.0, loop.time() - due))
            self._health.look()

    async def _answer_alive(self, _: web.Request) -> web.Response:
        alive = self._health.alive
        return web.json_response({"alive": alive}, status=200 if alive else 503)

    async def _answer_ready(self, _: web.Request) -> web.Response:
        problems = await self._health.problems()
        body = {"ready": not problems, "problems": problems}
        return web.json_response(body, status=503 if problems else 200)

    async def _answer_metrics(self, request: web.Request) -> web.Response:
        self._metrics.problems = await self._health.problems()
        body, content_type = self._metrics.encode(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})
