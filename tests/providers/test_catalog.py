"""The catalogue: ours loads, the host's is laid over it, and every mistake is told at once."""

from __future__ import annotations

import re
from datetime import date
from math import inf
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from providers.base import Completion, ImageRequest, Usage
from providers.catalog import CatalogError, Entry, load_catalog
from providers.chains import (
    DEFAULT_CHAT_CHAIN,
    DEFAULT_IMAGE_CHAIN,
    build_chat_router,
    build_image_router,
    chain_problems,
)
from tests.fake_vendors import FakeVendor, json_reply, mistral_stream, raw, usage
from tests.fakes import RecordedLedger, small_png
from tests.providers.helpers import QUESTION, QUESTION_AS_JSON, collect, secrets

LEGACY = {"github-models": "gpt-4o-mini", "mistral-pixtral": "pixtral-12b-2409", "hf-inference": None}


def mistakes(overrides: dict[str, dict[str, Any]]) -> list[str]:
    with pytest.raises(CatalogError) as error:
        load_catalog(overrides)
    assert str(error.value) == "; ".join(error.value.problems)
    return error.value.problems


@pytest.mark.parametrize("entry", load_catalog().values(), ids=lambda entry: entry.name)
def test_every_entry_of_ours_is_complete(entry: Entry) -> None:
    """Each entry has a title, an https address or a server at home, and keys that are variables' names."""
    assert entry.title
    assert entry.label == f"{entry.title} ({entry.model})"
    assert all(re.fullmatch(r"[A-Z][A-Z_]+[A-Z]", key) for key in entry.keys)
    if entry.wire not in ("local", "sketch"):
        assert entry.base_url.startswith("https://") == bool(entry.keys)
        assert entry.base_url.startswith(("https://", "http://localhost:"))
    assert entry.idle_seconds <= entry.total_seconds
    assert (entry.retired is None) == (entry.advice == "")


@pytest.mark.parametrize(
    ("chain", "pictures"),
    [(DEFAULT_CHAT_CHAIN, False), (DEFAULT_IMAGE_CHAIN, True)],
    ids=["chat", "pictures"],
)
def test_default_chains_hold_living_vendors_of_their_kind(chain: tuple[str, ...], pictures: bool) -> None:
    """No retired vendor, no server at home and nothing of the other kind is asked by default."""
    entries = load_catalog()

    assert len(set(chain)) == len(chain) > 0
    for name in chain:
        assert entries[name].makes_pictures == pictures
        assert entries[name].retired is None
        assert entries[name].keys


def test_the_legacy_entries_are_there_and_marked() -> None:
    """The three old calls stay, with the day their vendors ended and what to use in their place."""
    entries = load_catalog()

    retired = {name for name, entry in entries.items() if entry.retired is not None}
    assert retired == set(LEGACY)
    assert all(entries[name].advice for name in LEGACY)
    assert [str(entries[name].retired) for name in LEGACY] == ["2026-07-30", "2025-12-31", "2026-07-15"]
    assert not retired & {*DEFAULT_CHAT_CHAIN, *DEFAULT_IMAGE_CHAIN}


def test_a_host_changes_single_fields() -> None:
    """What the host sets replaces that field alone, in that entry alone."""
    before = load_catalog()

    after = load_catalog({"mistral": {"model": "mistral-small-latest", "temperature": 0, "keys": ["MY_KEY"]}})

    changed = {"model": "mistral-small-latest", "temperature": 0.0, "keys": ("MY_KEY",)}
    assert after["mistral"].model_dump() == before["mistral"].model_dump() | changed
    assert {name: entry for name, entry in after.items() if name != "mistral"} == {
        name: entry for name, entry in before.items() if name != "mistral"
    }


def test_an_entry_that_says_little_gets_the_usual_bounds() -> None:
    """60 s to the first text, 30 s between events, 10 minutes in all, 1024 tokens; nothing else is sent."""
    entry = load_catalog({"mine": {"wire": "chat-completions", "base_url": "http://x", "model": "m"}})["mine"]

    assert (entry.first_text_seconds, entry.idle_seconds, entry.total_seconds) == (60, 30, 600)
    assert (entry.max_tokens, entry.stream, entry.stream_options) == (1024, True, True)
    assert (entry.temperature, entry.top_p, entry.extra_body, entry.drop) == (None, None, {}, ())
    assert (entry.steps, entry.max_steps, entry.sizes, entry.takes) == (None, 12, (), ("seed",))
    assert entry.label == "mine (m)"


