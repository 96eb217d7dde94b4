"""Code blocks as Discord's client finds them, with the rule of its own."""

from __future__ import annotations

import re

_BLOCK = re.compile(r"```(?:([a-z0-9_+\-.#]+?)\n)?\n*([^\n][\s\S]*?)\n*```", re.IGNORECASE)


def code_blocks(message: str) -> list[tuple[str, str]]:
    """Each block's language and code."""
    return [(match[1] or "", match[2]) for match in _BLOCK.finditer(message)]


def outside_of_blocks(message: str) -> str:
    """What is no code; backticks in it are shown as such."""
    return _BLOCK.sub("", message)
