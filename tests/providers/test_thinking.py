from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.thinking import ThinkingFilter


def read(*pieces: str) -> str:
    thinking = ThinkingFilter()
    return "".join([thinking.feed(piece) for piece in pieces] + [thinking.finish()])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("An answer.", "An answer."),
        ("<think>Let me see.</think>\n\nAn answer.", "An answer."),
        ("\n<think>\n</think>An answer with <think> in it.", "An answer with <think> in it."),
        ("<think>Never done", ""),
        ("<thinking is hard", "<thinking is hard"),
        ("<th", "<th"),
        ("", ""),
        ("Use <think>tags</think> so.", "Use <think>tags</think> so."),
    ],
)
def test_what_a_model_thinks_aloud_is_left_out(text: str, shown: str) -> None:
    """A thought at the beginning is no part of the answer; the same words later on are."""
    assert read(text).lstrip("\n") == shown


@settings(deadline=None)
@given(
    thought=st.text(max_size=40).filter(lambda text: "</think>" not in text),
    answer=st.text(min_size=1, max_size=40).filter(lambda text: text.strip() == text and "<" not in text),
    data=st.data(),
)
def test_tags_may_be_cut_anywhere(thought: str, answer: str, data: st.DataObject) -> None:
    """However the pieces are cut, the same text is shown."""
    whole = f"<think>{thought}</think>\n{answer}"
    places = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    edges = [0, *places, len(whole)]
    pieces = [whole[start:end] for start, end in pairwise(edges)]

    assert read(*pieces) == answer
