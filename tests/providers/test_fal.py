"""fal's wire over a real socket: at once and through the queue, at fal itself and through the router."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import io
import time
from typing import Any

import pytest
from PIL import Image

from providers.base import BadRequest, ContentRefused, ImageRequest, ProviderError, QuotaExhausted
from providers.catalog import load_catalog
from providers.fal import Fal
from providers.transport import Transport
from tests.fake_vendors import FakeVendor, Reply, json_reply, raw
from tests.fakes import key, small_png
from tests.providers.helpers import take_error

KEY = key(value="the-key")
ORDER = ImageRequest("a fox", width=768, height=512, seed=11, steps=3)
PNG = small_png(768, 512)
BODY = {
    "prompt": "a fox",
    "image_size": {"width": 768, "height": 512},
    "num_inference_steps": 3,
    "seed": 11,
    "num_images": 1,
}


def answer(url: str, **fields: Any) -> Reply:
    """The answer that fal documents, with its picture on the vendor's own host."""
    image = {"url": url, "width": 768, "height": 512, "content_type": "image/png"}
    whole = {
        "images": [image],
        "timings": {"inference": 0.3},
        "seed": 4711,
        "has_nsfw_concepts": [False],
        "prompt": "a fox",
    }
    return json_reply(whole | fields)


@pytest.fixture
def flux(vendor: FakeVendor, transport: Transport) -> Fal:
    return Fal(load_catalog({"hf-fal": {"base_url": f"{vendor.url}/fal-ai"}})["hf-fal"], transport)


@pytest.fixture
def queue(vendor: FakeVendor, transport: Transport) -> Fal:
    table = {"base_url": f"{vendor.url}/fal-ai?_subdomain=queue"}
    return Fal(load_catalog({"hf-fal": table})["hf-fal"], transport, poll_seconds=0.02)


async def test_through_the_router_a_token_is_a_bearer(vendor: FakeVendor, flux: Fal) -> None:
    """The body has fal's fields, the picture is fetched without the key, and the seed is what fal says."""
    vendor.reply(answer("/files/1.png"), raw(PNG))

    picture = await flux.generate(ORDER, KEY)

    asked, fetched = vendor.requests
    assert (asked.method, asked.path) == ("POST", "/fal-ai/fal-ai/flux/schnell")
    assert asked.headers["Authorization"] == "Bearer the-key"
    assert asked.body == BODY
    assert (fetched.method, fetched.path) == ("GET", "/files/1.png")
    assert "Authorization" not in fetched.headers
    assert (picture.width, picture.height, picture.seed, picture.steps) == (768, 512, 4711, 3)
    assert (picture.model, picture.adjustments) == ("fal-ai/flux/schnell", ())
    with Image.open(io.BytesIO(picture.png)) as image:
        assert image.info["parameters"] == (
            "a fox\nSteps: 3, Seed: 4711, Size: 768x512, Model: fal-ai/flux/schnell"
        )


async def test_at_fal_itself_a_key_is_a_key(vendor: FakeVendor, transport: Transport) -> None:
    """fal's own address takes its own word before the key."""
    vendor.reply(answer("/files/1.png"), raw(PNG))
    provider = Fal(load_catalog({"fal": {"base_url": vendor.url}})["fal"], transport)

    await provider.generate(ORDER, KEY)

    assert vendor.requests[0].path == "/fal-ai/flux/schnell"
    assert vendor.requests[0].headers["Authorization"] == "Key the-key"


async def test_guidance_and_negative_prompt_are_sent_where_the_model_takes_them(
    vendor: FakeVendor, transport: Transport
) -> None:
    """A model of the same vendor has limits of its own, laid over those of the vendor's first."""
    dev = {"steps": 28, "max_steps": 50, "guidance_scale": 3.5, "takes": ["seed", "guidance", "negative"]}
    table = {"base_url": vendor.url, "models": {"fal-ai/flux/dev": dev}}
    entry = load_catalog({"fal": table})["fal"].with_model("fal-ai/flux/dev")
    vendor.reply(answer("/files/1.png"), raw(PNG))

    picture = await Fal(entry, transport).generate(
        ImageRequest("a fox", 768, 512, 11, negative="people"), KEY
    )

    assert vendor.requests[0].path == "/fal-ai/flux/dev"
    assert vendor.requests[0].body == BODY | {
        "num_inference_steps": 28,
        "guidance_scale": 3.5,
        "negative_prompt": "people",
    }
    assert (picture.steps, picture.guidance, picture.negative) == (28, 3.5, "people")


