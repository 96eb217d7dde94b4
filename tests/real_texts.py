"""Real text of four kinds in `tests/texts`, with the tokens that a real model counts in each piece."""

from __future__ import annotations

import json
from pathlib import Path

TEXTS = Path(__file__).parent / "texts"
KINDS = ("english", "russian", "chinese", "code")

# What SmolLM2 adds: for each message, and for the answer that is to begin.
MESSAGE_TOKENS, ANSWER_TOKENS = 5, 4
COUNTS: dict[str, list[int]] = json.loads((TEXTS / "smollm2.json").read_text(encoding="utf-8"))


def pieces_of(kind: str) -> list[str]:
    """Ten pieces or more: question and answer in turn, or pieces of a program."""
    text = (TEXTS / f"{kind}.txt").read_text(encoding="utf-8")
    return text.strip().split("\n----\n" if kind == "code" else "\n\n")
