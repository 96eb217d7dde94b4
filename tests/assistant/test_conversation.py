"""What is sent along with a question: whole turns, the latest, within the budget."""

import hypothesis
from hypothesis import strategies as st

from assistant.ask import Conversation, build_messages
from db.history import Turn
from providers.base import Message, estimate_prompt

TURNS = st.lists(st.builds(Turn, st.text(max_size=60), st.text(max_size=60)), max_size=12)


def pairs(turns: list[Turn]) -> list[Message]:
    return [
        message
        for turn in turns
        for message in (Message("user", turn.question), Message("assistant", turn.answer))
    ]


@hypothesis.settings(deadline=None, database=None)
@hypothesis.given(TURNS, st.integers(0, 300))
def test_budget_never_splits_a_turn(turns: list[Turn], budget: int) -> None:
    """The messages are the longest run of last turns that fits the budget, each turn whole, in order."""
    system, *history, question = build_messages(Conversation("Be brief.", budget), turns, "And now?")

    assert system == Message("system", "Be brief.")
    assert question == Message("user", "And now?")
    chosen = len(history) // 2
    assert history == pairs(turns[len(turns) - chosen :])
    assert estimate_prompt(tuple(history)) <= budget
    if chosen < len(turns):
        one_more = pairs(turns[len(turns) - chosen - 1 :])
        assert estimate_prompt(tuple(one_more)) > budget


def test_no_budget_sends_the_question_alone() -> None:
    """With a budget of nothing no history goes along, and a long question is sent all the same."""
    messages = build_messages(Conversation("", 0), [Turn("", "")], "x" * 6000)

    assert messages == (Message("user", "x" * 6000),)
