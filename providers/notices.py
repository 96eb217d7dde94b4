"""What the host has to know: said once when it begins and once when it is over, not for every request."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable

log = logging.getLogger(__name__)


class Notices:
    """Passes sentences on to whoever listens, each topic once until it is over."""

    def __init__(self) -> None:
        self._open: set[Hashable] = set()
        self.listeners: list[Callable[[str], None]] = []

    @property
    def any_open(self) -> bool:
        """Whether anything is going on that the host was told of."""
        return bool(self._open)

    def begin(self, topic: Hashable, sentence: str) -> None:
        """Something has begun; said unless it is going on already."""
        if topic not in self._open:
            self._open.add(topic)
            self._tell(sentence)

    def end(self, topic: Hashable, sentence: str) -> None:
        """It is over; said only if it was going on."""
        if topic in self._open:
            self._open.discard(topic)
            self._tell(sentence)

    def _tell(self, sentence: str) -> None:
        log.warning("%s", sentence)
        for listener in self.listeners:
            listener(sentence)
