"""From catalogue, chains and keys to routers; and what the host is told of retired vendors."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from providers.base import NO_KEY, ImageRequest
from providers.catalog import load_catalog
from providers.chains import build_chat_router, build_image_router, chain_problems, warn_of_retired
from providers.chat_completions import ChatCompletions
from providers.fal import Fal
from providers.hf_inference import HuggingFaceInference
from providers.local import LocalModel
from providers.openai_images import OpenAIImages
from providers.route import State
from providers.sdapi import StableDiffusionAPI
from providers.sketch import Sketch
from tests.fakes import RecordedLedger
from tests.providers.clock import Clock
from tests.providers.helpers import secrets


def test_good_chains_have_no_problems() -> None:
    """Names of the right kind pass, in any order and number."""
    assert chain_problems(load_catalog(), ["ollama", "mistral"], ["sketch"]) == []
    assert chain_problems(load_catalog(), [], []) == []


def test_every_bad_name_in_a_chain_is_told() -> None:
    """Unknown names and providers of the other kind are one sentence each, with what there is instead."""
    problems = chain_problems(load_catalog(), ["mistrall", "sketch", "openai"], ["openai", "paint"])

    assert [problem.partition(". ")[0] for problem in problems] == [
        "chat_chain: there is no provider 'mistrall'",
        "chat_chain: the provider 'sketch' makes pictures.",
        "image_chain: the provider 'openai' only chats.",
        "image_chain: there is no provider 'paint'",
    ]
    assert "mistral, mistral-pixtral, ollama" in problems[0]
    assert "sketch" not in problems[0]
    assert "hf-nscale, localai, openai-images, sd-cpp, sketch, together, webui" in problems[3]


async def test_providers_without_their_key_are_left_out(session: aiohttp.ClientSession) -> None:
    """In the chain's order stay those that have a key, with all of their keys, and those that need none."""
    find = secrets(MISTRAL_TOKEN="m", OPENAI_API_KEY1="o1", OPENAI_API_KEY2="o2", GROQ_API_KEY="  ")

    router = build_chat_router(
        load_catalog(), ["openai", "groq", "openrouter", "ollama", "mistral"], find, session
    )

    assert [route.provider.name for route in router.routes] == ["openai", "ollama", "mistral"]
    assert [[key.variable for key in route.keys] for route in router.routes] == [
        ["OPENAI_API_KEY1", "OPENAI_API_KEY2"],
        [""],
        ["MISTRAL_TOKEN"],
    ]
    assert router.routes[1].keys == (NO_KEY,)
    assert router.routes[0].label == "OpenAI (gpt-6-luna)"


async def test_a_chain_without_any_key_is_empty(session: aiohttp.ClientSession) -> None:
    """With no key, or blank ones alone, the routers know that there is nobody to ask."""
    for find in (secrets(), secrets(MISTRAL_API_KEY="", HF_TOKEN=" ")):
        assert build_chat_router(load_catalog(), ["mistral"], find, session).routes == ()
        assert build_image_router(load_catalog(), ["hf-nscale"], find, session).routes == ()


async def test_a_route_has_its_entrys_times_and_bounds(session: aiohttp.ClientSession) -> None:
    """Deadlines and token limits come from the catalogue or the host's settings."""
    times = {"first_text_seconds": 1.5, "idle_seconds": 2.5, "total_seconds": 3.5, "max_tokens": 99}
    times |= {"max_concurrency": 2, "requests_per_minute": 7, "queue": True}
    entries = load_catalog({"ollama": times})

    router = build_chat_router(entries, ["ollama", "llamacpp"], secrets(), session)

    ollama, llamacpp = router.routes
    assert {name: getattr(ollama, name) for name in times} == times
    assert (llamacpp.first_text_seconds, llamacpp.max_tokens) == (300, 1024)


async def test_each_wire_has_its_provider(session: aiohttp.ClientSession) -> None:
    """The entry's wire decides which class speaks."""
    find = secrets(HF_TOKEN="h")

    chats = build_chat_router(load_catalog(), ["ollama", "local"], find, session)
    painters = ["hf-inference", "hf-nscale", "hf-fal", "webui", "sketch"]
    pictures = build_image_router(load_catalog(), painters, find, session)

    assert [type(route.provider) for route in chats.routes] == [ChatCompletions, LocalModel]
    wires = [HuggingFaceInference, OpenAIImages, Fal, StableDiffusionAPI, Sketch]
    assert [type(route.provider) for route in pictures.routes] == wires


async def test_the_sketch_needs_nothing(session: aiohttp.ClientSession) -> None:
    """The chain of the demo makes a picture without a key and without a network."""
    router = build_image_router(load_catalog(), ["sketch"], secrets(), session)

    picture = await router.generate(ImageRequest("a fox", 64, 64, seed=3), RecordedLedger())

    assert (picture.width, picture.height, picture.seed, picture.model) == (64, 64, 3, "sketch")
    assert picture.png.startswith(b"\x89PNG")


