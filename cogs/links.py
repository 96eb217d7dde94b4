"""Making a model's text fit to be shown: where links lead to is seen, and nothing in it breaks a request.

A masked link, `[the bank](https://elsewhere.example)`, shows one thing and opens another. Outside of code
each one becomes `the bank (<https://elsewhere.example>)`; the angle brackets keep Discord from adding a
preview.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from cogs.fences import FENCE, for_discord

# An open bracket further back than this is taken for no link, so that no text waits for it in vain.
MOST_HELD_BACK = 1000

# Discord ends a label at a bracket even behind a backslash, so that is none of the escapes here.
_TOKEN = re.compile(r"\\[^\]]|`+|!?\[|\]", re.DOTALL)
# What follows a label: a target, in angle brackets or without space, and perhaps a title.
_PLAIN = r"[^\s()\\]|\\."
_TARGET = rf"""
    \( \s*+
    (?: < (?P<angle> [^<>\n]*+ ) >
      | (?P<bare> (?!<) (?: {_PLAIN} | \( (?: {_PLAIN} | \( (?:{_PLAIN})*+ \) )*+ \) )++ ) )
    (?: \s++ (?: "[^"]*+" | '[^']*+' | \([^()]*+\) ) )?
    \s*+ \)
    """
# What would format a line, and addresses, in which the same letters format nothing.
_MARK = re.compile(r"(?P<address>https?://[^\s<>\[\]()`*|\\]+)|[\\`*_~|\[\]]|^(?:[>#]|-(?=[\s#]))")
_PARAGRAPH_END = re.compile(r"(?<=\n)(?=\s*?\n)")
# Discord makes links of targets with a scheme alone; others it shows as they are written.
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def displayable(text: str, *, ended: bool = True) -> str:
    """What is shown of a model's text. While it has not ended, what is not decided is held back at its end.

    So what is shown of a text that grows is the beginning of what will be shown in the end.
    """
    text = for_discord(sendable(text, ended), ended=ended)
    if not ended:
        text = text.removesuffix("!")  # it may be the first mark of a picture
    if "[" not in text:
        return text
    # Between fences stands code, each other time.
    blocks = text.split(FENCE)
    shown = [
        block if place % 2 else _show_links(block, ended or place < len(blocks) - 1)
        for place, block in enumerate(blocks)
    ]
    return FENCE.join(shown)


def escaped(text: str) -> str:
    """A member's own text in one line, shown as it is written; only plain addresses stay links."""
    return _MARK.sub(lambda found: found[0] if found["address"] else f"\\{found[0]}", text)


def sendable(text: str, ended: bool = True) -> str:
    """Text without NUL and half surrogates, which no request may hold; two halves that meet are joined."""
    text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        if not ended and "\ud800" <= text[-1] <= "\udbff":
            text = text[:-1]  # its other half may come yet
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _show_links(text: str, ended: bool) -> str:
    """Text outside of code with the targets of its links shown; no link goes beyond its paragraph."""
    paragraphs = _PARAGRAPH_END.split(text)
    return "".join(
        _show_targets(paragraph, ended or place < len(paragraphs) - 1)
        for place, paragraph in enumerate(paragraphs)
    )


def _show_targets(text: str, ended: bool) -> str:
    """A paragraph with the targets of its links shown; unless it has ended, up to a link that may follow."""
    shown: list[str] = []
    opened: list[tuple[int, int]] = []  # brackets: where each stands in `shown`, and in the text
    undecided = False  # whether we are in what may turn out to be code
    at = 0
    while match := _TOKEN.search(text, at):
        shown.append(text[at : match.start()])
        token, at = match.group(), match.end()
        if token in ("[", "!["):
            opened.append((len(shown), match.start()))
        elif token[0] == "`" and not opened:  # a link goes before code that begins in its label
            end = _code_end(text, at, len(token))
            if end == 0 or (end == len(text) and not ended):
                undecided = undecided or not ended
            else:
                token, at = text[match.start() : end], end
        elif token == "]" and opened:
            place, _ = opened[-1]
            target = _target().match(text, at, partial=not ended)
            if target is not None and (target.partial or undecided):
                break
            opened.pop()
            if target is not None:
                at = target.end()
                address = target["angle"] if target["angle"] is not None else target["bare"]
                label = "".join(shown[place + 1 :])
                if _SCHEME.match(address):
                    del shown[place:]
                    token = f"<{address}>" if label.strip() in ("", address) else f"{label} (<{address}>)"
                else:
                    token = text[match.start() : at]
        shown.append(token)
    else:
        shown.append(text[at:])
        if ended:
            return "".join(shown)
    held = [place for place, start in opened if len(text) - start <= MOST_HELD_BACK]
    return "".join(shown[: held[0]] if held else shown)


@cache
def _target() -> Any:
    """The pattern of a target. It can match the beginning of one too, for which `re` has no way."""
    import regex

    return regex.compile(_TARGET, regex.DOTALL | regex.VERBOSE)


def _code_end(text: str, at: int, marks: int) -> int:
    """Where the code within a line ends that so many marks have opened; 0: it does not."""
    match = re.compile(rf"(?<!`)`{{{marks}}}(?!`)").search(text, at)
    return match.end() if match else 0
