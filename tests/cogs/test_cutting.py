"""Texts cut where Discord has a limit and no second message follows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cogs.splitting import cut, units


@given(st.text(st.characters() | st.sampled_from("\ud83d\udd25\U0001f525")), st.integers(1, 20))
def test_a_cut_text_is_its_beginning(text: str, limit: int) -> None:
    """It has no more units than are allowed, and ends with a mark where something is missing."""
    short = cut(text, limit)

    assert units(short) <= limit
    assert short == text or short.endswith("…")
    if all(not "\ud800" <= letter <= "\udfff" for letter in text):
        assert short == text or text.startswith(short[:-1])
        short.encode()
