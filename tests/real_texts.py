"""Real text of four kinds, for the tests of the token estimate."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent
KINDS = ("english", "russian", "chinese", "code")


def pieces_of(kind: str) -> list[str]:
    """Ten pieces or more: the paragraphs of `tests/texts`, question and answer in turn, or our code."""
    if kind != "code":
        return (ROOT / f"tests/texts/{kind}.txt").read_text(encoding="utf-8").strip().split("\n\n")
    sources = ("providers/breaker.py", "providers/wait_times.py")
    lines = "".join((ROOT / name).read_text(encoding="utf-8") for name in sources).splitlines(keepends=True)
    return ["".join(lines[start : start + 14]) for start in range(0, len(lines), 14)]
