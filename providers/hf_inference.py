"""Hugging Face's own inference: raw bytes of a picture for a prompt."""

from __future__ import annotations

from providers.base import ImageRequest, Key, Picture
from providers.image_wire import ImageWire
from providers.transport import PICTURE_BODY_BYTES


class HuggingFaceInference(ImageWire):
    """POST {base_url}/models/{model}; the answer is the picture's bytes."""

    async def generate(self, request: ImageRequest, key: Key) -> Picture:
        """Make one picture. Raises ProviderError."""
        made, adjustments = self._fit(request)
        parameters = {
            "guidance_scale": made.guidance,
            "num_inference_steps": made.steps,
            "width": made.width,
            "height": made.height,
            "seed": made.seed,
            "negative_prompt": made.negative or None,
        }
        body = self._body({"inputs": made.prompt, "parameters": self._given(parameters)})
        reply = await self._transport.post(
            f"{self._base}/models/{self.model}",
            body,
            key,
            cap=PICTURE_BODY_BYTES,
            accept="image/png",
            auth=self._entry.auth,
        )
        content = reply.content
        if reply.content_type == "application/json":
            # A 200 may still be an error ("currently loading"), or hold the picture in another form.
            content = await self._load(await reply.read_large_object(key))
        return await self._finish(content, made, adjustments, key, rest_seconds=reply.rest_seconds)
