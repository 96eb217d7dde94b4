from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogs.links import displayable, escaped


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("See [the bank](https://evil.example).", "See the bank (<https://evil.example>)."),
        ("[a](https://x.example 'A title')", "a (<https://x.example>)"),
        ('[a](  <https://x.example/with space>  "t")', "a (<https://x.example/with space>)"),
        ("[a [b] c](https://x.example)", "a [b] c (<https://x.example>)"),
        ("[wiki](https://x.example/A_(b))", "wiki (<https://x.example/A_(b)>)"),
        ("![a picture](https://x.example/a.png)", "a picture (<https://x.example/a.png>)"),
        ("[![a](https://x.example/a.png)](https://y.example)", "a (<https://x.example/a.png>) (<https://y.example>)"),
        ("[https://x.example](https://x.example)", "<https://x.example>"),
        ("[](https://x.example)", "<https://x.example>"),
        ("[https://good.example](https://evil.example)", "https://good.example (<https://evil.example>)"),
        ("[`code`](https://x.example)", "`code` (<https://x.example>)"),
        ("[a\nb](HTTPS://x.example)", "a\nb (<HTTPS://x.example>)"),
        ("[a `b](https://x.example) c`", "a `b (<https://x.example>) c`"),
        ("[a\\](https://x.example)", "a\\ (<https://x.example>)"),
        ("[a](discord://x)[b](mailto:c@x.example)", "a (<discord://x>)b (<mailto:c@x.example>)"),
        ("`one` tick ` then [a](https://x.example)", "`one` tick \\` then a (<https://x.example>)"),
    ],
)  # fmt: skip
def test_a_masked_link_shows_its_target(written: str, shown: str) -> None:
    """Whatever form a link has that Discord would mask, the address stands behind its text."""
    assert displayable(written) == shown


@pytest.mark.parametrize(
    "text",
    [
        "No link at all: [x] (y) a[0](1) f[i](j)",
        "`[a](https://x.example)` and ``[b](https://x.example) ` ``",
        "```md\n[a](https://x.example)\n```",
        "\\[a](https://x.example)",
        "- [ ] to do\n- [x] done (https://x.example)",
        "[a\n\nb](https://x.example)",
        "[relative](docs/page.md)",
        "<https://x.example>",
    ],
)
def test_everything_else_stays_as_it_is(text: str) -> None:
    """Code, escaped brackets, lists of tasks and plain addresses are not touched."""
    assert displayable(text) == text


def test_links_before_and_after_a_code_block_are_shown_and_those_in_it_kept() -> None:
    """A code block ends the paragraph before it."""
    link, shown = "[a](https://x.example)", "a (<https://x.example>)"

    assert displayable(f"{link}\n```\n{link}\n```\n{link}") == f"{shown}\n```\n{link}\n```\n{shown}"


def test_a_link_that_is_being_written_is_held_back() -> None:
    """At no moment is a link masked, or shown in a form that the next piece of text would change."""
    text = "See [the bank](https://evil.example) now."
    seen = [displayable(text[:end], ended=False) for end in range(len(text) + 1)]

    assert "See " in seen
    assert "See the bank (<https://evil.example>)" in seen
    assert not any("[" in shown for shown in seen)


def test_an_open_bracket_does_not_hold_the_text_back_for_ever() -> None:
    """What is no link is shown when its paragraph ends, or after a thousand characters."""
    assert displayable("An interval [0, 1) is", ended=False) == "An interval "
    assert displayable("An interval [0, 1) is\n\nopen", ended=False) == "An interval [0, 1) is\n\nopen"
    long = "[0, 1) " + "word " * 220
    assert displayable(long, ended=False) == long


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("[a](b) [c](https://evil.example)", "\\[a\\](b) \\[c\\](https://evil.example)"),
        ("https://x.example/[c](https://evil.example)", "https://x.example/\\[c\\](https://evil.example)"),
        ("\\[c](https://evil.example)", "\\\\\\[c\\](https://evil.example)"),
        ("`x` *y* __z__ ~~u~~ ||v||", "\\`x\\` \\*y\\* \\_\\_z\\_\\_ \\~\\~u\\~\\~ \\|\\|v\\|\\|"),
        ("# big", "\\# big"),
        ("-# small", "\\-# small"),
        ("> said", "\\> said"),
        ("see https://x.example/a_b_c?d=~e", "see https://x.example/a_b_c?d=~e"),
        ("2 - 1 > 0, #1", "2 - 1 > 0, #1"),
    ],
)
def test_a_members_own_words_are_shown_as_they_are(written: str, shown: str) -> None:
    """No mark formats anything, and no link shows another text than its address."""
    assert escaped(written) == shown


def test_half_surrogates_and_nul_are_not_sent() -> None:
    """Two halves that meet become their character, one alone the mark for what cannot be shown."""
    assert displayable("a\0b\ud83d\ude00") == "ab\U0001f600"
    assert displayable("\ud83dx\ude00") == "\ufffdx\ufffd"
    assert displayable("a\ud83d", ended=False) == "a"


tokens = st.one_of(
    st.sampled_from(["[", "]", "(", ")", "![", "](https://x.example", "](https://x.example)", "<", ">"]),
    st.sampled_from(["`", "``", "```", "~~~", "\n```\n", "\n", "\n\n", " ", "a", "x y", "\\", '"', "'"]),
    st.sampled_from(["https://x.example", "\ud83d", "\ude00"]),
)


@settings(deadline=None, max_examples=500)
@given(st.lists(tokens, max_size=30).map("".join))
def test_what_was_shown_stays(text: str) -> None:
    """What is shown while a text grows is always the beginning of what is shown in the end."""
    whole = displayable(text)
    grown = ""
    for end in range(len(text) + 1):
        shown = displayable(text[:end], ended=False)
        assert whole.startswith(shown)
        assert shown.startswith(grown) or grown.startswith(shown)
        grown = shown
