"""Stopping an answer while it is written."""

from __future__ import annotations


class StopSignal:
    """Ends an answer early, from another task: what had come is kept and booked."""

    def __init__(self) -> None:
        self.requested = False

    def stop(self) -> None:
        """End the answer; a second call does nothing."""
        self.requested = True
