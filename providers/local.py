"""A model run in the bot's own process: a GGUF file through llama.cpp (needs `requirements/local.txt`)."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import secrets
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from providers.base import BadRequest, ChatRequest, Completion, Delta, Key, Unavailable
from providers.catalog import Entry
from providers.chat_completions import Reading, build_body
from providers.errors import read_error, safe_detail

log = logging.getLogger(__name__)


class LocalModel:
    """Answers with the model in `model_path`, loaded at the first question. It is asked one at a time.

    llama.cpp works in threads of its own and hands each piece to a callback; a worker thread waits for it,
    so the event loop only sees finished pieces.
    """

    def __init__(self, entry: Entry) -> None:
        self.name = entry.name
        self.model = entry.model
        self._entry = entry
        self._server: Any = None

    async def stream(self, request: ChatRequest, key: Key) -> AsyncGenerator[Delta | Completion]:
        """Yield the answer's pieces, then one Completion. Raises ProviderError."""
        body = build_body(self._entry, request)
        reading = Reading()
        loop = asyncio.get_running_loop()
        frames: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        stop = threading.Event()

        def take(frame: dict[str, Any]) -> bool:
            loop.call_soon_threadsafe(frames.put_nowait, frame)
            return stop.is_set()  # True ends the answer

        work = asyncio.create_task(asyncio.to_thread(self._answer, body, take))
        work.add_done_callback(lambda _: frames.put_nowait(None))
        try:
            while (frame := await frames.get()) is not None:
                if frame.get("error"):
                    raise read_error(200, {}, json.dumps(frame).encode())
                if (text := reading.take(frame)) != "":
                    yield Delta(text)
            work.result()
        finally:
            stop.set()
            # The model must have stopped before the next question may have it.
            await asyncio.wait([work])
        if (text := reading.finish()) != "":
            yield Delta(text)
        yield reading.completion(self.model)

    def _answer(self, body: dict[str, Any], take: Any) -> None:
        """Run one question to its end. Called in a worker thread."""
        if self._server is None:
            self._server = _load(self._entry)
        try:
            self._server.handle_chat_completions(body, take)
        except (RuntimeError, ValueError) as error:
            raise Unavailable(safe_detail(f"llama.cpp: {error}")) from None


def _load(entry: Entry) -> Any:
    """Load the model. Raises BadRequest with what the host has to do when it cannot be loaded."""
    if importlib.util.find_spec("xllamacpp") is None:
        raise BadRequest("the package xllamacpp is missing: pip install -r requirements/local.txt")
    if not Path(entry.model_path).is_file():
        raise BadRequest(
            f"there is no model file {entry.model_path!r}: set model_path of [providers.{entry.name}]"
        )
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = entry.model_path
    parameters.n_ctx = entry.context_tokens
    parameters.n_parallel = 1
    parameters.warmup = False
    parameters.verbosity = 0
    # llama.cpp opens a loopback port of its own, which nothing here uses: close it to everyone else.
    parameters.api_keys = [secrets.token_urlsafe(32)]
    parameters.endpoint_slots = False
    log.info("loading the model %s", Path(entry.model_path).name)
    try:
        return xllamacpp.Server(parameters)
    except RuntimeError as error:
        raise BadRequest(safe_detail(f"the model file cannot be loaded: {error}")) from None
