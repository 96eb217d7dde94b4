"""A vendor on a real loopback socket that enforces its own limits, and a watch over its client."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from types import SimpleNamespace

import aiohttp
from aiohttp import web

from tests.fake_vendors import openai_stream

SECONDS_OF_WORK = 0.02
JSON = {"Content-Type": "application/json"}


@dataclass
class Account:
    """What one key may do: so many requests, then a rest of so many seconds, and again. 0: everything."""

    requests: int = 0
    rest_seconds: float = 0.0
    served: int = 0
    rests_until: float = 0.0


class LimitedVendor:
    """Answers each key within its allowance, and refuses it with the time that is left of its rest."""

    def __init__(self) -> None:
        self.accounts: defaultdict[str, Account] = defaultdict(Account)
        self.statuses: Counter[int] = Counter()
        self.down = False
        self._changed = asyncio.Event()
        self._runner = web.ServerRunner(web.Server(self._serve, access_log=None), shutdown_timeout=1)

    async def __aenter__(self) -> LimitedVendor:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=512).start()
        return self

    async def __aexit__(self, kind: object, error: object, traceback: object) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def served(self, requests: int) -> None:
        """Wait until so many have been answered."""
        while self.statuses[200] < requests:
            self._changed.clear()
            await self._changed.wait()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        await request.read()
        await asyncio.sleep(SECONDS_OF_WORK)
        response = self._judge(self.accounts[key])
        self.statuses[response.status] += 1
        self._changed.set()
        return response

    def _judge(self, account: Account) -> web.Response:
        if self.down:
            return web.Response(status=503, headers=JSON, body=b'{"error": {"message": "overloaded"}}')
        now = time.monotonic()
        if account.rests_until and now >= account.rests_until:
            account.served, account.rests_until = 0, 0.0
        if account.requests and account.served >= account.requests:
            account.rests_until = account.rests_until or now + account.rest_seconds
            left = {"retry-after-ms": str(int((account.rests_until - now) * 1000) + 1)}
            error = {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit"}}
            return web.Response(status=429, headers={**JSON, **left}, body=json.dumps(error).encode())
        account.served += 1
        reply = openai_stream("An ", "answer.")
        return web.Response(headers=reply.headers, body=reply.body)


@dataclass
class Watch:
    """What a client has been told by the headers that reached it, and each request that ignored it.

    `early` are the keys that were asked after their client had read that they rest, and before the end of it.
    """

    requests: int = 0
    rests: dict[str, float] = field(default_factory=dict)
    early: list[str] = field(default_factory=list)

    def trace(self) -> aiohttp.TraceConfig:
        """For the client's session."""
        config = aiohttp.TraceConfig()
        config.on_request_start.append(self._sent)
        config.on_request_end.append(self._answered)
        return config

    async def _sent(
        self, _: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestStartParams
    ) -> None:
        context.key = params.headers["Authorization"].removeprefix("Bearer ")
        self.requests += 1
        if time.monotonic() < self.rests.get(context.key, 0.0):
            self.early.append(context.key)

    async def _answered(
        self, _: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestEndParams
    ) -> None:
        if left := params.response.headers.get("retry-after-ms"):
            until = time.monotonic() + int(left) / 1000
            self.rests[context.key] = max(until, self.rests.get(context.key, 0.0))
