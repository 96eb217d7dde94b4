"""How many tokens a text has: learnt from what vendors count, and proof against counts that cannot be."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import permutations

import hypothesis
import pytest
from hypothesis import strategies as st

from providers.base import NO_KEY, AttachedPicture, ChatRequest, Completion, Message, Role, Usage
from providers.estimates import GUESS, PICTURE_TOKENS, Estimates, guess_tokens, measure
from providers.router import ChatRouter
from tests.fakes import RecordedLedger, ScriptedChat, Step, answer, chat_route
from tests.providers.helpers import collect
from tests.providers.test_local import local, model_file, with_model
from tests.real_texts import ANSWER_TOKENS, COUNTS, KINDS, MESSAGE_TOKENS, pieces_of

MODEL = "some-vendor/some-model"
SYSTEM = Message("system", "Be brief.")
ASKED = ChatRequest((SYSTEM, Message("user", "What is a colloquy?")))
LONG = "A long answer. " * 20
GUESSED, ANSWERED = Estimates().prompt(MODEL, measure(ASKED.messages)), guess_tokens(LONG)


@pytest.mark.parametrize(
    ("text", "features"),
    [
        ("", (0, 0, 0, 0, 0, 0)),
        ("Hello, world 42!\n", (10, 2, 5, 0, 0, 0)),
        ("naïve Ωmega Привет שלום", (8, 3, 0, 12, 0, 0)),
        ("你好 カナ 한글", (0, 2, 0, 0, 6, 0)),
        ("नमस्ते “…” 🦊", (0, 2, 0, 0, 0, 10)),
        ("\ud800", (0, 0, 0, 0, 1, 0)),  # half a surrogate, which Discord may hand over
    ],
)
def test_characters_are_counted_by_class(text: str, features: tuple[int, ...]) -> None:
    """Each character is counted once, whatever script it is of, and messages and pictures as well."""
    assert measure([Message("user", text)]) == (*features, 1, 0)
    picture = AttachedPicture("image/png", b"")
    assert measure([SYSTEM, Message("user", text, (picture,))], 2)[-2:] == (2, 3)


@hypothesis.settings(database=None)
@hypothesis.given(st.text(st.characters()), st.text(st.characters()))
def test_no_text_is_free(one: str, other: str) -> None:
    """Every character counts, if only a little, and two texts have more than one."""
    estimates = Estimates()

    assert sum(measure([Message("user", one)])) == len(one) + 1
    assert estimates.text(MODEL, one) >= len(one) * min(GUESS) / 20
    assert estimates.text(MODEL, one + other) >= max(estimates.text(MODEL, one), estimates.text(MODEL, other))


def test_a_model_that_nobody_has_asked_is_guessed() -> None:
    """Four Latin characters are a token, and a message adds four."""
    estimates = Estimates()

    assert estimates.prompt(MODEL, measure([Message("user", "x" * 40)])) == 14
    assert estimates.text(MODEL, "x" * 40) == 10
    assert estimates.prompt(MODEL, measure([], pictures=1)) == PICTURE_TOKENS


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("世界", 2), ("世界 abcd", 4), ("привет", 5)],
)
def test_a_text_alone_is_guessed_by_its_characters(text: str, tokens: int) -> None:
    """Four Latin characters are a token; of other scripts fewer are, or one alone."""
    assert guess_tokens(text) == tokens


def test_each_model_is_learnt_by_itself() -> None:
    """What one vendor counts says nothing of another's model."""
    estimates = Estimates()
    prompt = measure([Message("user", "много слов " * 50)])
    before = estimates.prompt(MODEL, prompt)
    for _ in range(3):
        estimates.learn("other-vendor/model", prompt, before * 2)

    assert estimates.prompt(MODEL, prompt) == before
    assert estimates.prompt("other-vendor/model", prompt) == pytest.approx(before * 2, rel=0.1)


def test_pictures_are_learnt_too() -> None:
    """A model for which a picture costs less than was guessed is known after a few of them."""
    estimates = Estimates()
    picture = AttachedPicture("image/png", b"")
    for _ in range(4):
        estimates.learn(MODEL, measure([SYSTEM, Message("user", "What is this?", (picture,))]), 270)

    assert estimates.prompt(
        MODEL, measure([SYSTEM, Message("user", "And that?", (picture,))])
    ) == pytest.approx(270, rel=0.1)


@pytest.mark.parametrize("count", [0, 1, -5, 10**9])
def test_counts_that_cannot_be_true_change_nothing(count: int) -> None:
    """Placeholders and nonsense are passed over, however often they come."""
    estimates = Estimates()
    prompt = measure([Message("user", "some words " * 50)])
    for _ in range(50):
        estimates.learn(MODEL, prompt, count)

    assert estimates.prompt(MODEL, prompt) == Estimates().prompt(MODEL, prompt)


