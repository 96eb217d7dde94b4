from __future__ import annotations

import re

import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from cogs.fences import INVISIBLE, for_discord
from cogs.splitting import MESSAGE_UNITS, Part, add_line, shorten, split_text, units
from tests.cogs.discord_blocks import outside_of_blocks

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"  # one emoji made of five code points


def shown(text: str, limit: int = MESSAGE_UNITS) -> list[str]:
    return [part.shown for part in split_text(for_discord(text), limit)]


def test_a_short_text_is_one_part() -> None:
    """What fits into a message stays as it is."""
    text = "Hello, **world**.\n\n- a\n- b"

    assert split_text(text) == [Part(text, text)]


def test_two_thousand_characters_are_one_message() -> None:
    """A message is filled to its limit, with a whole code block in it too, before there is a second."""
    plain, code = "x" * 2000, "```\n" + "x" * 1992 + "\n```"

    assert shown(plain) == [plain]
    assert shown(code) == [code]
    assert len(shown(plain + "y")) == len(shown(code + "y")) == 2


def test_empty_text_has_no_parts() -> None:
    """There is never an empty message: Discord refuses those."""
    assert split_text("") == []
    assert split_text(" \n\n ") == []


def test_a_long_text_is_cut_between_paragraphs() -> None:
    """A paragraph's end is the first choice for a cut."""
    first, second = "one " * 400, "two " * 400

    assert shown(f"{first}\n\n{second}") == [first.strip(), second.strip()]


def test_without_paragraphs_a_text_is_cut_at_a_line() -> None:
    """A line's end is the second choice, even where a sentence's end lies further on."""
    first, second = "one " * 400, "Two. " * 300

    assert shown(f"{first}\n{second}") == [first.strip(), second.strip()]


def test_no_cut_leaves_more_than_a_quarter_of_a_message_empty() -> None:
    """Paragraphs of little more than half a message do not take a message each."""
    paragraph = "Some words in a paragraph. " * 39
    parts = shown("\n\n".join([paragraph] * 5))

    assert len(parts) == 3
    assert all(part.endswith(".") for part in parts)


def test_a_heading_stays_with_what_it_stands_above() -> None:
    """No message ends with a heading, blank lines behind it or not."""
    for gap in ("\n", "\n\n"):
        first, second = shown("word " * 390 + f"\n\n## A title{gap}" + "more words " * 50)
        assert first.endswith("word")
        assert second.startswith(f"## A title{gap}more")


def test_without_lines_a_text_is_cut_at_a_sentence_before_a_word() -> None:
    """A sentence's end is better than any space."""
    text = "This sentence is repeated. " * 200
    parts = shown(text)

    assert all(part.endswith(".") for part in parts)
    assert "".join(parts).replace(" ", "") == text.replace(" ", "")


def test_chinese_sentences_end_without_a_space() -> None:
    """The full stop of Chinese and Japanese text is a sentence's end too."""
    assert all(part.endswith("。") for part in shown("这是一个句子。" * 700))


def test_without_sentences_a_text_is_cut_at_a_word() -> None:
    """No word is cut that fits into a message."""
    words = [f"word{number}" for number in range(900)]

    assert " ".join(shown(" ".join(words))).split() == words


def test_a_code_block_that_is_cut_is_closed_and_opened_again_with_its_language() -> None:
    """Each part of a long code block is a whole code block of the same language."""
    code = "\n".join(f"print({number})" for number in range(400))
    parts = shown(f"Look:\n```python\n{code}\n```\nThat was it.")

    assert len(parts) > 2
    assert all(len(regex.findall(r"^```", part, regex.M)) % 2 == 0 for part in parts)
    assert all(part.startswith("```python\n") for part in parts[1:])
    lines = [line for part in parts for line in part.split("\n") if line.startswith("print")]
    assert lines == code.split("\n")


def test_a_longer_fence_keeps_the_shorter_ones_in_it() -> None:
    """A block of four marks that holds blocks of three is one block, closed and opened with three."""
    inner = "```python\nx = 1\n```\n"
    parts = shown("````markdown\n" + inner * 150 + "````\nDone.")

    assert len(parts) > 1
    assert all(part.startswith("```markdown\n") for part in parts)
    assert all(part.count("```") == 2 for part in parts)
    assert parts[-1].endswith("\n```\nDone.")


def test_tildes_are_fences_and_indentation_is_kept() -> None:
    """A block of tildes in a list is opened again with its indentation, and one in a quote with its mark."""
    parts = shown("1. Run this:\n   ~~~sh\n" + "   echo on\n" * 300 + "   ~~~\n2. Done.")
    quoted = shown("> ```sh\n" + "> echo on\n" * 300 + "> ```\nDone.")

    assert parts[0].endswith("\n   echo on\n   ```")
    assert parts[1].startswith("   ```sh\n   echo on\n")
    assert quoted[0].endswith("\n> echo on\n> ```")
    assert quoted[1].startswith("> ```sh\n> echo on\n")


def test_a_fence_at_a_messages_end_opens_in_the_next_message() -> None:
    """A block's first line never stands alone in a message, nor its last line in the next."""
    text = "y" * 1985 + "\n```python\nx = 1\n```"
    full = "```python\n" + "x = 1\n" * 331 + "```\nDone."

    assert shown(text) == ["y" * 1985, "```python\nx = 1\n```"]
    assert [part.count("```") for part in shown(full)] == [2, 0]
    assert shown(full)[1] == "Done."


def test_rows_of_a_table_stay_whole() -> None:
    """No row is cut that fits into a message, however much of the message is left empty."""
    row = "| " + "cell. " * 200 + "|"
    parts = shown("\n".join(["Look:", row, row, row]))

    assert [part.count(row) for part in parts] == [1, 1, 1]
    assert all(part == row for part in parts[1:])


