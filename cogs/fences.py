"""Code blocks: from what a model means by its fences to what Discord makes of them.

A model writes Markdown, where a line of backticks or tildes opens a block and one that is at least as long
closes it. Discord knows only three backticks, and pairs them wherever they stand. So each block is written
anew for Discord: its two fences have lines of their own (a list's mark may stand before the first), and there
are no three backticks in a row anywhere else. Nor is there a single one that has no other on its line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# It shows nothing. Between backticks, it parts them.
INVISIBLE = "\u200b"
# On the line of a fence, this much is read before it is decided what the fence is.
LOOK_AHEAD = 400
# A deeper one is not repeated in every message.
DEEPEST_MARGIN = 12

FENCE = "```"
_TOKEN = re.compile(r"\\`+|\\.|`+")
_TICKS = re.compile("`+")
_LEAD = re.compile(r"([\s>]*)(?:(?:[-*+]|\d{1,9}[.)])\s+)*")
_MARGIN = re.compile(r"[\s>]*")
_LANGUAGE = re.compile(r"[a-z0-9_+\-.#]{0,30}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Fence:
    """The fence that opened the block we are in, as Discord reads it."""

    margin: str  # of space, or of the marks of a quotation
    language: str

    @property
    def opening(self) -> str:
        """The line that opens the block again in the next message."""
        return f"{self.margin}{FENCE}{self.language}\n"

    @property
    def closing(self) -> str:
        """What ends the block after its last line."""
        return f"\n{self.margin}{FENCE}"


def next_fence(line: str, fence: Fence | None) -> Fence | None:
    """The block that is open for Discord after this line, given the one before it."""
    if line.count(FENCE) % 2 == 0:
        return fence
    return Fence(_margin(line), line.rpartition(FENCE)[2].strip()) if fence is None else None


@dataclass(slots=True)
class _Block:
    """A block in a model's text."""

    mark: str
    length: int
    fence: Fence
    before: str  # what its first line shows before it
    empty: bool = True  # whether nothing has come of it but blank lines


def for_discord(text: str, *, ended: bool = True) -> str:
    """The text with its code blocks as Discord reads them.

    While it has not ended, what could still turn out to be a fence is left out at its end, and so is a fence
    behind which nothing has come.
    """
    return _read(text, ended)[0]


def open_fence(text: str) -> Fence | None:
    """The block that a model has left open at the end of its text."""
    block = _read(text, True)[1]
    return block.fence if block is not None else None


def resumed(fence: Fence | None, text: str, *, ended: bool = True) -> str:
    """The text of a message of its own that goes on within a block: the block is opened anew.

    Models sometimes open it again themselves, or close it in their first line, which is all right too.
    """
    if fence is None:
        return text
    line, newline, rest = text.lstrip("\n").partition("\n")
    if line.lstrip().startswith(FENCE):
        if not (ended or newline):
            return ""
        return text if line.strip(" \t`") else rest
    return "" if not ended and not line.strip(" `") else fence.opening + text


def _read(text: str, ended: bool) -> tuple[str, _Block | None]:
    if "`" not in text and ("~~~" if ended else "~") not in text:
        return text, None
    lines = text.split("\n")
    shown: list[str] = []
    block: _Block | None = None
    opened_at = 0
    for number, line in enumerate(lines, 1):
        known = ended or number < len(lines)  # whether this is all of the line
        if block is None:
            opened_at = number - 1
            written, block = _prose(line, known)
        else:
            written, block = _code(line, block, known)
        shown.append(written)
    if block is not None and block.empty and not ended:
        shown[opened_at:] = [block.before]
    return "\n".join(shown), block


