"""The OpenAI images wire, which many vendors and local servers speak, each with its own fields."""

from __future__ import annotations

import json
from typing import Any

from providers.base import ImageRequest, Key, Picture
from providers.image_wire import ImageWire
from providers.transport import PICTURE_BODY_BYTES


class OpenAIImages(ImageWire):
    """POST {base_url}/images/generations; the answer holds the picture in base64, or its address."""

    async def generate(self, request: ImageRequest, key: Key) -> Picture:
        """Make one picture. Raises ProviderError."""
        made, adjustments = self._fit(request)
        reply = await self._transport.post(
            f"{self._base}/images/generations",
            self._body(self._fields(made)),
            key,
            cap=PICTURE_BODY_BYTES,
            accept="application/json",
            auth=self._entry.auth,
        )
        content = await self._load(await reply.read_large_object(key))
        return await self._finish(content, made, adjustments, key, rest_seconds=reply.rest_seconds)

    def _fields(self, made: ImageRequest) -> dict[str, Any]:
        entry = self._entry
        fields: dict[str, Any] = {"model": self.model, "prompt": made.prompt, "n": 1}
        if entry.size_fields == "size":
            fields["size"] = f"{made.width}x{made.height}"
        else:
            fields |= {"width": made.width, "height": made.height}
        if entry.arguments_tag:
            fields["prompt"] += _arguments(entry.arguments_tag, made)
            return fields
        if made.negative and entry.negative_separator:
            fields["prompt"] += f"{entry.negative_separator}{made.negative}"
        elif made.negative:
            fields["negative_prompt"] = made.negative
        return fields | {"seed": made.seed, entry.steps_field: made.steps, "guidance_scale": made.guidance}


def _arguments(tag: str, made: ImageRequest) -> str:
    """What stable-diffusion.cpp's server reads only here, at the end of the prompt."""
    guidance = None if made.guidance is None else {"txt_cfg": made.guidance}
    sampling = {"sample_steps": made.steps, "guidance": guidance}
    arguments = {
        "seed": made.seed,
        "negative_prompt": made.negative or None,
        "sample_params": {name: value for name, value in sampling.items() if value is not None} or None,
    }
    given = {name: value for name, value in arguments.items() if value is not None}
    return f" <{tag}>{json.dumps(given)}</{tag}>" if given else ""
