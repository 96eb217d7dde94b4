"""What all wires for pictures have in common: what goes out is fitted, what comes back is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from providers.base import ImageRequest, Key, Picture
from providers.catalog import Entry
from providers.downloads import download_picture
from providers.limits import fit
from providers.parameters import describe
from providers.pictures import broken_picture, decode_base64, flagged_picture, in_worker, to_png
from providers.prompts import without_controls
from providers.transport import Transport


class ImageWire:
    """One way to ask for a picture. Several pictures are several requests."""

    control_words = False  # whether servers on this wire obey words in a prompt

    def __init__(self, entry: Entry, transport: Transport) -> None:
        self.name = entry.name
        self.model = entry.model
        self._entry = entry
        self._transport = transport
        self._base = entry.base_url.rstrip("/")

    def _fit(self, request: ImageRequest) -> tuple[ImageRequest, tuple[str, ...]]:
        """What the model can do of the request, in words that no server obeys, and what was changed."""
        fitted, adjustments = fit(request, self._entry)
        separator = self._entry.negative_separator
        prompt, negative = (
            without_controls(text, words=self.control_words, separator=separator)
            for text in (fitted.prompt, fitted.negative)
        )
        return replace(fitted, prompt=prompt, negative=negative), adjustments

    def _given(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """These fields without those that are None, and without what the entry drops."""
        drop = self._entry.drop
        return {name: value for name, value in fields.items() if value is not None and name not in drop}

    def _body(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The same, with what the entry adds."""
        return self._given({**fields, **self._entry.extra_body})

    async def _load(self, fields: Mapping[str, Any]) -> bytes:
        """The file of the picture that a vendor's answer holds, or names the address of.

        Raises ContentRefused when the answer says that the picture was blanked, as fal's does.
        """
        flags = fields.get("has_nsfw_concepts")
        if isinstance(flags, list) and True in flags:
            raise flagged_picture("the vendor flagged the picture (has_nsfw_concepts)")
        value = _find(fields)
        is_url = isinstance(value, dict) or value.startswith(("http:", "https:", "data:"))
        if isinstance(value, dict):
            value = value["url"]
        if value.startswith("data:"):
            value, is_url = value.partition(",")[2], False
        if is_url:
            return await download_picture(value, self._entry.base_url, self._entry.picture_hosts)
        return await in_worker(decode_base64, value)

    async def _finish(
        self,
        data: bytes,
        made: ImageRequest,
        adjustments: tuple[str, ...],
        key: Key,
        *,
        model: str = "",
        rest_seconds: float | None,
    ) -> Picture:
        """Check the file and make the picture of it. `made` is what it was really made with."""
        model = model or self.model

        def parameters(width: int, height: int) -> str:
            return describe(
                made.prompt,
                made.negative,
                steps=made.steps,
                seed=made.seed,
                size=(width, height),
                model=model,
                guidance=made.guidance,
            )

        png, width, height = await to_png(data, parameters, secret=key.value.get_secret_value())
        if (width, height) != (made.width, made.height):
            asked = f"{made.width} x {made.height}"
            adjustments += (f"The model made {width} x {height} in place of {asked}.",)
        return Picture(
            png,
            width,
            height,
            model,
            made.seed,
            made.steps,
            rest_seconds=rest_seconds,
            guidance=made.guidance,
            negative=made.negative,
            adjustments=adjustments,
        )


def _find(fields: Mapping[str, Any]) -> str | dict[str, str]:
    """The first picture in an answer of any known shape: its base64 or URL, or {"url": an address}."""
    for name in ("data", "images", "output"):
        value = fields.get(name)
        item = value[0] if isinstance(value, list) and value else value
        if isinstance(item, str) and item:
            return item
        if isinstance(item, dict):
            encoded, url = item.get("b64_json"), item.get("url")
            if isinstance(encoded, str) and encoded:
                return encoded
            if isinstance(url, str) and url:
                return {"url": url}
    raise broken_picture("the vendor's answer holds no picture")