@pytest.mark.parametrize("wire", ["openai-images", "hf-inference", "sketch"])
def test_a_picture_may_take_two_minutes_unless_the_host_says_otherwise(wire: str) -> None:
    """An entry of the host's own has the bound that ours have; what it says itself counts."""
    table = {"wire": wire, "base_url": "http://x", "model": "m"}
    entries = load_catalog({"mine": table, "slow": {**table, "total_seconds": 300}})

    assert (entries["mine"].total_seconds, entries["slow"].total_seconds) == (120, 300)
    assert {entries[name].total_seconds for name in (*DEFAULT_IMAGE_CHAIN, "hf-inference")} == {120}
    assert entries["localai"].total_seconds == 300


def test_machines_of_ones_own_do_one_thing_at_a_time() -> None:
    """Who finds them busy queues for them; the host's own entries on their wires are such machines too."""
    table: dict[str, Any] = {"base_url": "http://x", "model": "m"}
    mine = {"mine": {"wire": "local", **table}, "fast": {"wire": "sdapi", "max_concurrency": 4, **table}}
    entries = load_catalog(mine)
    queued = {name: entry.max_concurrency for name, entry in entries.items() if entry.queue}
    assert queued == {"local": 1, "localai": 1, "sd-cpp": 1, "webui": 1, "mine": 1, "fast": 4}


def test_labels_are_for_keys_with_and_without_a_number() -> None:
    """Also for one that is not set just now."""
    accounts = {"MISTRAL_TOKEN": "mine", "MISTRAL_API_KEY12": "mine"}
    assert load_catalog({"mistral": {"accounts": accounts}})["mistral"].accounts == accounts


def test_entries_cannot_be_changed_afterwards() -> None:
    """An entry is a value: whoever got it may rely on it."""
    with pytest.raises(ValidationError, match="frozen"):
        load_catalog()["mistral"].model = "another"  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize(
    ("name", "table", "sentence"),
    [
        ("mistral", {"max_token": 5}, "[providers.mistral] max_token: there is no such setting."),
        ("mistral", {"name": "other"}, "[providers.mistral] name: there is no such setting."),
        (
            "mistral",
            {"temperature": "hot"},
            "[providers.mistral] temperature: Input should be a valid number",
        ),
        (
            "mistral",
            {"max_tokens": 0},
            "[providers.mistral] max_tokens: Input should be greater than or equal",
        ),
        ("mistral", {"idle_seconds": 0}, "[providers.mistral] idle_seconds: Input should be greater than 0"),
        ("mistral", {"total_seconds": 900}, "[providers.mistral] total_seconds: Input should be less than"),
        ("mistral", {"base_url": "api.mistral.ai"}, "[providers.mistral] base_url: must be an address that"),
        ("mistral", {"base_url": "https://"}, "[providers.mistral] base_url: must be an address that"),
        ("mistral", {"base_url": "file:///etc"}, "[providers.mistral] base_url: must be an address that"),
        ("mistral", {"base_url": "http://a..b/v1"}, "[providers.mistral] base_url: is no address that can"),
        ("mistral", {"base_url": "http://[::1/v1"}, "[providers.mistral] base_url: is no address that can"),
        ("mistral", {"base_url": "http://h:99999"}, "[providers.mistral] base_url: is no address that can"),
        (
            "mistral",
            {"base_url": "http://u:pw@h/v1"},
            "[providers.mistral] base_url: must not hold a password",
        ),
        (
            "mistral",
            {"extra_body": {"since": date(2026, 1, 1)}},
            "[providers.mistral] extra_body: holds what",
        ),
        ("mistral", {"extra_body": {"top": [{"p": inf}]}}, "[providers.mistral] extra_body: holds what"),
        (
            "mine",
            {"wire": "gopher", "model": "m"},
            "[providers.mine] wire: Input should be 'chat-completions',",
        ),
        ("mine", {"model": "m"}, "[providers.mine] wire: Field required."),
        (
            "mistral",
            {"accounts": {"MISTRAL_API_KYE1": "mine"}},
            "[providers.mistral] accounts: MISTRAL_API_KYE1 is no key of this provider; they begin with MIST",
        ),
        (
            "local",
            {"max_concurrency": 2},
            "[providers.local] max_concurrency: a model in the bot's own process answers one question",
        ),
        (
            "openai-images",
            {"sizes": ["big"]},
            "[providers.openai-images] sizes.0: String should match pattern",
        ),
        ("sketch", {"takes": ["luck"]}, "[providers.sketch] takes.0: Input should be 'seed', 'guidance' or"),
        ("sketch", {"min_steps": 9}, "[providers.sketch]: min_side and min_steps must not be above max_side"),
        (
            "hf-inference",
            {"retired": "soon"},
            "[providers.hf-inference] retired: Input should be a valid date",
        ),
    ],
)
def test_a_mistake_is_told_in_one_sentence(name: str, table: dict[str, Any], sentence: str) -> None:
    """Each mistake is one sentence that names the table and the setting."""
    (problem,) = mistakes({name: table})

    assert problem.startswith(sentence)
    assert problem.endswith(".")