def _prose(line: str, known: bool) -> tuple[str, _Block | None]:
    """A line outside of any block, as far as it is decided what it shows."""
    if "`" not in line and "~" not in line:
        return line, None
    lead = _LEAD.match(line).end()  # type: ignore[union-attr]  # it matches everywhere
    tildes = len(line) - lead - len(line[lead:].lstrip("~"))
    if tildes and "~" not in line[lead + tildes : lead + LOOK_AHEAD]:
        if not known and len(line) <= lead + (LOOK_AHEAD if tildes >= 3 else tildes):
            return line[:lead], None
        if tildes >= 3:
            return _opened(line, lead, lead + tildes, known, line[:lead])
    shown, at = "", 0
    while match := _TOKEN.search(line, at):
        start, end = match.span()
        shown += line[at:start]
        token, at = match.group(), end
        if end == len(line) and not known:
            return shown, None
        ticks = token.count("`")
        if token[0] == "\\":
            shown += "\\`" * ticks or token
            continue
        close = _closing_ticks(line, end, ticks)
        if close and (known or close < len(line)):
            code, at = line[end : close - ticks], close
            as_it_is = ticks < 3 and FENCE not in code
            shown += line[start:close] if as_it_is else f"``{_apart(code, 2)}``"
        elif not known and len(line.rstrip("`")) - end <= LOOK_AHEAD:
            return shown, None
        elif ticks >= 3 and start == lead and "`" not in line[end : end + LOOK_AHEAD]:
            return _opened(line, start, end, known, shown)
        elif ticks >= 3 and _language(line, start, end)[1]:
            return _opened(line, start, end, known, f"{shown}\n{_margin(line)}")
        else:  # Discord would pair them with others, however far on
            shown += "\\`" * ticks
    return shown + line[at:], None


def _opened(line: str, start: int, end: int, known: bool, before: str) -> tuple[str, _Block | None]:
    """A line with the fence that opens a block. What is no language behind it is the block's first line."""
    language, is_all = _language(line, start, end)
    block: _Block | None = _Block(line[start], end - start, Fence(_margin(line), language), before)
    shown = f"{before}{FENCE}{language}"
    if not is_all:
        assert block is not None
        code, block = _code(line[end:], block, known)
        shown += f"\n{code}"
    return shown, block


def _code(line: str, block: _Block, known: bool) -> tuple[str, _Block | None]:
    """A line within a block, as far as it is decided what it shows."""
    text = line.rstrip()
    if not known and text.endswith(("`", "~", ">")):
        start = text.rstrip("`~")
        return "" if _MARGIN.fullmatch(start) else _apart(start, 3), block
    before = text.rstrip(block.mark)
    alone = _MARGIN.fullmatch(before) is not None
    if len(text) - len(before) >= block.length and (
        alone
        # Models do this now and then; behind a quote, it is a text about fences.
        or (block.mark == "`" and not before.endswith(("'", '"')))
    ):
        if not alone:
            return _apart(before, 3) + block.fence.closing, None
        # Discord takes the end of an empty block for its text, and looks for another end.
        return f"{before}{INVISIBLE}\n{before}{FENCE}" if block.empty else before + FENCE, None
    block.empty = block.empty and alone and text == before
    return _apart(line, 3), block


def _closing_ticks(line: str, at: int, ticks: int) -> int:
    """Where the code within a line ends that so many backticks have opened; 0: it does not."""
    end = min(len(line), at + LOOK_AHEAD + ticks + 2)
    return next(
        (match.end() for match in _TICKS.finditer(line, at, end) if len(match.group()) == ticks
         and match.start() <= at + LOOK_AHEAD), 0
    )  # fmt: skip


def _language(line: str, start: int, end: int) -> tuple[str, bool]:
    """The language that a fence names, and whether nothing else stands behind it."""
    info = line[end : start + LOOK_AHEAD].strip()
    language = _LANGUAGE.match(info).group()  # type: ignore[union-attr]  # it matches everywhere
    return language, language == info and len(line) <= start + LOOK_AHEAD


def _margin(line: str) -> str:
    margin = _MARGIN.match(line).group()  # type: ignore[union-attr]  # it matches everywhere
    return margin if len(margin) <= DEEPEST_MARGIN else ""


def _apart(code: str, least: int) -> str:
    """Code in which backticks do not stand together, where it has so many in a row."""
    return re.sub(f"`{{{least},}}", lambda ticks: INVISIBLE.join(ticks.group()), code)
