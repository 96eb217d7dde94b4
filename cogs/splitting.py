"""Cutting a long text into messages that Discord takes, without breaking what the text shows."""

from __future__ import annotations

import re
import unicodedata

# Discord counts what it calls characters; UTF-16 units are the count that is never too small.
MESSAGE_UNITS = 2000
FENCE = re.compile(r" {0,3}(`{3,})([^`\n]{0,30})[^`\n]*$")
SENTENCE_END = re.compile(r"[.!?…。！？]['\")\]]*\s+|[。！？]")
CLOSING = "\n```"


def units(text: str) -> int:
    """The length of `text` in UTF-16 units."""
    return len(text) + sum(1 for character in text if character > "\uffff")


def split_text(text: str, limit: int = MESSAGE_UNITS) -> list[str]:
    """Cut `text` into parts of at most `limit` units: at a paragraph, line, sentence or word, in that order.

    A code block that is cut is closed, and opened again in the next part with its language. Empty text
    has no parts.
    """
    parts: list[str] = []
    fence = ""  # the line that opened the code block we are in
    rest = text.strip("\n").rstrip()
    while rest:
        opening = f"{fence}\n" if fence else ""
        if units(opening) + units(rest) + len(CLOSING) <= limit:
            cut = len(rest)
        else:
            cut = _find_cut(rest, limit - units(opening) - len(CLOSING), in_code=bool(fence))
        piece, rest = rest[:cut], rest[cut:]
        fence = _fence_after(piece, fence)
        piece = opening + piece.rstrip()
        if fence:
            piece += CLOSING
        else:
            rest = rest.lstrip("\n")
        if piece.strip():
            parts.append(piece)
    return parts


def add_line(parts: list[str], line: str, limit: int = MESSAGE_UNITS) -> list[str]:
    """The parts with one more line at their end, outside of any code block."""
    if parts and units(parts[-1]) + 1 + units(line) <= limit:
        return [*parts[:-1], f"{parts[-1]}\n{line}"]
    return [*parts, line]


def beginning(text: str, limit: int = MESSAGE_UNITS) -> str:
    """As much of a text that is still being written as one message shows, with its code block closed."""
    parts = split_text(text, limit - 2)
    return parts[0] + (" …" if len(parts) > 1 else "") if parts else ""


def _find_cut(text: str, room: int, *, in_code: bool) -> int:
    """Where to cut so that the first piece has at most `room` units; at least one character."""
    end = min(len(text), room)
    while (excess := units(text[:end]) - room) > 0:
        end -= (excess + 1) // 2
    window = text[:end]
    least = end // 3  # a cut further back would waste the message
    if not in_code and (cut := window.rfind("\n\n")) > least:
        return cut + 2
    if (cut := window.rfind("\n")) > least:
        return cut + 1
    if not in_code:
        ends = [match.end() for match in SENTENCE_END.finditer(window) if match.end() > least]
        if ends:
            return ends[-1]
    if (cut := window.rfind(" ")) > least:
        return cut + 1
    while end > 1 and end < len(text) and _belongs_together(text[end - 1], text[end]):
        end -= 1
    return max(end, 1)


def _belongs_together(left: str, right: str) -> bool:
    """Whether a cut between the two would break what people see as one character."""
    joiner, flags = "\u200d", ("\U0001f1e6", "\U0001f1ff")
    return (
        unicodedata.combining(right) != 0
        or unicodedata.category(right) in ("Mn", "Me", "Mc")
        or joiner in (left, right)
        or "\ufe00" <= right <= "\ufe0f"
        or "\U0001f3fb" <= right <= "\U0001f3ff"
        or (flags[0] <= left <= flags[1] and flags[0] <= right <= flags[1])
    )


def _fence_after(piece: str, fence: str) -> str:
    """The opening line of the code block that is open after `piece`, or nothing."""
    for line in piece.split("\n"):
        match = FENCE.match(line)
        if match is None:
            continue
        if not fence:
            fence = match[1] + match[2].strip()
        elif not match[2].strip() and len(match[1]) >= fence.count("`"):
            fence = ""
    return fence