@hypothesis.settings(database=None, deadline=None)
@hypothesis.given(
    st.lists(st.tuples(st.text(st.characters(), max_size=40), st.integers(0, 2000)), max_size=60)
)
def test_no_counts_make_an_estimate_absurd(counted: list[tuple[str, int]]) -> None:
    """Whatever vendors count, no class of characters is ever free, and all figures stay finite."""
    estimates = Estimates()
    for text, count in counted:
        estimates.learn(MODEL, measure([Message("user", text)]), count)

    for letter in "x .яツ…":
        assert 1 <= estimates.text(MODEL, letter * 400) <= 400 * 1000


def test_one_wrong_count_does_not_undo_what_was_learnt() -> None:
    """After a hundred honest counts a wild one moves the estimate by less than a tenth."""
    estimates = Estimates()
    prompt = measure([Message("user", "some words and more " * 50)])
    for _ in range(100):
        estimates.learn(MODEL, prompt, 260)
    estimates.learn(MODEL, prompt, 1200)

    assert estimates.prompt(MODEL, prompt) == pytest.approx(260, rel=0.1)


def test_a_model_that_counts_otherwise_from_now_on_is_learnt_anew() -> None:
    """A vendor may change its tokenizer: a few dozen counts later the estimate has followed."""
    estimates = Estimates()
    prompt = measure([Message("user", "some words and more " * 50)])
    for count in (*[260] * 300, *[390] * 40):
        estimates.learn(MODEL, prompt, count)

    assert estimates.prompt(MODEL, prompt) == pytest.approx(390, rel=0.1)


async def test_the_router_learns_from_what_is_counted() -> None:
    """A vendor's count of one prompt makes the reservation for the next, and what is booked without one."""
    question = ChatRequest((SYSTEM, Message("user", "много слов " * 100)))
    chat = ScriptedChat(*(answer("Да.", prompt_tokens=400) for _ in range(3)), ["Нет, ", OSError("broken")])
    router, ledger = ChatRouter([chat_route(chat)]), RecordedLedger()
    for _ in range(3):
        await collect(router.stream(question, ledger))

    _, completion = await collect(router.stream(question, ledger))

    guess = Estimates().prompt(MODEL, measure(question.messages))
    assert ledger.begun[0][1].prompt_tokens == guess
    assert abs(guess - 400) > 100
    assert ledger.begun[-1][1].prompt_tokens == pytest.approx(400, rel=0.1)
    assert completion.usage.prompt_tokens == ledger.begun[-1][1].prompt_tokens
    assert completion.usage.estimated


async def test_an_answer_that_breaks_off_is_booked_by_the_vendors_count_so_far() -> None:
    """Where the vendor had counted before it broke off, its figures count, and the text that came after."""
    seen = Usage(321, 2, cached_tokens=100)
    chat = ScriptedChat(["Once ", seen, "upon a time " * 20, OSError("broken")])

    _, completion = await collect(
        ChatRouter([chat_route(chat)]).stream(ChatRequest((SYSTEM,)), RecordedLedger())
    )

    assert completion.finish_reason == "interrupted"
    assert (completion.usage.prompt_tokens, completion.usage.cached_tokens) == (321, 100)
    assert completion.usage.completion_tokens > 50


@pytest.mark.parametrize(
    ("counted", "context", "booked"),
    [
        pytest.param(Usage(14, 90), 8000, Usage(14, 90), id="good"),
        pytest.param(Usage(300, 2500), None, Usage(300, 2500), id="a hidden prompt, and thoughts"),
        pytest.param(Usage(5_000_000, 90), 8000, Usage(GUESSED, 90), id="a prompt beyond the context"),
        pytest.param(Usage(8001, 90), 8000, Usage(GUESSED, 90), id="just beyond it"),
        pytest.param(Usage(8000, 90), 8000, Usage(8000, 90), id="just within it"),
        pytest.param(Usage(5_000_000, 90), None, Usage(GUESSED, 90), id="a prompt beyond belief"),
        pytest.param(Usage(900_000, 90), 1_000_000, Usage(GUESSED, 90), id="in a large context"),
        pytest.param(Usage(14, 5_000_000), 8000, Usage(14, ANSWERED), id="an answer beyond the context"),
        pytest.param(Usage(14, 10**12), None, Usage(14, ANSWERED), id="an answer beyond belief"),
        pytest.param(Usage(14, 0), 8000, Usage(14, ANSWERED), id="an answer of nothing"),
        pytest.param(
            Usage(10**9, 10**9, 10**9, 10**9),
            None,
            Usage(GUESSED, ANSWERED, GUESSED, ANSWERED),
            id="all of it",
        ),
    ],
)
async def test_counts_that_cannot_be_true_are_booked_as_estimates(
    counted: Usage, context: int | None, booked: Usage, caplog: pytest.LogCaptureFixture
) -> None:
    """Beyond the context, far beyond the estimate, or nothing for a text: marked, and logged once a model."""
    script: list[Step] = [LONG, Completion(LONG, counted, "stop", "m")]
    chat = ScriptedChat(script, script)
    router = ChatRouter([chat_route(chat, context_tokens=context)])

    for _ in range(2):
        _, completion = await collect(router.stream(ASKED, RecordedLedger()))
        assert completion.usage == replace(booked, estimated=booked != counted)

    told = [record for record in caplog.records if "cannot be true" in record.message]
    assert len(told) == (booked != counted)


