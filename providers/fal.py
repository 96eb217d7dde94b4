"""fal's wire, at fal itself and through Hugging Face's router: at once, or through its queue.

With https://queue.fal.run, or ?_subdomain=queue behind the router's address, an answer comes as a ticket, and
the picture is asked for until it is done.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from yarl import URL

from providers.base import ImageRequest, Key, Picture, ProviderError, RateLimited, Unavailable
from providers.catalog import Entry
from providers.image_wire import ImageWire
from providers.pictures import broken_picture
from providers.transport import PICTURE_BODY_BYTES, Transport

CANCEL_SECONDS = 2.0
LOOKS_THAT_MAY_FAIL = 3  # one after the other
TICKET_PATH = re.compile(r"(?:/(?!\.)[\w.-]+)+")


class Fal(ImageWire):
    """POST {base_url}/{model}; the answer holds the picture's address, or a ticket for it."""

    def __init__(self, entry: Entry, transport: Transport, *, poll_seconds: float = 0.5) -> None:
        super().__init__(entry, transport)
        self._poll_seconds = poll_seconds

    async def generate(self, request: ImageRequest, key: Key) -> Picture:
        """Make one picture. Raises ProviderError."""
        made, adjustments = self._fit(request)
        body = self._body(
            {
                "prompt": made.prompt,
                "negative_prompt": made.negative or None,
                "image_size": {"width": made.width, "height": made.height},
                "num_inference_steps": made.steps,
                "guidance_scale": made.guidance,
                "seed": made.seed,
                "num_images": 1,
            }
        )
        reply = await self._transport.post(
            self._url(f"/{self.model}"),
            body,
            key,
            cap=PICTURE_BODY_BYTES,
            accept="application/json",
            auth=self._entry.auth,
        )
        fields = await reply.read_large_object(key)
        if "images" not in fields and "request_id" in fields:
            fields = await self._collect(fields, key)
        if isinstance(seed := fields.get("seed"), int) and made.seed is not None:
            made = replace(made, seed=seed)
        content = await self._load(fields)
        return await self._finish(content, made, adjustments, key, rest_seconds=reply.rest_seconds)

    def _url(self, path: str) -> str:
        base = URL(self._entry.base_url)
        return str(base.with_path(base.path.rstrip("/") + path).with_query(base.query))

    async def _collect(self, ticket: Mapping[str, Any], key: Key) -> dict[str, Any]:
        """Wait until the queue has made the picture, and fetch the answer.

        Of the addresses in the ticket only the path is used: the key goes to no host but the entry's own.
        """
        path = urlsplit(str(ticket.get("response_url"))).path
        if not TICKET_PATH.fullmatch(path):
            raise broken_picture("the vendor's queue gave no ticket")
        status = ticket.get("status")
        async with self._cancelled_with_us(path, key):
            while status != "COMPLETED":
                if status not in ("IN_QUEUE", "IN_PROGRESS"):
                    raise broken_picture("the vendor's queue does not say how far it is")
                await asyncio.sleep(self._poll_seconds)
                status = (await self._look(f"{path}/status", key)).get("status")
        return await self._look(path, key)

    async def _look(self, path: str, key: Key) -> dict[str, Any]:
        """Ask the queue something. The picture is in the making, and may cost: some looks may fail."""
        failed = 0
        while True:
            try:
                reply = await self._transport.send(
                    "GET", self._url(path), key, cap=PICTURE_BODY_BYTES, auth=self._entry.auth
                )
                return await reply.read_large_object(key)
            except (RateLimited, Unavailable) as error:
                failed += 1
                if failed == LOOKS_THAT_MAY_FAIL:
                    detail = f"the queue cannot be asked: {error.detail}"
                    raise Unavailable(detail, maybe_billed=True) from None
                await asyncio.sleep(max(self._poll_seconds, error.retry_after or 0))

    @asynccontextmanager
    async def _cancelled_with_us(self, path: str, key: Key) -> AsyncIterator[None]:
        """Take the request out of the queue when nobody waits for it any more."""
        try:
            yield
        except BaseException:  # also when this task is cancelled
            with suppress(ProviderError, TimeoutError):
                async with asyncio.timeout(CANCEL_SECONDS):
                    await self._transport.send("PUT", self._url(f"{path}/cancel"), key, auth=self._entry.auth)
            raise
