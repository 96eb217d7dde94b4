"""What is known of accounts, keys and models: whether they may be asked, and where that is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

NEVER = float("inf")
DAY = 86400.0


class Status(Enum):
    """Whether something may be asked."""

    READY = "ready"
    RESTING = "resting"  # for seconds or minutes
    SPENT = "spent"  # for hours or days
    DEAD = "dead"  # until the host changes something


class Holder(NamedTuple):
    """Whose health it is: an account's with a model, a key's (no model) or a model's (no holder)."""

    provider: str
    holder: str
    model: str


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of a holder. `until` in seconds since 1970; `reason` is the class of the error."""

    status: Status = Status.READY
    until: float = 0.0
    reason: str = ""
    strikes: int = 0  # refusals in a row for which the vendor named no time

    def is_kept_as(self, kept: Health) -> bool:
        """Whether a store that keeps whole seconds, rounded up, has this as `kept`."""
        same = (self.status, self.reason, self.strikes) == (kept.status, kept.reason, kept.strikes)
        return same and (self.until == kept.until or self.until < kept.until < self.until + 1)


WELL = Health()


class HealthStore(Protocol):
    """Where healths live through a restart."""

    async def load(self) -> Mapping[Holder, Health]:
        """All healths that were saved."""
        ...

    async def save(self, changed: Mapping[Holder, Health]) -> None:
        """Keep these; one that is ready is forgotten."""
        ...


class NoStore:
    """Keeps nothing: each start knows nothing."""

    async def load(self) -> Mapping[Holder, Health]:
        """Nothing."""
        return {}

    async def save(self, changed: Mapping[Holder, Health]) -> None:
        """Nowhere."""
