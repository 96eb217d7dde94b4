"""Cutting a long text into messages that Discord takes, without breaking what the text shows.

A part is what one message shows, and the stretch of the text that it stands for: joined, the stretches are
the text. A part that has another one behind it is complete: it stays the same however much text is appended,
so that an answer can be cut while it is still being written. Code blocks are read as Discord does: a text
that may have other fences goes through `cogs.fences` first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from cogs.fences import INVISIBLE, Fence, next_fence

# Discord counts what it calls characters; UTF-16 units are the count that is never too small.
MESSAGE_UNITS = 2000
# Deeper indentation at a message's begin would be all there is to see.
MOST_INDENTATION = 100

_HEADING = re.compile("#{1,3} ")
_SENTENCE_END = re.compile(r"[.!?…]['\")\]”’»]*(?=\s)|[。！？][」』”’）]*")


@dataclass(frozen=True, slots=True)
class Part:
    """One message: what it shows, and the stretch of the text that it stands for."""

    shown: str
    source: str


def units(text: str) -> int:
    """The length of `text` in UTF-16 units."""
    return len(text) if text.isascii() else len(text) + sum(character > "\uffff" for character in text)


def split_text(text: str, limit: int = MESSAGE_UNITS) -> list[Part]:
    """Cut `text` into parts of at most `limit` units: at a paragraph, line, sentence or word, in that order.

    A code block that is cut is closed, and opened again in the next part with its language. A text that shows
    nothing has no parts.
    """
    parts: list[Part] = []
    fence: Fence | None = None
    start = 0
    while text[start:].strip():
        at = _skip_blank_lines(text, start)
        if (indentation := _space_at(text, at)) > MOST_INDENTATION:
            at += indentation
        cut, shown, fence = _next_part(text, at, fence, limit)
        end = _skip_space(text, cut)
        if fence is not None and (closed := _skip_closing_line(text, end, fence)):
            # The message has been closed already, and an empty block would be all there is of the next.
            end, fence = _skip_space(text, closed), None
        if not text[end:].strip():
            end = len(text)
        parts.append(Part(shown, text[start:end]))
        start = end
    return parts


def add_line(parts: list[str], line: str, limit: int = MESSAGE_UNITS) -> list[str]:
    """The messages with one more line at their end, outside of any code block."""
    if parts and units(parts[-1]) + 1 + units(line) <= limit:
        return [*parts[:-1], f"{parts[-1]}\n{line}"]
    return [*parts, line]


def shorten(text: str, line: str, limit: int = MESSAGE_UNITS) -> str:
    """As much of `text` as fits into one message together with a last line."""
    parts = split_text(text, limit - units(line) - 1)
    return f"{parts[0].shown}\n{line}" if parts else line


def cut(text: str, limit: int) -> str:
    """The text, or as much of its beginning as `limit` units hold together with a mark that more follows."""
    if units(text) <= limit:
        return text
    beginning = text.encode("utf-16-le", "surrogatepass")[: 2 * (limit - 1)]
    return beginning.decode("utf-16-le", "ignore") + "…"  # without the half of a character at its end


def _next_part(text: str, at: int, fence: Fence | None, limit: int) -> tuple[int, str, Fence | None]:
    """Where the part that begins at `at` ends, what it shows, and the code block that is open after it."""
    if fence is not None:
        opening = fence.opening
    else:
        # Discord strips space at a message's begin, but not behind a mark that shows nothing.
        first = text[at : at + limit].partition("\n")[0]
        opening = INVISIBLE if first[0].isspace() and next_fence(first, None) is None else ""
    end = len(text.rstrip())
    # Long texts are not read again and again: this much is sure to overflow the message.
    window = text[at : min(end, at + limit + 1)]
    if at + len(window) == end:
        shown, after = _show(opening, window, fence)
        if units(shown) <= limit:
            return end, shown, after
    cut = at + _find_cut(window, opening, fence, limit)
    return cut, *_show(opening, text[at:cut].rstrip(), fence)


def _show(opening: str, piece: str, fence: Fence | None) -> tuple[str, Fence | None]:
    """What a message with this piece shows, its code block closed, and the block that was open."""
    before = fence
    lines = piece.split("\n")
    for line in lines:
        before, fence = fence, next_fence(line, fence)
    if fence is not None and before is None:
        # A block of which nothing but its first line has come would show as three marks.
        if len(lines) > 1:
            return opening + piece[: -len(lines[-1])].rstrip(), None
        piece += f"\n{INVISIBLE}"
    return opening + piece + (fence.closing if fence else ""), fence


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the window, and how a cut before it would be."""

    start: int
    text: str
    fence: Fence | None  # the code block that is open before it
    used: int  # units before it
    after_blank: bool
    bound: bool  # the line before it opened a code block, or is a heading: none of these ends a message

    @property
    def inside(self) -> bool:
        """Whether it belongs to what stands before it: to a list, or to a code block."""
        return self.fence is not None or self.text[0].isspace()


