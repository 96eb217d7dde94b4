"""Every known refusal over a real socket: its class, who is left out for it, and who is asked next."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

import aiohttp
import pytest
import pytest_asyncio
from multidict import CIMultiDict

from providers.base import (
    BadRequest,
    ContentRefused,
    ImageRequest,
    Key,
    KeyRejected,
    ModelRetired,
    NotEntitled,
    PromptTooLong,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Unavailable,
    Usage,
)
from providers.catalog import Entry
from providers.chat_completions import ChatCompletions
from providers.errors import SECONDS_WITHOUT_WORK, read_error
from providers.fal import Fal
from providers.healths import Status
from providers.hf_inference import HuggingFaceInference
from providers.openai_images import OpenAIImages
from providers.router import ChatRouter, ImageRouter
from providers.sdapi import StableDiffusionAPI
from providers.transport import Transport
from tests.fake_vendors import FakeVendor, Reply, chat_answer, json_reply, openai_stream, raw
from tests.fakes import RecordedLedger, chat_route, image_route, key, small_png
from tests.providers.error_bodies import TABLE, Row
from tests.providers.helpers import PROMPT_TOKENS, QUESTION, collect

# One loop, server and session for all rows. Each row has keys of its own, which tell its requests apart.
pytestmark = pytest.mark.asyncio(loop_scope="module")
NUMBERS = count()


class Effect(NamedTuple):
    """Who is left out after a refusal, and how; and who is asked next: the places of the keys asked."""

    left_out: str
    status: Status
    asked: list[int]


NEXT_KEY, NEXT_PROVIDER, NOBODY = [0, 1], [0, 2], [0]

EFFECTS: Mapping[type[ProviderError], Effect] = {
    KeyRejected: Effect("key", Status.DEAD, NEXT_KEY),
    NotEntitled: Effect("account", Status.SPENT, NEXT_KEY),
    QuotaExhausted: Effect("account", Status.SPENT, NEXT_KEY),
    RateLimited: Effect("account", Status.RESTING, NEXT_KEY),
    ModelRetired: Effect("model", Status.SPENT, NEXT_PROVIDER),
    PromptTooLong: Effect("nobody", Status.READY, NOBODY),
    ContentRefused: Effect("nobody", Status.READY, NOBODY),
    BadRequest: Effect("nobody", Status.READY, NEXT_PROVIDER),
    Unavailable: Effect("nobody", Status.READY, NEXT_PROVIDER),
}


class Wire(NamedTuple):
    """A wire: its provider, the settings of its entry, and a good answer."""

    provider: Callable[[Entry, Transport], Any]
    settings: Mapping[str, Any]
    good: Reply


PNG = small_png()
BASE64 = base64.b64encode(PNG).decode()
WIRES = {
    "chat, streamed": Wire(ChatCompletions, {"wire": "chat-completions"}, openai_stream("Yes.")),
    "chat, whole": Wire(ChatCompletions, {"wire": "chat-completions", "stream": False}, chat_answer("Yes.")),
    "pictures": Wire(OpenAIImages, {"wire": "openai-images"}, json_reply({"data": [{"b64_json": BASE64}]})),
    "pictures, raw": Wire(HuggingFaceInference, {"wire": "hf-inference"}, raw(PNG)),
    "pictures, fal": Wire(
        Fal,
        {"wire": "fal"},
        json_reply({"images": [{"url": f"data:image/png;base64,{BASE64}"}], "has_nsfw_concepts": [False]}),
    ),
    "pictures, web UI": Wire(
        StableDiffusionAPI, {"wire": "sdapi"}, json_reply({"images": [BASE64], "info": "{}"})
    ),
}


@dataclass
class Scene:
    """A vendor, and the way to it."""

    vendor: FakeVendor
    transport: Transport

    def build(self, wire: Wire, keys: list[Key]) -> ChatRouter | ImageRouter:
        """A chain of two providers on `wire`: the first has two keys, the second one."""
        first, second = (
            wire.provider(
                Entry(name=name, base_url=self.vendor.url, model="model", **wire.settings), self.transport
            )
            for name in ("first", "second")
        )
        if wire.provider is ChatCompletions:
            return ChatRouter([chat_route(first, *keys[:2]), chat_route(second, keys[2])])
        return ImageRouter([image_route(first, *keys[:2]), image_route(second, keys[2])])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene() -> AsyncIterator[Scene]:
    async with FakeVendor() as vendor, aiohttp.ClientSession() as session:
        yield Scene(vendor, Transport(session))


async def ask(router: ChatRouter | ImageRouter, ledger: RecordedLedger) -> ProviderError | None:
    """Ask the chain for something; the error that reached the caller, if one did."""
    try:
        if isinstance(router, ChatRouter):
            await collect(router.stream(QUESTION, ledger))
        else:
            await router.generate(ImageRequest("a fox"), ledger)
    except ProviderError as error:
        return error
    return None


def new_keys() -> list[Key]:
    number = next(NUMBERS)
    return [key(f"KEY{place}", f"value-{number}-{place}") for place in range(3)]


@pytest.mark.parametrize("row", TABLE)
@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
async def test_a_refusal_over_a_socket_has_its_class_and_its_effect(
    scene: Scene, wire: Wire, row: Row
) -> None:
    """On every wire a refusal arrives as it reads, is booked as it cost, and leads to whom its class says."""
    keys = new_keys()
    content_type = "text/html" if isinstance(row.body, bytes) else "application/json"
    replies = [raw(row.content, content_type, row.status, row.headers), wire.good, wire.good]
    for one, reply in zip(keys, replies, strict=True):
        scene.vendor.reply(reply, key=one.value.get_secret_value())
    before, ledger, router = len(scene.vendor.requests), RecordedLedger(), scene.build(wire, keys)

    reached = await ask(router, ledger)

    ((failed, spent),) = ledger.failed
    assert type(failed) is row.expected
    assert vars(failed) == vars(read_error(row.status, CIMultiDict(row.headers), row.content))
    assert (spent is not None) == row.maybe_billed
    effect = EFFECTS[row.expected]
    assert scene.vendor.keys[before:] == [keys[place].value.get_secret_value() for place in effect.asked]
    assert reached is (failed if effect.asked == NOBODY else None)
    holders = zip(("account", "key", "model"), router.routes[0].ring.holders(keys[0]), strict=True)
    for name, holder in holders:
        expected = effect.status if name == effect.left_out else Status.READY
        assert router.state.pool.health(holder).status is expected


async def test_a_gateway_that_waited_before_it_gave_up_may_have_cost(scene: Scene) -> None:
    """502 and 504 more than a second after the request are booked as an estimate; 503 and 429 never are."""

    async def spent(wire: Wire, status: int) -> Usage | None:
        keys, ledger = new_keys(), RecordedLedger()
        refusal = dataclasses.replace(raw(b"", "text/html", status), delay=SECONDS_WITHOUT_WORK + 0.05)
        for one, reply in zip(keys, [refusal, wire.good, wire.good], strict=True):
            scene.vendor.reply(reply, key=one.value.get_secret_value())
        assert await ask(scene.build(wire, keys), ledger) is None
        ((_, usage),) = ledger.failed
        return usage

    text = Usage(PROMPT_TOKENS, 0, estimated=True)
    picture = Usage(pictures=1, pixels=1024 * 1024, estimated=True)
    wires = list(WIRES.values())
    booked = await asyncio.gather(*(spent(wire, status) for status in (502, 504, 503, 429) for wire in wires))

    costs = [text if wire.provider is ChatCompletions else picture for wire in wires]
    assert booked == costs * 2 + [None] * len(wires) * 2
