"""The API of Stable Diffusion's web UI (Automatic1111, Forge), which stable-diffusion.cpp speaks too."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from providers.base import ImageRequest, Key, Picture, ProviderError
from providers.image_wire import ImageWire
from providers.transport import PICTURE_BODY_BYTES

DEFAULT_MODEL = "default"  # the one that the server has loaded
INTERRUPT_SECONDS = 2.0
MODEL_NAME = re.compile(r"[\w .()+-]{1,80}")


class StableDiffusionAPI(ImageWire):
    """POST {base_url}/sdapi/v1/txt2img; the answer holds the picture in base64, and `info` what was used."""

    control_words = True

    async def generate(self, request: ImageRequest, key: Key) -> Picture:
        """Make one picture. Raises ProviderError."""
        made, adjustments = self._fit(request)
        task = f"task(colloquy-{secrets.token_hex(8)})"
        own_model = self.model != DEFAULT_MODEL
        body = self._body(
            {
                "prompt": made.prompt,
                "negative_prompt": made.negative,
                "steps": made.steps,
                "cfg_scale": made.guidance,
                "width": made.width,
                "height": made.height,
                "seed": -1 if made.seed is None else made.seed,
                "batch_size": 1,
                "force_task_id": task,
                # Loading a model takes long: it stays until another is asked for.
                "override_settings": {"sd_model_checkpoint": self.model} if own_model else None,
                "override_settings_restore_afterwards": False if own_model else None,
            }
        )
        async with self._interrupted_with_us(task, key):
            reply = await self._transport.post(
                f"{self._base}/sdapi/v1/txt2img",
                body,
                key,
                cap=PICTURE_BODY_BYTES,
                accept="application/json",
                auth=self._entry.auth,
            )
        fields = await reply.read_large_object(key)
        info = _info(fields.get("info"))
        if isinstance(seed := info.get("seed"), int) and seed >= 0:
            made = replace(made, seed=seed)
        model = info.get("sd_model_name")
        known = not own_model and isinstance(model, str) and MODEL_NAME.fullmatch(model)
        return await self._finish(
            await self._load(fields),
            made,
            adjustments,
            key,
            model=str(model) if known else "",
            rest_seconds=reply.rest_seconds,
        )

    @asynccontextmanager
    async def _interrupted_with_us(self, task: str, key: Key) -> AsyncIterator[None]:
        """Stop the server's work when nobody waits for it any more, but never somebody else's."""
        try:
            yield
        except asyncio.CancelledError:
            send, base, auth = self._transport.send, f"{self._base}/sdapi/v1", self._entry.auth
            with suppress(ProviderError, TimeoutError):
                async with asyncio.timeout(INTERRUPT_SECONDS):
                    progress = await send("GET", f"{base}/progress?skip_current_image=true", key, auth=auth)
                    if progress.read_object(key).get("current_task") == task:
                        await send("POST", f"{base}/interrupt", key, auth=auth)
            raise


def _info(text: object) -> dict[str, Any]:
    """What the server says of its work, as JSON in a string; nothing where it says nothing readable."""
    with suppress(ValueError, RecursionError):
        info = json.loads(text) if isinstance(text, str) else None
        if isinstance(info, dict):
            return info
    return {}