def test_a_nested_list_is_cut_before_an_item_of_its_first_level() -> None:
    """The cut falls where no indentation is lost."""
    item = "- item\n" + "  - below it, with some words\n" * 8
    parts = shown(item * 12)

    assert len(parts) == 2
    assert all(part.startswith("- item\n  - below") for part in parts)


def test_where_indentation_begins_a_message_it_is_kept() -> None:
    """Discord strips the space that a message begins with, but not behind an invisible character."""
    parts = shown("- item\n" + "    - below it, with some words\n" * 100)

    assert len(parts) == 2
    assert parts[1].startswith(INVISIBLE + "    - below it")


def test_a_word_longer_than_a_message_is_cut_but_never_inside_a_character() -> None:
    """What people see as one character stays whole, even where there is no space to cut at."""
    parts = shown(FAMILY * 500)

    assert len(parts) > 1
    assert all(part.count(FAMILY) * len(FAMILY) == len(part) for part in parts)
    flags = "\U0001f1e9\U0001f1ea"
    assert all(len(part) % 2 == 0 for part in shown("x" + flags * 1500)[1:])


def test_ten_thousand_letters_without_a_space_fill_their_messages() -> None:
    """One endless word takes no message more than it must."""
    assert [len(part) for part in shown("x" * 10_000)] == [2000] * 5


def test_emoji_count_as_two() -> None:
    """The limit is kept in the units that are never fewer than Discord's."""
    parts = shown("\U0001f600" * 3000)

    assert [units(part) for part in parts] == [2000, 2000, 2000]
    assert "".join(parts) == "\U0001f600" * 3000


def test_a_flood_of_marks_on_one_letter_is_cut_all_the_same() -> None:
    """One character that exceeds a message by itself is the only one that is ever cut."""
    parts = shown("a" + "\u0301" * 5000)

    assert "".join(parts) == "a" + "\u0301" * 5000
    assert len(parts) == 3


def test_a_code_block_that_is_still_being_written_shows_as_one() -> None:
    """A half-written block is closed; its begin alone is not shown."""
    assert shown("```python\nx = 1") == ["```python\nx = 1\n```"]
    assert shown("Look:\n```python") == ["Look:"]
    assert shown("Look:\n```python\n") == ["Look:"]


def test_a_last_line_stands_outside_of_code_and_within_the_limit() -> None:
    """A line goes with the last message if it fits, and alone if not; a text can make room for it."""
    assert add_line(["a", "b"], "-# c") == ["a", "b\n-# c"]
    assert add_line(["x" * 1998], "-# c") == ["x" * 1998, "-# c"]
    cut = shorten("```\n" + "word\n" * 500 + "```", "-# c")
    assert cut.endswith("word\n```\n-# c")
    assert units(cut) <= MESSAGE_UNITS


pieces = st.one_of(
    st.text(max_size=400),
    st.text(st.characters(categories=("Cs", "Cf", "Mn", "Zs", "Cc")), max_size=30),
    st.sampled_from(["word ", "x" * 90, "é\u0301", "\U0001f600", "שלום ", "。"]),
    st.sampled_from(
        ["\n\n", "\n", ". ", "    ", "\t", "  \n", "\r\n", "\u200b", "\u202e", "\x1c", " " * 300]
    ),
    st.sampled_from(
        ["```\n", "```python\n", "\n```\n", "~~~\n", "\n````\n", "\n   ```c\n", "`", "``", "\n`"]
    ),
    st.sampled_from(["|a|b|\n", "- x\n", "  - y\n", FAMILY, "\U0001f1e9", "\u0600", "| " + "z" * 80]),
)
texts = st.lists(pieces, max_size=60).map("".join)
limits = st.sampled_from([200, 300, 2000])


@settings(deadline=None, max_examples=300)
@given(texts, limits)
def test_any_text_fits_and_joined_again_is_the_original(text: str, limit: int) -> None:
    """Every part fits, shows something and closes what it opens; joined, their stretches are the text."""
    text = for_discord(text)
    parts = split_text(text, limit)

    assert "".join(part.source for part in parts) == (text if parts else "")
    assert bool(parts) == bool(text.strip())
    for part in parts:
        assert 1 <= units(part.shown) <= limit
        # Nothing is seen of a part only if the text has nothing to see there.
        seen = re.sub(r"```[^\n]*", "", part.source)  # without the language of a block that has nothing in it
        unseen = all(character.isspace() or character in f"{INVISIBLE}`~" for character in seen)
        assert part.shown.strip() not in ("", INVISIBLE) or unseen
        assert "```" not in outside_of_blocks(part.shown)
        # What a part adds is fences and their language, and a mark that nobody sees: all else is the text's.
        left = iter(part.shown)
        if "`" not in part.source and "~" not in part.source:
            assert all(character in left for character in part.source if not character.isspace())


@settings(deadline=None, max_examples=300)
@given(texts, limits)
def test_no_cut_falls_inside_a_character(text: str, limit: int) -> None:
    """Between two parts there is a boundary of what people see as characters, if one fits into a message."""
    text = for_discord(text)
    graphemes = list(regex.finditer(r"\X", text))
    boundaries = {match.start() for match in graphemes}
    place = 0
    if max((units(match.group()) for match in graphemes), default=0) < limit // 2:
        for part in split_text(text, limit)[:-1]:
            place += len(part.source)
            assert place in boundaries


@settings(deadline=None, max_examples=300)
@given(texts, texts, limits)
def test_complete_parts_stay_as_they_are(text: str, more: str, limit: int) -> None:
    """Whatever comes after it, a part that has another behind it does not change."""
    complete = split_text(for_discord(text, ended=False), limit)[:-1]

    assert split_text(for_discord(text + more), limit)[: len(complete)] == complete