def test_all_mistakes_are_told_at_once() -> None:
    """Mistakes in several tables, and several in one, come in one list."""
    problems = mistakes(
        {
            "mistral": {"max_token": 5, "temperature": "hot"},
            "sketch": {"steps": 0},
            "mine": {"wire": "chat-completions"},
        }
    )

    assert [problem.partition(":")[0] for problem in problems] == [
        "[providers.mistral] temperature",
        "[providers.mistral] max_token",
        "[providers.sketch] steps",
        "[providers.mine] base_url",
        "[providers.mine] model",
    ]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@settings(deadline=None, max_examples=100)
@given(
    st.dictionaries(
        st.sampled_from(["mistral", "sketch", "hf-inference", "mine", "", "a.b"]),
        st.dictionaries(st.sampled_from([*Entry.model_fields, "mystery", "self"]), anything, max_size=4),
        max_size=3,
    )
)
def test_any_host_settings_load_or_are_told(overrides: dict[str, dict[str, Any]]) -> None:
    """No content of the host's file ends in anything but entries or a list of sentences."""
    try:
        entries = load_catalog(overrides)
    except CatalogError as error:
        problems = error.problems
        assert problems == [problem for problem in problems if problem.startswith("[providers.")]
    else:
        assert all(entry.name == name for name, entry in entries.items())


async def test_a_new_chat_vendor_needs_only_data(vendor: FakeVendor, session: aiohttp.ClientSession) -> None:
    """A table in the host's file is a whole new vendor: asked with its own key, fields and address."""
    entries = load_catalog(
        {
            "newcomer": {
                "wire": "chat-completions",
                "base_url": f"{vendor.url}/api",
                "model": "newcomer-large",
                "keys": ["NEWCOMER_KEY"],
                "stream_options": False,
                "max_tokens_field": "limit",
                "extra_body": {"safe": True},
            }
        }
    )
    vendor.reply(mistral_stream("Wel", "come.", used=usage(30, 2)))
    assert chain_problems(entries, ["newcomer"], []) == []
    router = build_chat_router(entries, ["newcomer"], secrets(NEWCOMER_KEY="new-key"), session)

    _, completion = await collect(router.stream(QUESTION, RecordedLedger()))

    assert completion == Completion("Welcome.", Usage(30, 2), "stop", "newcomer-large")
    (request,) = vendor.requests
    assert (request.path, request.key) == ("/api/chat/completions", "new-key")
    assert request.body == {
        "messages": QUESTION_AS_JSON,
        "limit": 1024,
        "model": "newcomer-large",
        "stream": True,
        "safe": True,
    }


@pytest.mark.parametrize("wire", ["openai-images", "hf-inference"])
async def test_a_new_picture_vendor_needs_only_data(
    vendor: FakeVendor, session: aiohttp.ClientSession, wire: str
) -> None:
    """The same holds for pictures, on both wires."""
    table = {"wire": wire, "base_url": vendor.url, "model": "painter", "steps": 8}
    entries = load_catalog({"newcomer": table})
    vendor.reply(json_reply({"data": [{"url": "/1.png"}]}) if wire == "openai-images" else raw(small_png()))
    vendor.reply(raw(small_png()))
    assert chain_problems(entries, [], ["newcomer"]) == []
    router = build_image_router(entries, ["newcomer"], secrets(), session)

    picture = await router.generate(ImageRequest("a fox", seed=3), RecordedLedger())

    assert (picture.model, picture.seed, picture.steps) == ("painter", 3, 8)