async def test_a_picture_may_come_in_a_data_uri(vendor: FakeVendor, flux: Fal) -> None:
    """With fal's sync_mode there is no second request."""
    vendor.reply(answer(f"data:image/png;base64,{base64.b64encode(PNG).decode()}"))

    picture = await flux.generate(ORDER, KEY)

    assert (picture.width, len(vendor.requests)) == (768, 1)


@pytest.mark.parametrize("place", ["https://fal.media.evil.example/1.png", "https://notfal.media/1.png"])
async def test_only_fals_own_hosts_are_fetched_from(vendor: FakeVendor, flux: Fal, place: str) -> None:
    """A name that merely looks like fal's is refused."""
    vendor.reply(answer(place))

    error = await take_error(flux.generate(ORDER, KEY))

    assert "not safe to fetch" in error.detail


async def test_a_flagged_picture_is_a_refusal(vendor: FakeVendor, flux: Fal) -> None:
    """What the safety checker flags is not fetched: a sentence of its own, and it is charged for."""
    vendor.reply(answer("/files/black.png", has_nsfw_concepts=[True]))

    error = await take_error(flux.generate(ORDER, KEY))

    assert type(error) is ContentRefused
    assert error.maybe_billed
    assert str(error) == (
        "The model made this picture, but its content filter does not let it out. Try other words."
    )
    assert len(vendor.requests) == 1


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (json_reply({"detail": [{"loc": ["body", "prompt"], "msg": "field required"}]}, 422), BadRequest),
        (
            json_reply({"detail": [{"type": "content_policy_violation", "msg": "no"}]}, 422),
            ContentRefused,
        ),
        (
            json_reply({"detail": "User is locked. Reason: Exhausted balance. Top up your balance."}, 403),
            QuotaExhausted,
        ),
    ],
    ids=["a field is missing", "the prompt is refused", "no balance"],
)
async def test_a_refusal_is_read(
    vendor: FakeVendor, flux: Fal, reply: Reply, expected: type[ProviderError]
) -> None:
    """fal's own shapes of errors are the errors they mean, and cost nothing."""
    vendor.reply(reply)

    error = await take_error(flux.generate(ORDER, KEY))

    assert type(error) is expected
    assert not error.maybe_billed


# ---- The queue -------------------------------------------------------------------------------------

TICKET = {
    "status": "IN_QUEUE",
    "request_id": "r-1",
    "queue_position": 0,
    "response_url": "https://queue.fal.run/fal-ai/flux/requests/r-1",
}
WAITING = json_reply({"status": "IN_QUEUE", "queue_position": 0}, 202)
WORKING = json_reply({"status": "IN_PROGRESS"}, 202)
DONE = json_reply({"status": "COMPLETED"})


async def test_the_queue_is_asked_until_the_picture_is_made(vendor: FakeVendor, queue: Fal) -> None:
    """Ticket, status until it is completed, answer, picture: all but the last with the key, on our host."""
    vendor.reply(json_reply(TICKET), WAITING, WORKING, DONE, answer("/files/1.png"), raw(PNG))

    picture = await queue.generate(ORDER, KEY)

    requests = "/fal-ai/fal-ai/flux/requests/r-1"
    assert [(request.method, request.path) for request in vendor.requests] == [
        ("POST", "/fal-ai/fal-ai/flux/schnell?_subdomain=queue"),
        *[("GET", f"{requests}/status?_subdomain=queue")] * 3,
        ("GET", f"{requests}?_subdomain=queue"),
        ("GET", "/files/1.png"),
    ]
    assert vendor.keys == ["the-key"] * 5 + [""]
    assert picture.seed == 4711


