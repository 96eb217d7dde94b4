from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from cogs.splitting import MESSAGE_UNITS, beginning, split_text, units

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"  # one emoji made of five code points


def test_a_short_text_is_one_part() -> None:
    """What fits into a message stays as it is."""
    assert split_text("Hello, **world**.\n\n- a\n- b") == ["Hello, **world**.\n\n- a\n- b"]


def test_empty_text_has_no_parts() -> None:
    """There is never an empty message: Discord refuses those."""
    assert split_text("") == []
    assert split_text(" \n\n ") == []


def test_a_long_text_is_cut_between_paragraphs() -> None:
    """A paragraph's end is the first choice for a cut."""
    first, second = "one " * 300, "two " * 300
    parts = split_text(f"{first.strip()}\n\n{second.strip()}")

    assert parts == [first.strip(), second.strip()]


def test_without_paragraphs_a_text_is_cut_at_a_sentence_before_a_word() -> None:
    """A sentence's end is better than any space."""
    text = "This sentence is repeated. " * 200
    parts = split_text(text)

    assert all(part.endswith(".") for part in parts)
    assert "".join(parts).replace(" ", "") == text.replace(" ", "")


def test_a_code_block_that_is_cut_is_closed_and_opened_again_with_its_language() -> None:
    """Each part of a long code block is a whole code block of the same language."""
    code = "\n".join(f"print({number})" for number in range(400))
    parts = split_text(f"Look:\n```python\n{code}\n```\nThat was it.")

    assert len(parts) > 2
    assert all(len(re.findall(r"^```", part, re.M)) % 2 == 0 for part in parts)
    assert all(part.startswith("```python\n") for part in parts[1:])
    lines = [line for part in parts for line in part.split("\n") if line.startswith("print")]
    assert lines == code.split("\n")


def test_a_word_longer_than_a_message_is_cut_but_never_inside_a_character() -> None:
    """What people see as one character stays whole, even where there is no space to cut at."""
    parts = split_text(FAMILY * 500)

    assert len(parts) > 1
    assert all(part.count(FAMILY) * len(FAMILY) == len(part) for part in parts)


def test_emoji_count_as_two() -> None:
    """The limit is kept in the units that are never fewer than Discord's."""
    parts = split_text("\U0001f600" * 3000)

    assert all(units(part) <= MESSAGE_UNITS for part in parts)
    assert "".join(parts) == "\U0001f600" * 3000


def test_the_beginning_of_a_growing_answer_closes_its_code_block() -> None:
    """A half-written code block is shown as one."""
    assert beginning("```python\nx = 1") == "```python\nx = 1\n```"
    assert beginning("word " * 1000).endswith(" …")
    assert units(beginning("word " * 1000)) <= MESSAGE_UNITS
    assert beginning("") == ""


pieces = st.one_of(
    st.text(max_size=400),
    st.sampled_from(
        ["\n\n", "\n", ". ", "```\n", "```python\n", "\n```\n", "|a|b|\n", "- x\n", FAMILY, "`", " "]
    ),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(pieces, max_size=40).map("".join), st.sampled_from([120, 2000]))
def test_any_text_fits_and_nothing_but_space_is_lost(text: str, limit: int) -> None:
    """Every part fits and shows something; joined again, the text is all there in its order."""
    parts = split_text(text, limit)

    assert all(0 < units(part) <= limit for part in parts)
    assert all(part.strip() for part in parts)
    # What a cut code block adds is fences and their language; everything else is the original.
    kept = iter("".join(parts))
    assert all(character in kept for character in text if not character.isspace())
