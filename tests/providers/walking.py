"""Questions that walk down a chain of scripted providers."""

from __future__ import annotations

from providers.base import ChatRequest, Completion, ProviderError
from providers.router import ChatRouter
from tests.fakes import RecordedLedger, ScriptedChat
from tests.providers.helpers import QUESTION, collect, take_error


def failing(*errors: ProviderError, name: str = "first") -> ScriptedChat:
    """Fails like this, once each, and answers from then on."""
    return ScriptedChat(*[[error] for error in errors], name=name)


async def answered(router: ChatRouter, request: ChatRequest = QUESTION) -> Completion:
    return (await collect(router.stream(request, RecordedLedger())))[1]


async def refused(router: ChatRouter, request: ChatRequest = QUESTION) -> ProviderError:
    return await take_error(answered(router, request))
