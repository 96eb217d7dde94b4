"""Code blocks as models write them, and as Discord's client reads what is sent for them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogs.fences import INVISIBLE, LOOK_AHEAD, for_discord, open_fence, resumed
from cogs.links import displayable
from cogs.splitting import split_text, units
from tests.cogs.discord_blocks import code_blocks, outside_of_blocks

LINK, SHOWN = "[a](https://x.example)", "a (<https://x.example>)"
TICKS = INVISIBLE.join("```")


@pytest.mark.parametrize(
    ("written", "language", "code"),
    [
        ("```python\nx = 1\n```\n", "python", "x = 1"),
        ("1. ```bash\n   npm i\n   ```\n2. Done.", "bash", "   npm i\n   "),
        ("- ```bash\nnpm i\n```\n", "bash", "npm i"),
        ("Here: ```python\nx = 1\n```\n", "python", "x = 1"),
        ("```python\nx = 1```\nDone.", "python", "x = 1"),
        ("``` python\nx = 1\n```", "python", "x = 1"),
        ("```python\r\nx = 1\r\n```\r\n", "python", "x = 1\r"),
        ("~~~py\nx = 1\n~~~\n", "py", "x = 1"),
        ("````python\nx = 1\n````", "python", "x = 1"),
        ("> ```py\n> x = 1\n> ```\n", "py", "> x = 1\n> "),
        (
            "```ts:src/(dashboard)/components/a-file-with-a-very-long-name-that-goes-on.tsx\nx\n```",
            "ts",
            "ts:src/(dashboard)/components/a-file-with-a-very-long-name-that-goes-on.tsx\nx",
        ),
        ("```python\nprint('```')\n```", "python", f"print('{TICKS}')"),
        ("````md\n```\nx\n```\n````\n", "md", f"{TICKS}\nx\n{TICKS}"),
        ("~~~md\n```py\nx\n```\n~~~\n", "md", f"{TICKS}py\nx\n{TICKS}"),
        ("```\n\n```\n", "", INVISIBLE),
    ],
)  # fmt: skip
def test_a_block_is_one_for_discord_too(written: str, language: str, code: str) -> None:
    """Wherever its fences stand and whatever is in it, Discord shows it, and links behind it are seen."""
    shown = displayable(f"{written}\n{LINK}")

    assert code_blocks(shown) == [(language, code)]
    assert outside_of_blocks(shown).endswith(SHOWN)
    assert "`" not in outside_of_blocks(shown)


def test_links_in_a_block_stay_as_they_are_and_those_around_it_are_shown() -> None:
    """It is code also where Discord would have ended it too early."""
    block = f"```python\nprint('```')\n{LINK}\n```"

    kept = block.replace("'```'", f"'{TICKS}'")

    assert displayable(f"{LINK}\n{block}\n{LINK}") == f"{SHOWN}\n{kept}\n{SHOWN}"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Use ``` to open a block.", "Use \\`\\`\\` to open a block."),
        ("Use `` ``` `` for it", f"Use `` {TICKS} `` for it"),
        ("Use ` ``` ` for it", f"Use `` {TICKS} `` for it"),
        ("Run ```npm i``` now", "Run ``npm i`` now"),
        ("```npm i```\nDone.", "``npm i``\nDone."),
        ("\\```py", "\\`\\`\\`py"),
        ("A ` alone", "A \\` alone"),
        ("``So'' he said, and `x`", "\\`\\`So'' he said, and `x`"),
        ("Hello~~~ and ~~no~~ `x` ``y``", "Hello~~~ and ~~no~~ `x` ``y``"),
        ("~~~no~~~\n", "~~~no~~~\n"),
    ],
)
def test_other_backticks_open_no_block(written: str, shown: str) -> None:
    """Three in a row that are no fence are shown as such, or as code within the line."""
    assert for_discord(written) == shown


def test_an_answer_in_steps_stays_as_it_is_behind_its_first_block() -> None:
    """Messages of plain text behind a block in a list are no code."""
    prose = "\n\n".join("This is ordinary text about it. " * 12 for _ in range(8))
    first, *others = split_text(displayable(f"Do this:\n\n1. ```bash\n   npm i\n   ```\n2. Rest.\n\n{prose}"))

    assert [language for language, _ in code_blocks(first.shown)] == ["bash"]
    assert others
    assert not any("`" in part.shown for part in others)


def test_what_a_fence_is_is_decided_at_the_lines_end() -> None:
    """Until then it is held back, and what follows it for no longer than some 400 characters."""
    assert for_discord("Here: ```pyth", ended=False) == "Here: "
    assert for_discord("Here: ```python\nx", ended=False) == "Here: \n```python\nx"
    assert for_discord("```\nx\n``", ended=False) == "```\nx\n"
    long = "a word " * (LOOK_AHEAD // 7 + 1)
    assert for_discord(f"Here: ```{long}", ended=False) == f"Here: \\`\\`\\`{long}"


def test_a_block_that_is_open_at_the_end_is_known() -> None:
    """It goes on in the next message."""
    assert open_fence("Look:\n```python\nx = 1\ny") is not None
    assert open_fence("Look:\n```python\nx = 1\n```\nDone.") is None
    assert open_fence("Just text") is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" = 2\n```\nDone.", "```python\n = 2\n```\nDone."),
        ("```python\ny = 2\n```\nDone.", "```python\ny = 2\n```\nDone."),
        ("```\nDone.", "Done."),
    ],
)
def test_a_block_is_opened_again_where_an_answer_goes_on_in_it(text: str, shown: str) -> None:
    """Unless the model does so itself, or just ends it; while that is open, nothing is shown."""
    fence = open_fence("```python\nx = 1\ny")

    assert resumed(fence, text) == shown
    seen = [resumed(fence, text[:end], ended=False) for end in range(len(text) + 1)]
    assert all(shown.startswith(each) for each in seen)
    assert resumed(None, text) == text


pieces = st.one_of(
    st.sampled_from(["```", "````", "``", "`", "~~~", "~~~~", "~", "\\", "\n", "\n\n", " ", "    ", "\r"]),
    st.sampled_from(["\n```\n", "\n```python\n", "\n~~~\n", "1. ```sh\n", "- ", "> ", "\n> ```\n", "'", '"']),
    st.sampled_from(
        ["python", "a b", "x" * 60, "word " * 45, LINK, "[", "| a | b |\n", "é\u0301", "\U0001f600"]
    ),
)
texts = st.lists(pieces, max_size=40).map("".join)
limits = st.sampled_from([300, 500, 2000])


@settings(deadline=None, max_examples=1000)
@given(texts, limits)
def test_no_message_has_backticks_that_discord_pairs_with_others(text: str, limit: int) -> None:
    """By Discord's own rule each message holds whole blocks; joined again the parts are the text."""
    shown = displayable(text)
    parts = split_text(shown, limit)

    assert "".join(part.source for part in parts) == (shown if parts else "")
    for part in parts:
        assert "```" not in outside_of_blocks(part.shown)
        assert 1 <= units(part.shown) <= limit


@settings(deadline=None, max_examples=500)
@given(texts, limits)
def test_nothing_that_is_shown_changes_while_the_text_grows(text: str, limit: int) -> None:
    """What is shown is the beginning of what will be, and a message that is full stays as it is."""
    whole = displayable(text)
    final = split_text(whole, limit)
    for end in range(len(text) + 1):
        shown = displayable(text[:end], ended=False)
        assert whole.startswith(shown)
        complete = split_text(shown, limit)[:-1]
        assert final[: len(complete)] == complete