# ---- Retired vendors -------------------------------------------------------------------------------


def warnings(*chains: str, overrides: dict[str, dict[str, Any]] | None = None, **variables: str) -> list[str]:
    return warn_of_retired(load_catalog(overrides), chains, secrets(**variables))


@pytest.mark.parametrize("name", ["pixtral-12b-2409", "mistral/pixtral-12b-2409"])
async def test_a_retired_model_stands_for_its_successor(session: aiohttp.ClientSession, name: str) -> None:
    """Asked for by name, as by a button of an old picture, the model is the one that took its place."""
    find = secrets(MISTRAL_API_KEY="value")
    router = build_chat_router(load_catalog(), ["mistral"], find, session)
    assert [route.full_name for route in router.offering(name)] == ["mistral/ministral-14b-latest"]
    assert name not in {route.full_name for route in router.others}


async def test_a_bot_that_runs_past_a_models_last_day_asks_its_successor(
    session: aiohttp.ClientSession,
) -> None:
    """No new start is needed; until that day the model is asked and its successor offered beside it."""
    day = datetime(2999, 1, 14, tzinfo=UTC)
    models = {
        "old": {"retired": day.date(), "successor": "newer"},
        "newer": {"retired": (day + timedelta(days=9)).date(), "successor": "newest"},
        "another": {},
    }
    table = {"model": "old", "models": models, "prices": {}}
    clock = Clock(day.timestamp() - 1)
    find = secrets(OPENAI_API_KEY="value")
    router = build_chat_router(load_catalog({"openai": table}), ["openai"], find, session, State(clock=clock))

    def offered() -> tuple[list[str], list[str], list[str]]:
        assert router.next_route() is router.routes[0]
        rest = [route.provider.model for route in router.others]
        named = [route.provider.model for route in router.offering("old")]
        return [route.provider.model for route in router.routes], rest, named

    assert offered() == (["old"], ["newer", "another", "newest"], ["old"])
    clock.now += 1
    assert offered() == (["newer"], ["another", "newest"], ["newer"])
    clock.now += 9 * 86400
    assert offered() == (["newest"], ["another"], ["newest"])


def test_keys_of_a_vendor_that_is_gone_are_named() -> None:
    """GIT_TOKEN1 has no use any more: one warning says which, since when, and what to set instead."""
    (warning,) = warnings(GIT_TOKEN1="secret-1", GIT_TOKEN2="secret-2")

    assert warning == (
        "GIT_TOKEN1, GIT_TOKEN2: of no use any more, GitHub Models (gpt-4o-mini) was shut down on "
        "2026-07-30. Set MISTRAL_API_KEY, OPENROUTER_API_KEY or another chat key in its place."
    )


def test_keys_that_a_living_vendor_takes_are_not_warned_of() -> None:
    """Hugging Face's and Mistral's old keys serve the successors; where no key is set nothing is said."""
    assert warnings(HF_TOKEN1="h", HF_TOKEN6="h6", MISTRAL_TOKEN="m") == []
    assert warnings() == []
    assert warnings(GIT_TOKEN="", GIT_TOKEN1="  ") == []


def test_a_key_that_the_host_uses_elsewhere_is_not_warned_of() -> None:
    """A host who gives GIT_TOKEN to an entry of his own knows what it is for."""
    mine = {
        "wire": "chat-completions",
        "base_url": "https://models.example",
        "model": "m",
        "keys": ["GIT_TOKEN"],
    }

    assert warnings(overrides={"mine": mine}, GIT_TOKEN="g") == []


@pytest.mark.parametrize(
    ("name", "day", "advice"),
    [
        ("github-models", "2026-07-30", "MISTRAL_API_KEY"),
        ("mistral-pixtral", "2025-12-31", "ministral-14b-latest"),
        ("hf-inference", "2026-07-15", "hf-nscale"),
    ],
)
def test_a_retired_vendor_in_a_chain_is_named(name: str, day: str, advice: str) -> None:
    """Whoever puts a legacy entry into a chain hears the day its vendor ended and what to use, once."""
    (warning,) = warnings(name, "mistral", GIT_TOKEN1="g" if name == "github-models" else "")

    assert re.match(rf"The provider {name} is in a chain, but .* was shut down on {day}\. ", warning)
    assert advice in warning


def test_a_vendor_is_gone_on_its_day_and_not_before() -> None:
    """A shutdown that has been announced is no warning yet; on the day it is."""
    today = datetime.now(UTC).date()

    def ends(day: object) -> dict[str, dict[str, Any]]:
        return {"mistral": {"retired": day, "advice": "Use another."}}

    assert warnings("mistral", overrides=ends(today + timedelta(days=2))) == []
    assert "Use another." in warnings("mistral", overrides=ends(today))[0]
