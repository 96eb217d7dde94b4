"""From settings to what answers by them: built at the start, and again whenever they are read anew."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import aiohttp

from assistant import Conversation, Limits
from providers.catalog import load_catalog
from providers.chains import (
    DEFAULT_CHAT_CHAIN,
    DEFAULT_IMAGE_CHAIN,
    build_chat_router,
    build_image_router,
    chain_problems,
    warn_of_retired,
)
from providers.keys import FindSecrets
from providers.route import Budget, Route, State
from providers.router import ChatRouter, ImageRouter
from settings import Settings, SettingsError

log = logging.getLogger("colloquy")


class Parts(NamedTuple):
    """What an assistant answers with, in the order in which it takes them."""

    chat_router: ChatRouter
    image_router: ImageRouter
    conversation: Conversation
    limits: Limits


@dataclass(frozen=True)
class Builder:
    """Builds the parts. All that it builds share one HTTP session and what is known of the providers.

    A router that is given (by tests) takes the place of the one that the settings describe.
    """

    session: aiohttp.ClientSession
    state: State
    chat_router: ChatRouter | None = None
    image_router: ImageRouter | None = None

    def build(self, settings: Settings, find_keys: FindSecrets) -> Parts:
        """Build everything anew, and log who will be asked. Raises CatalogError, SettingsError.

        Keys and models that were refused are tried again: that is what the host may have read them anew for.
        """
        entries = load_catalog(settings.providers)
        chat_chain = settings.chat_chain if settings.chat_chain is not None else DEFAULT_CHAT_CHAIN
        image_chain = settings.image_chain if settings.image_chain is not None else DEFAULT_IMAGE_CHAIN
        if problems := chain_problems(entries, chat_chain, image_chain):
            raise SettingsError(problems)
        for warning in warn_of_retired(entries, (*chat_chain, *image_chain), find_keys):
            log.warning("%s", warning)
        budget = Budget(settings.patience.requests, settings.patience.seconds)
        shared = (find_keys, self.session, self.state, budget)
        chat_router = self.chat_router or build_chat_router(entries, chat_chain, *shared)
        image_router = self.image_router or build_image_router(entries, image_chain, *shared)
        if problems := limit_problems(settings, [*chat_router.routes, *image_router.routes]):
            raise SettingsError(problems)
        for command, router in (("/ask", chat_router), ("/imagine", image_router)):
            for problem in limit_problems(settings, router.routes):
                log.warning("%s: %s", command, problem)
        self.state.pool.try_again()
        _log_chain("/ask", chat_router.routes)
        _log_chain("/imagine", image_router.routes)
        return Parts(
            chat_router,
            image_router,
            Conversation(
                settings.chat.system_prompt,
                settings.chat.history_tokens,
                settings.chat.answers_per_channel,
                settings.chat.cooldown_seconds,
            ),
            Limits(**settings.limits.model_dump()),
        )


def limit_problems(settings: Settings, routes: Sequence[Route[Any]]) -> list[str]:
    """A sentence for limits in dollars that would refuse every request, since no model has a price."""
    named = [name for name, value in settings.limits if "dollars" in name and value is not None]
    if not named or not routes or any(route.price is not None for route in routes):
        return []
    labels = ", ".join(route.label for route in routes)
    return [
        f"[limits] {named[0]}: none of the models has a price, so nobody could be asked. "
        f"Set prices under [providers.NAME.prices], for: {labels}."
    ]


def _log_chain(command: str, routes: Sequence[Route[Any]]) -> None:
    if routes:
        log.info("%s asks %s", command, ", then ".join(route.label for route in routes))
    else:
        log.warning("%s has nobody to ask: set a key, see .env.example", command)