def _lines(window: str, opening: str, fence: Fence | None) -> Iterator[_Line]:
    """The window's lines that are not blank."""
    start, used, after_blank, bound = 0, units(opening), False, False
    for text in window.split("\n"):
        if text.strip():
            yield _Line(start, text, fence, used, after_blank, bound)
            before, fence = fence, next_fence(text, fence)
            bound = before is None and (fence is not None or _HEADING.match(text) is not None)
        after_blank = not text.strip()
        start, used = start + len(text) + 1, used + units(text) + 1


def _find_cut(window: str, opening: str, fence: Fence | None, limit: int) -> int:
    """Where to cut a window that is too long for one message; at least one character.

    A cut that leaves more than a quarter of the message empty takes messages that nobody needs. It is only
    made where a line must not be cut; code that fills half of it is cut between its lines too.
    """
    before_paragraph = before_line = before_any = before_code = last = 0
    long: _Line | None = None  # the line that the message's end falls into
    for line in _lines(window, opening, fence):
        closing = units(line.fence.closing) if line.fence else 0
        if line.used - 1 + closing > limit:
            break
        long = line
        if line.bound:
            continue
        last = line.start
        if line.fence and line.used > limit // 2:
            before_code = line.start
        if line.used > limit * 3 // 4:
            before_any = line.start
            if not line.inside:
                before_line = line.start
                if line.after_blank:
                    before_paragraph = line.start
    assert long is not None
    if cut := before_paragraph or before_line or before_any or (before_code if long.fence else 0):
        return cut
    return last if last and long.text.startswith("|") else _cut_line(window, long, last, limit)


def _cut_line(window: str, line: _Line, last: int, limit: int) -> int:
    """Where to cut within a line; `last` is where the last line begins that may begin a message."""
    closing = units(line.fence.closing) if line.fence else 0
    end = _within(window, line.start, limit - line.used - closing)
    least = max(line.start, _within(window, 0, limit // 2))
    if not line.fence:
        ends: list[int] = [match.end() for match in _SENTENCE_END.finditer(window, least, end)]
        if ends := [cut for cut in ends if _is_boundary(window, cut)]:
            return ends[-1]
    for cut in range(end, least, -1):
        if window[cut].isspace() and _is_boundary(window, cut):
            return cut
    if last > limit // 4:
        return last
    starts = [match.start() for match in _graphemes().finditer(window, line.start, end + 1)]
    inside: int = starts[-1] if starts else 0
    return inside if inside > line.start else last or max(end, 1)


def _within(window: str, start: int, room: int) -> int:
    """The last place to which the window has at most `room` units from `start` on."""
    end = min(len(window) - 1, start + max(room, 0))
    while (excess := units(window[start:end]) - room) > 0 and end > start:
        end -= (excess + 1) // 2
    return end


@cache
def _graphemes() -> Any:
    """What people see as one character. The library takes 1.5 MiB: it is loaded when it is needed."""
    import regex

    return regex.compile(r"\X")


def _is_boundary(text: str, place: int) -> bool:
    """Whether a cut here is none within what people see as one character."""
    match = _graphemes().match(text, place - 1)
    return match is not None and match.end() == place


def _space_at(text: str, at: int) -> int:
    """How many characters of space there are."""
    return len(text) - at - len(text[at:].lstrip())


def _skip_blank_lines(text: str, at: int) -> int:
    return max(at, text.rfind("\n", at, at + _space_at(text, at)) + 1)


def _skip_space(text: str, at: int) -> int:
    """Past the space that no message has to show: blank lines, or what parts two words."""
    if (end := _skip_blank_lines(text, at)) > at or text[at - 1] == "\n":
        return end
    while (match := _graphemes().match(text, at)) and match.group().isspace():
        at = match.end()
    return at


def _skip_closing_line(text: str, at: int, fence: Fence) -> int:
    """The end of the line at `at` if that line ends the code block, else 0."""
    line = text[at : at + 200].partition("\n")[0]
    return at + len(line) if text[at - 1] == "\n" and next_fence(line, fence) is None else 0
