"""Pictures over HTTP: Hugging Face's raw bytes, and the OpenAI images wire with its many cousins."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from providers.base import ContentRefused, ImageRequest, Key, Picture
from providers.catalog import Entry
from providers.downloads import download_picture
from providers.pictures import broken_picture, to_png
from providers.transport import PICTURE_BODY_BYTES, Transport


class HuggingFaceInference:
    """POST {base_url}/models/{model}; the answer is the picture's bytes."""

    def __init__(self, entry: Entry, transport: Transport) -> None:
        self.name = entry.name
        self.model = entry.model
        self._entry = entry
        self._transport = transport
        self._url = f"{entry.base_url.rstrip('/')}/models/{entry.model}"

    async def generate(self, request: ImageRequest, key: Key) -> Picture:
        """Make one picture. Raises ProviderError."""
        steps = choose_steps(self._entry, request)
        parameters = {
            "guidance_scale": self._entry.guidance_scale,
            "num_inference_steps": steps,
            "width": request.width,
            "height": request.height,
            "seed": request.seed,
        }
        drop = self._entry.drop
        sent = {name: value for name, value in parameters.items() if value is not None and name not in drop}
        body = {"inputs": request.prompt, "parameters": sent, **self._entry.extra_body}
        body = {name: value for name, value in body.items() if name not in drop}
        reply = await self._transport.post(self._url, body, key, cap=PICTURE_BODY_BYTES, accept="image/png")
        content = reply.content
        if reply.content_type == "application/json":
            # A 200 may still be an error ("currently loading"), or hold the picture in another form.
            content = await _picture_of(reply.read_object(key), self._entry.base_url)
        png, width, height = await to_png(content, secret=key.value.get_secret_value())
        rest = reply.rest_seconds
        return Picture(png, width, height, self.model, request.seed, steps, rest_seconds=rest)


class OpenAIImages:
    """POST {base_url}/images/generations; the answer holds the picture in base64, or its address."""

    def __init__(self, entry: Entry, transport: Transport) -> None:
        self.name = entry.name
        self.model = entry.model
        self._entry = entry
        self._transport = transport
        self._url = entry.base_url.rstrip("/") + "/images/generations"

    async def generate(self, request: ImageRequest, key: Key) -> Picture:
        """Make one picture. Raises ProviderError."""
        entry = self._entry
        width, height = nearest_size(entry, request.width, request.height)
        steps = choose_steps(entry, request)
        body: dict[str, Any] = {"model": entry.model, "prompt": request.prompt, "n": 1}
        if entry.size_fields == "size":
            body["size"] = f"{width}x{height}"
        else:
            body |= {"width": width, "height": height}
        if entry.seeded:
            body["seed"] = request.seed
        if steps is not None:
            body[entry.steps_field] = steps
        body |= entry.extra_body
        body = {name: value for name, value in body.items() if name not in entry.drop}
        reply = await self._transport.post(
            self._url, body, key, cap=PICTURE_BODY_BYTES, accept="application/json"
        )
        content = await _picture_of(reply.read_object(key), entry.base_url)
        png, width, height = await to_png(content, secret=key.value.get_secret_value())
        seed, rest = request.seed if entry.seeded else None, reply.rest_seconds
        return Picture(png, width, height, self.model, seed, steps, rest_seconds=rest)


def choose_steps(entry: Entry, request: ImageRequest) -> int | None:
    """The request's steps or the provider's default, within what it can; None: it has no steps."""
    if entry.steps is None:
        return None
    return max(1, min(request.steps or entry.steps, entry.max_steps))


def nearest_size(entry: Entry, width: int, height: int) -> tuple[int, int]:
    """The size among those the provider can make whose shape is nearest to the one asked for."""
    if not entry.sizes:
        return width, height

    def distance(size: str) -> float:
        w, h = (int(side) for side in size.split("x"))
        return abs(w / h - width / height)

    best = min(entry.sizes, key=distance).split("x")
    return int(best[0]), int(best[1])


async def _picture_of(reply: dict[str, Any], base_url: str) -> bytes:
    """The bytes of the picture in `data`, `images` or `output`. Raises ProviderError."""
    concepts = reply.get("has_nsfw_concepts")
    if isinstance(concepts, list) and True in concepts:  # fal: what it drew is blanked, and billed
        raise ContentRefused("has_nsfw_concepts", maybe_billed=True)
    pictures = reply.get("data") or reply.get("images") or reply.get("output")
    item = pictures[0] if isinstance(pictures, list) and pictures else pictures
    if isinstance(item, str) and ("://" in item or item.startswith("data:")):
        item = {"url": item}
    if isinstance(item, dict):
        encoded, url = item.get("b64_json"), item.get("url")
        if isinstance(url, str) and url.startswith("data:"):
            encoded, url = url.partition(",")[2], None
        if isinstance(encoded, str) and encoded:
            try:
                return base64.b64decode(encoded, validate=True)
            except (binascii.Error, ValueError):
                raise broken_picture("the picture's base64 is broken") from None
        if isinstance(url, str) and url:
            return await download_picture(url, base_url)
    raise broken_picture("the vendor's answer holds no picture")
