"""From catalogue, chain names and keys to the two routers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import aiohttp

from providers.base import NO_KEY, ChatProvider, ImageProvider
from providers.catalog import Entry
from providers.chat_completions import ChatCompletions
from providers.fal import Fal
from providers.hf_inference import HuggingFaceInference
from providers.keys import FindSecrets, collect_keys
from providers.local import LocalModel
from providers.openai_images import OpenAIImages
from providers.route import Budget, Ending, P, Route, State
from providers.router import ChatRouter, ImageRouter
from providers.sdapi import StableDiffusionAPI
from providers.transport import Transport

# Living vendors only; those that can be had for nothing come first.
DEFAULT_CHAT_CHAIN = ("mistral", "groq", "openrouter", "openai", "gemini")
DEFAULT_IMAGE_CHAIN = ("hf-nscale", "hf-fal", "together", "fal", "openai-images")
IMAGE_WIRES: dict[str, type[HuggingFaceInference | OpenAIImages | Fal | StableDiffusionAPI]] = {
    "hf-inference": HuggingFaceInference,
    "openai-images": OpenAIImages,
    "fal": Fal,
    "sdapi": StableDiffusionAPI,
}


def chain_problems(entries: Mapping[str, Entry], chat: Sequence[str], images: Sequence[str]) -> list[str]:
    """A sentence for each name in the host's chains that no chain can use."""
    problems = []
    for setting, chain, pictures in (("chat_chain", chat, False), ("image_chain", images, True)):
        for name in chain:
            if name not in entries:
                known = ", ".join(
                    sorted(n for n, entry in entries.items() if entry.makes_pictures == pictures)
                )
                problems.append(f"{setting}: there is no provider {name!r}. There are: {known}.")
            elif entries[name].makes_pictures != pictures:
                does = "makes pictures" if entries[name].makes_pictures else "only chats"
                problems.append(f"{setting}: the provider {name!r} {does}.")
    return problems


def build_chat_router(
    entries: Mapping[str, Entry],
    chain: Sequence[str],
    find: FindSecrets,
    session: aiohttp.ClientSession,
    state: State | None = None,
    budget: Budget | None = None,
) -> ChatRouter:
    """The router over the chat providers of `chain` that are called without a key or have one."""
    transport = Transport(session)

    def build(entry: Entry) -> ChatProvider:
        return LocalModel(entry) if entry.wire == "local" else ChatCompletions(entry, transport)

    chosen = _current(entries, chain)
    others = _routes(_others(chosen), build, find)
    return ChatRouter(_routes(chosen, build, find), state, budget, others, _endings(chosen))


def build_image_router(
    entries: Mapping[str, Entry],
    chain: Sequence[str],
    find: FindSecrets,
    session: aiohttp.ClientSession,
    state: State | None = None,
    budget: Budget | None = None,
) -> ImageRouter:
    """The router over the image providers of `chain` that are called without a key or have one."""
    transport = Transport(session)

    def build(entry: Entry) -> ImageProvider:
        if entry.wire == "sketch":
            from providers.sketch import Sketch  # what draws takes time to import, and is for the demo

            return Sketch(entry)
        return IMAGE_WIRES[entry.wire](entry, transport)

    chosen = _current(entries, chain)
    others = _routes(_others(chosen), build, find)
    return ImageRouter(_routes(chosen, build, find), state, budget, others, _endings(chosen))


def warn_of_retired(entries: Mapping[str, Entry], chains: Sequence[str], find: FindSecrets) -> list[str]:
    """Sentences for retired vendors and models that a chain names, or whose keys nobody takes any more."""
    today = datetime.now(UTC).date()
    served = {key for entry in entries.values() if entry.retired is None for key in entry.keys}
    warnings = []
    for entry in entries.values():
        in_use = entry.name in chains
        model, known = entry.current_model(today), entry.models.get(entry.model)
        if in_use and known and known.retired and known.retired <= today:
            instead = f"{model} is asked in its place." if model != entry.model else "Set another model."
            warnings.append(f"{entry.label}: this model was retired on {known.retired}. {instead}")
        if entry.retired is None or entry.retired > today:
            continue
        gone = f"{entry.label} was shut down on {entry.retired}."
        if in_use:
            warnings.append(f"The provider {entry.name} is in a chain, but {gone} {entry.advice}".strip())
            continue
        for name in entry.keys:
            variables = [variable for variable, value in find(name) if value.get_secret_value().strip()]
            if variables and name not in served:
                warnings.append(f"{', '.join(variables)}: of no use any more, {gone} {entry.advice}".strip())
    return warnings


def _current(entries: Mapping[str, Entry], chain: Sequence[str]) -> list[Entry]:
    """The entries of a chain, each with the model that is to be asked today."""
    today = datetime.now(UTC).date()
    chosen = (entries[name] for name in dict.fromkeys(chain))  # one that stands twice is asked once
    return [entry.with_model(entry.current_model(today)) for entry in chosen]


def _others(entries: Sequence[Entry]) -> list[Entry]:
    """The same providers with each of the other models that they offer, or will once one is retired."""
    today = datetime.now(UTC).date()
    others = []
    for entry in entries:
        living = {name: m for name, m in entry.models.items() if m.retired is None or m.retired > today}
        names = dict.fromkeys([*living, *(model.successor for model in living.values() if model.successor)])
        others += [entry.with_model(name) for name in names if name != entry.model]
    return others


def _endings(entries: Sequence[Entry]) -> dict[str, Ending]:
    """The last days of models that have a successor, by the names that a request may give them."""
    endings: dict[str, Ending] = {}
    for entry in entries:
        for name, model in entry.models.items():
            if model.retired and model.successor:
                endings.setdefault(name, Ending(model.retired, model.successor))
                endings[f"{entry.name}/{name}"] = Ending(model.retired, f"{entry.name}/{model.successor}")
    return endings


def _routes(entries: Sequence[Entry], build: Callable[[Entry], P], find: FindSecrets) -> list[Route[P]]:
    routes = [_route(entry, build(entry), find) for entry in entries]
    return [route for route in routes if route.keys]


def _route(entry: Entry, provider: P, find: FindSecrets) -> Route[P]:
    return Route(
        provider,
        entry.label,
        collect_keys(entry.keys, find, entry.accounts) if entry.keys else (NO_KEY,),
        entry.first_text_seconds,
        entry.idle_seconds,
        entry.total_seconds,
        entry.max_tokens,
        entry.max_concurrency,
        entry.requests_per_minute,
        entry.price,
        queue=entry.queue,
        sees=entry.sees,
        context_tokens=entry.context_tokens,
        picture_limits=entry if entry.makes_pictures else None,
    )
