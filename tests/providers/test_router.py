"""The chain: who is asked next after which error, and what is booked when."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from providers.base import (
    NO_KEY,
    BadRequest,
    ChatEvent,
    ChatRequest,
    Completion,
    ContentRefused,
    ImageRequest,
    Key,
    KeyRejected,
    ModelRetired,
    NotEntitled,
    PromptTooLong,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Unavailable,
    Usage,
)
from providers.route import Target
from providers.router import ChatRouter, ImageRouter
from tests.fakes import (
    RecordedLedger,
    ScriptedChat,
    ScriptedImages,
    answer,
    chat_route,
    image_route,
    key,
)
from tests.providers.helpers import PROMPT_TOKENS, QUESTION, collect, take_error

ONE, TWO, THREE = (key(f"KEY{number}", f"value-{number}") for number in (1, 2, 3))
ORDER = ImageRequest("a fox", seed=5, steps=2)

NEXT_KEY = [KeyRejected, NotEntitled, QuotaExhausted, RateLimited]
NEXT_PROVIDER = [ModelRetired, BadRequest, Unavailable]
STOP = [ContentRefused, PromptTooLong]


def asked(provider: ScriptedChat | ScriptedImages) -> list[str]:
    return [key.variable for _, key in provider.calls]


# ---- Order -----------------------------------------------------------------------------------------


async def test_the_first_provider_that_answers_is_the_only_one_asked() -> None:
    """The answer of the chain's head comes out as it is, with its figures; nobody else hears the question."""
    first, second = ScriptedChat(answer("Yes", "."), name="first"), ScriptedChat(name="second")
    ledger = RecordedLedger()

    pieces, completion = await collect(
        ChatRouter([chat_route(first, ONE, TWO), chat_route(second)]).stream(QUESTION, ledger)
    )

    assert pieces == ["Yes", "."]
    assert completion == Completion("Yes.", Usage(10, 5), "stop", "scripted-model")
    assert first.calls == [(QUESTION, ONE)]
    assert second.calls == []
    assert ledger.failed == []


@pytest.mark.parametrize("kind", NEXT_KEY)
async def test_what_stands_with_a_key_leads_to_the_next_key(kind: type[ProviderError]) -> None:
    """A refused, spent or limited key says nothing of the others: they are asked in their order."""
    first = ScriptedChat([kind()], [kind()], answer("Yes."), name="first")
    second = ScriptedChat(name="second")

    _, completion = await collect(
        ChatRouter([chat_route(first, ONE, TWO, THREE), chat_route(second)]).stream(
            QUESTION, RecordedLedger()
        )
    )

    assert completion.text == "Yes."
    assert asked(first) == ["KEY1", "KEY2", "KEY3"]
    assert second.calls == []


@pytest.mark.parametrize("kind", NEXT_PROVIDER)
async def test_what_stands_with_a_provider_leads_to_the_next_provider(kind: type[ProviderError]) -> None:
    """A model that is gone, or a vendor that is down, is not asked again with another key."""
    first = ScriptedChat([kind(status=503)], name="first")
    second = ScriptedChat(answer("Yes."), name="second")

    _, completion = await collect(
        ChatRouter([chat_route(first, ONE, TWO), chat_route(second, THREE)]).stream(
            QUESTION, RecordedLedger()
        )
    )

    assert completion.text == "Yes."
    assert (asked(first), asked(second)) == (["KEY1"], ["KEY3"])


@pytest.mark.parametrize("kind", STOP)
async def test_what_stands_with_the_request_stops(kind: type[ProviderError]) -> None:
    """A refused or oversized prompt is nobody else's business: its own error reaches the caller."""
    first, second = ScriptedChat([kind("the words")], name="first"), ScriptedChat(name="second")
    ledger = RecordedLedger()

    error = await take_error(
        collect(ChatRouter([chat_route(first, ONE, TWO), chat_route(second)]).stream(QUESTION, ledger))
    )

    assert type(error) is kind
    assert asked(first) == ["KEY1"]
    assert second.calls == []
    assert ledger.failed == [(error, None)]


@pytest.mark.parametrize("kind", [*NEXT_KEY, *NEXT_PROVIDER, *STOP])
async def test_pictures_go_the_same_way(kind: type[ProviderError]) -> None:
    """The chain of pictures follows the same table."""
    first, second = ScriptedImages(kind(status=503), name="first"), ScriptedImages(name="second")
    ledger = RecordedLedger()
    router = ImageRouter([image_route(first, ONE, TWO), image_route(second, THREE)])

    if kind in STOP:
        assert type(await take_error(router.generate(ORDER, ledger))) is kind
        assert (asked(first), asked(second)) == (["KEY1"], [])
    else:
        picture = await router.generate(ORDER, ledger)
        assert (picture.seed, picture.steps) == (5, 2)
        expected = (["KEY1", "KEY2"], []) if kind in NEXT_KEY else (["KEY1"], ["KEY3"])
        assert (asked(first), asked(second)) == expected
    assert [type(error) for error, _ in ledger.failed] == [kind]