LOST = json_reply({"error": "overloaded"}, 503)
BUSY = json_reply({"detail": "Too many requests"}, 429)


@pytest.mark.parametrize("lost", [LOST, BUSY], ids=["overloaded", "too many requests"])
async def test_the_queue_survives_a_hiccup(vendor: FakeVendor, queue: Fal, lost: Reply) -> None:
    """Two lost looks at the queue or at the answer are made up for; at the third the picture is given up.

    It may cost then, and is taken out of the queue if it is not made yet.
    """
    vendor.reply(json_reply(TICKET), lost, lost, DONE, lost, lost, answer("/files/1.png"), raw(PNG))
    await queue.generate(ORDER, KEY)

    for looks, cancelled in (([], True), ([WAITING], True), ([DONE], False)):
        vendor.reply(json_reply(TICKET), *looks, lost, lost, lost)
        if cancelled:
            vendor.reply(json_reply({"status": "CANCELLATION_REQUESTED"}, 202))
        error = await take_error(queue.generate(ORDER, KEY))

        assert (error.kind, error.maybe_billed) == ("transient", True)
        assert vendor.requests[-1].path.endswith("/cancel?_subdomain=queue") == cancelled


async def test_a_vendor_that_asks_for_time_is_given_it(vendor: FakeVendor, queue: Fal) -> None:
    """The next look comes no sooner than the vendor says."""
    later = dataclasses.replace(BUSY, headers={**BUSY.headers, "Retry-After": "1"})
    vendor.reply(json_reply(TICKET), later, DONE, answer("/files/1.png"), raw(PNG))
    began = time.monotonic()

    await queue.generate(ORDER, KEY)

    assert time.monotonic() - began >= 1


async def test_a_job_that_the_vendor_refuses_while_it_waits_is_cancelled(
    vendor: FakeVendor, queue: Fal
) -> None:
    """Whatever ends the wait, nothing is left behind in the queue."""
    vendor.reply(json_reply(TICKET), json_reply({"detail": "no"}, 401), json_reply({}, 202))

    error = await take_error(queue.generate(ORDER, KEY))

    assert error.kind == "auth"
    assert [request.method for request in vendor.requests] == ["POST", "GET", "PUT"]


@pytest.mark.parametrize(
    "ticket",
    [
        {"request_id": "r-1"},
        TICKET | {"response_url": None},
        TICKET | {"response_url": "https://queue.fal.run/../../admin"},
        TICKET | {"response_url": "https://queue.fal.run/a b"},
    ],
)
async def test_a_ticket_that_leads_nowhere_is_refused(
    vendor: FakeVendor, queue: Fal, ticket: dict[str, Any]
) -> None:
    """Without a good path nothing more is asked."""
    vendor.reply(json_reply(ticket))

    error = await take_error(queue.generate(ORDER, KEY))

    assert (error.kind, error.maybe_billed, len(vendor.requests)) == ("transient", True, 1)


async def test_a_state_that_nobody_knows_is_given_up(vendor: FakeVendor, queue: Fal) -> None:
    """The job is taken back, and may cost."""
    vendor.reply(json_reply(TICKET | {"status": "LOST"}), json_reply({}, 202))

    error = await take_error(queue.generate(ORDER, KEY))

    assert (error.kind, error.maybe_billed) == ("transient", True)
    assert [request.method for request in vendor.requests] == ["POST", "PUT"]


async def test_a_member_who_stops_takes_the_request_out_of_the_queue(vendor: FakeVendor, queue: Fal) -> None:
    """When the wait is cancelled, so is the request at fal."""
    vendor.reply(json_reply(TICKET), *[WORKING] * 20)
    task = asyncio.create_task(queue.generate(ORDER, KEY))
    await vendor.asked(2)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    last = vendor.requests[-1]
    assert (last.method, last.path, last.key) == (
        "PUT",
        "/fal-ai/fal-ai/flux/requests/r-1/cancel?_subdomain=queue",
        "the-key",
    )
