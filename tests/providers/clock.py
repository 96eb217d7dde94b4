"""A clock moved by hand, and what else the tests of keys and walks share."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr

from providers.base import Key
from providers.healths import Health, Holder


class Clock:
    """A clock that stands still until somebody moves its hand."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class KeptHealths:
    """A store in memory; broken when told so."""

    def __init__(self) -> None:
        self.broken = False
        self.saved: list[dict[Holder, Health]] = []

    async def load(self) -> Mapping[Holder, Health]:
        return {holder: health for changed in self.saved for holder, health in changed.items()}

    async def save(self, changed: Mapping[Holder, Health]) -> None:
        if self.broken:
            raise OSError("disk full")
        self.saved.append(dict(changed))


def account_key(variable: str, account: str) -> Key:
    """A key that the host has labelled with an account."""
    return Key(variable, SecretStr(f"value-of-{variable}"), account)
