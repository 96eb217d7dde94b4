"""Leaving out what a model thinks aloud."""

from __future__ import annotations

OPENING, CLOSING = "<think>", "</think>"


class ThinkingFilter:
    """Takes an answer's pieces and gives back those that are for the reader.

    Some models begin with what they think, between <think> and </think>, in the text itself. Tags may be cut
    anywhere between two pieces.
    """

    def __init__(self) -> None:
        self._held = ""  # what may be the beginning of a tag
        self._is_start = True
        self._is_thinking = False
        self._has_thought = False
        self.thoughts: list[str] = []  # what was left out

    def feed(self, text: str) -> str:
        """The part of the next piece that is for the reader, which may be none."""
        if not self._is_start and not self._is_thinking:
            return text
        self._held += text
        if self._is_start:
            beginning = self._held.lstrip()
            if OPENING.startswith(beginning[: len(OPENING)]) and len(beginning) < len(OPENING):
                return ""  # it may become one
            self._is_start = False
            self._is_thinking = beginning.startswith(OPENING)
            if not self._is_thinking:
                return self.finish()
        thought, found, answer = self._held.partition(CLOSING)
        if not found:
            begun = len(CLOSING) - 1  # so much may be the beginning of the tag
            self.thoughts.append(thought[:-begun])
            self._held = thought[-begun:]
            return ""
        self.thoughts.append(thought)
        self._is_thinking, self._has_thought = False, True
        self._held, self._is_start = "", True  # a second thought may follow
        return self.feed(answer)

    def finish(self) -> str:
        """What was held back and turned out to be text; nothing of an unfinished thought."""
        held, self._held = self._held, ""
        if self._is_thinking:
            return ""
        return held.lstrip() if self._has_thought else held
