"""How the providers and their keys are, for the host; and which models may be asked, for everyone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC

from assistant.periods import start_of, today
from assistant.values import ModelChoice
from db.engine import Database
from db.usage import count_by_key
from providers.healths import NEVER
from providers.router import ChatRouter, ImageRouter


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """One provider and key. `until` in seconds since 1970; None: until the host changes something."""

    label: str
    key: str  # the setting that holds it, never the key; "" for a provider that needs none
    status: str  # ready, resting, spent or dead
    reason: str
    until: int | None
    requests: int  # sent today
    failures: int  # of those


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Who would answer now (None: nobody), and every provider and key of both chains."""

    chat: str | None
    pictures: str | None
    chat_targets: list[TargetStatus]
    picture_targets: list[TargetStatus]


async def report_status(
    database: Database, chat_router: ChatRouter, image_router: ImageRouter
) -> StatusReport:
    """The state of both chains at this moment, with today's counts (UTC)."""
    midnight = start_of(today(UTC, time.time()), UTC)
    counts = await database.read(lambda connection: count_by_key(connection, midnight))
    targets: list[list[TargetStatus]] = []
    for router in (chat_router, image_router):
        rows = []
        for route, key, health in router.healths():
            sent, failed = counts.get((route.name, key.variable), (0, 0))
            until = None if health.until in (0, NEVER) else round(health.until)
            state = health.status.value, health.reason, until
            rows.append(TargetStatus(route.label, key.variable, *state, sent, failed))
        targets.append(rows)
    chat, pictures = chat_router.next_route(), image_router.next_route()
    return StatusReport(
        chat.label if chat else None, pictures.label if pictures else None, targets[0], targets[1]
    )


def list_models(router: ChatRouter | ImageRouter) -> list[ModelChoice]:
    """The models that may be asked now: in the chain's order, then the others."""
    default = router.next_route()
    ready = {route.full_name: route for route in (*router.routes, *router.others) if router.is_ready(route)}
    return [ModelChoice(name, route.label, route is default) for name, route in ready.items()]