async def test_the_log_says_who_failed_and_why(caplog: pytest.LogCaptureFixture) -> None:
    """For each failure the host reads provider, key's variable, class and the vendor's words."""
    first = ScriptedChat([KeyRejected("bad key")], [Unavailable("is down", status=503)], name="first")
    router = ChatRouter([chat_route(first, ONE, NO_KEY), chat_route(ScriptedChat())])

    await collect(router.stream(QUESTION, RecordedLedger()))

    assert [record.getMessage() for record in caplog.records] == [
        "first KEY1: auth: bad key",
        "KEY1 was refused by first. It is left out until its value changes or the settings are read again.",
        "first without key: transient: is down",
        "Fallback in use: answers now come from scripted, not from first.",
    ]


# ---- Books -----------------------------------------------------------------------------------------


class Journal(RecordedLedger):
    """A ledger that writes down the order of things, its own and the providers'."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    async def begin(self, target: Target, reserved: Usage) -> None:
        self.lines.append(f"begin {target.provider} {target.key.variable}")
        await super().begin(target, reserved)

    async def fail(self, error: ProviderError, usage: Usage | None) -> None:
        self.lines.append(f"fail {error.kind}")
        await super().fail(error, usage)


class NotedChat(ScriptedChat):
    """A provider that writes its calls into the same journal."""

    def __init__(self, journal: Journal, *scripts: list[object], name: str) -> None:
        super().__init__(*scripts, name=name)  # type: ignore[arg-type]  # scripts are of steps
        self.journal = journal

    async def stream(self, request: ChatRequest, key: Key) -> AsyncGenerator[ChatEvent]:
        self.journal.lines.append(f"ask {self.name} {key.variable}")
        async for event in super().stream(request, key):
            yield event


async def test_each_attempt_is_begun_before_and_ended_after_its_request() -> None:
    """No request leaves before its row is written, and none is open when the next begins."""
    journal = Journal()
    first = NotedChat(journal, [RateLimited()], [Unavailable(status=503)], name="first")
    second = NotedChat(journal, [*answer("Yes.")], name="second")
    router = ChatRouter([chat_route(first, ONE, TWO, THREE), chat_route(second, max_tokens=77)])

    await collect(router.stream(QUESTION, journal))

    assert journal.lines == [
        "begin first KEY1",
        "ask first KEY1",
        "fail rate",
        "begin first KEY2",
        "ask first KEY2",
        "fail transient",
        "begin second ",
        "ask second ",
    ]
    assert [reserved for _, reserved in journal.begun] == [
        Usage(PROMPT_TOKENS, 1024, estimated=True),
        Usage(PROMPT_TOKENS, 1024, estimated=True),
        Usage(PROMPT_TOKENS, 77, estimated=True),
    ]


async def test_nothing_is_asked_when_the_books_are_closed() -> None:
    """When the row cannot be written no request leaves, and the reason reaches the caller."""

    class ClosedBooks(RecordedLedger):
        async def begin(self, target: Target, reserved: Usage) -> None:
            raise OSError("disk full")

    chat, images = ScriptedChat(), ScriptedImages()

    with pytest.raises(OSError, match="disk full"):
        await collect(ChatRouter([chat_route(chat)]).stream(QUESTION, ClosedBooks()))
    with pytest.raises(OSError, match="disk full"):
        await ImageRouter([image_route(images)]).generate(ORDER, ClosedBooks())

    assert chat.calls == []
    assert images.calls == []


async def test_what_may_have_cost_is_booked_as_an_estimate() -> None:
    """A failure that may be billed ends with the prompt, or one picture; any other with nothing."""
    free, dear = Unavailable("free", status=503), Unavailable("dear", maybe_billed=True)
    chats, pictures = RecordedLedger(), RecordedLedger()
    chat_routes = [chat_route(ScriptedChat([error], name=error.detail)) for error in (free, dear)]
    image_routes = [image_route(ScriptedImages(error, name=error.detail)) for error in (free, dear)]

    await take_error(collect(ChatRouter(chat_routes).stream(QUESTION, chats)))
    await take_error(ImageRouter(image_routes).generate(ORDER, pictures))

    assert chats.failed == [(free, None), (dear, Usage(PROMPT_TOKENS, 0, estimated=True))]
    assert pictures.failed == [(free, None), (dear, Usage(pictures=1, estimated=True, pixels=1024**2))]