async def test_a_context_that_is_set_too_small_makes_no_count_absurd() -> None:
    """A count beyond the context that is about as large as the text itself is the vendor's."""
    chat = ScriptedChat([LONG, Completion(LONG, Usage(400, 90), "stop", "m")])
    question = ChatRequest((SYSTEM, Message("user", "some words " * 100)))

    _, completion = await collect(
        ChatRouter([chat_route(chat, context_tokens=256)]).stream(question, RecordedLedger())
    )

    assert completion.usage == Usage(400, 90)


async def test_what_a_vendor_counts_on_the_way_is_no_more_believed() -> None:
    """An answer that breaks off is booked by the count so far only where that can be true."""
    chat = ScriptedChat([LONG, Usage(5_000_000, 0), OSError("broken")])
    events = ChatRouter([chat_route(chat)]).stream(ASKED, RecordedLedger())

    on_the_way = [event async for event in events if isinstance(event, (Usage, Completion))]

    spent = Usage(GUESSED, ANSWERED, estimated=True)
    assert on_the_way == [spent, Completion(LONG, spent, "interrupted", "scripted-model")]


def test_a_count_that_is_far_from_what_was_learnt_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """More than a fifth off, after the model is known; at first, and when it is close, nothing is said."""
    caplog.set_level(logging.INFO)
    estimates = Estimates()
    prompt = measure([Message("user", "some words and more " * 50)])
    for count in (*[260] * 20, 290):
        estimates.learn(MODEL, prompt, count)
    assert caplog.messages == []
    for count in (330, 9999):
        estimates.learn(MODEL, prompt, count)

    assert [message.split(" in a prompt")[0] for message in caplog.messages] == [
        f"{MODEL} counts {count} tokens" for count in (330, 9999)
    ]


def turns_of(kind: str) -> list[tuple[list[Message], int]]:
    """The prompts of one conversation, turn after turn, with the tokens that SmolLM2 counts in each."""
    pieces = [(SYSTEM.content, COUNTS["system"][0]), *zip(pieces_of(kind), COUNTS[kind], strict=True)]
    answers: tuple[Role, Role] = ("user", "assistant")
    roles: list[Role] = ["system", *(answers * len(pieces))]
    turns = []
    for end in range(2, len(pieces), 2):
        messages = [Message(role, text) for role, (text, _) in zip(roles, pieces[:end], strict=False)]
        tokens = sum(count + MESSAGE_TOKENS for _, count in pieces[:end]) + ANSWER_TOKENS
        turns.append((messages, tokens))
    return turns


@pytest.mark.parametrize("kind", KINDS)
def test_estimates_are_within_a_tenth_after_a_few_turns(kind: str) -> None:
    """In real text in English, Russian, Chinese and code, learnt from nothing: from the fourth turn on."""
    estimates = Estimates()
    errors = []
    for messages, tokens in turns_of(kind):
        errors.append(estimates.prompt(MODEL, measure(messages)) / tokens - 1)
        estimates.learn(MODEL, measure(messages), tokens)

    assert len(errors) >= 5
    assert all(abs(error) < 0.1 for error in errors[3:]), errors
    if kind == "chinese":  # which the first guess takes for half of what it is
        assert errors[0] < -0.3


@pytest.mark.parametrize("order", list(permutations(KINDS)), ids="-".join)
def test_kinds_of_text_do_not_spoil_one_another(order: tuple[str, ...]) -> None:
    """One model that hears all kinds, one after the other or in turn, is within a tenth on each at last."""
    estimates = Estimates()
    turns = {kind: turns_of(kind) for kind in order}
    for kind in order:
        for messages, tokens in turns[kind]:
            estimates.learn(MODEL, measure(messages), tokens)
    for place in range(5):
        for kind in order:
            messages, tokens = turns[kind][place]
            error = estimates.prompt(MODEL, measure(messages)) / tokens - 1
            assert abs(error) < (0.1 if place >= 2 else 0.2), (kind, place, error)
            estimates.learn(MODEL, measure(messages), tokens)


@with_model
async def test_the_counts_are_a_real_models() -> None:
    """What the tests above take for real is what the model counts of the first question of each kind."""
    model = local(model_file())
    for kind in KINDS:
        messages, tokens = turns_of(kind)[0]
        request = ChatRequest(tuple(messages), max_tokens=1)
        _, completion = await collect(model.stream(request, NO_KEY))
        assert completion.usage.prompt_tokens == tokens
