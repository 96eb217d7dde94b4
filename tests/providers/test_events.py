"""The event-stream decoder, against streams that are cut, ended and broken in every way."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.base import Unavailable
from providers.events import MAX_EVENT_CHARACTERS, EventDecoder

BOM = b"\xef\xbb\xbf"

# A line of data: anything that holds no line end of the format. U+0085 and U+2028 are no line ends in it.
texts = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12) | st.just(
    "\u0085\u2028\x0b\x0c"
)
line_ends = st.sampled_from(["\n", "\r\n", "\r"])
noise = st.sampled_from([": keep-alive", ":", "event: message", "id: 7", "unknown", "dataset: 1"])


def decode(*chunks: bytes) -> list[str]:
    decoder = EventDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.finish()


def split(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@settings(deadline=None, max_examples=200)
@given(
    events=st.lists(st.lists(texts, min_size=1, max_size=3), max_size=4),
    comments=st.lists(noise, max_size=3),
    line_end=line_ends,
    bom=st.booleans(),
    closed=st.booleans(),
    places=st.lists(st.integers(0, 10_000), max_size=6),
)
def test_any_cut_of_any_stream_gives_its_events(
    events: list[list[str]], comments: list[str], line_end: str, bom: bool, closed: bool, places: list[int]
) -> None:
    """Wherever the bytes are cut and however lines end, each event's data comes out whole and in order."""
    lines = []
    for event in events:
        lines += [*comments, *(f"data: {line}" for line in event), ""]
    if events and not closed:
        lines.pop()  # the stream ends without the blank line that should close its last event
    data = (BOM if bom else b"") + "".join(line + line_end for line in lines).encode()

    assert decode(*split(data, places)) == ["\n".join(event) for event in events]


@settings(deadline=None, max_examples=200)
@given(
    data=st.lists(
        st.sampled_from([b"data: ", b"data:", b"\r", b"\n", b"\n\n", BOM, b"\xff", b"\xf0\x9f", b"\xc3"])
        | st.binary(max_size=6),
        max_size=20,
    ).map(b"".join),
    places=st.lists(st.integers(0, 10_000), max_size=6),
)
def test_cuts_never_change_what_is_read(data: bytes, places: list[int]) -> None:
    """Any bytes, UTF-8 or not, give the same events in pieces as in one."""
    assert decode(*split(data, places)) == decode(data)


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        pytest.param(b"data: a\n\ndata: b\n\n", ["a", "b"], id="two events"),
        pytest.param(b"data: a\rdata: b\r\r", ["a\nb"], id="CR"),
        pytest.param(b"data: a\r\ndata: b\r\n\r\n", ["a\nb"], id="CR LF and several lines"),
        pytest.param(b"data:a\n\n", ["a"], id="no space"),
        pytest.param(b"data:  a\n\n", [" a"], id="two spaces: one belongs to the data"),
        pytest.param(b"data\n\n", [""], id="no colon"),
        pytest.param(b": OPENROUTER PROCESSING\n\ndata: a\n\n", ["a"], id="keep-alive"),
        pytest.param(b"event: ping\nid: 1\n\ndata: a\n\n", ["a"], id="an event without data"),
        pytest.param(BOM + b"data: a\n\n", ["a"], id="BOM"),
        pytest.param(b"\n\n\n\n", [], id="blank lines"),
        pytest.param(b"data: a", ["a"], id="last line without an end"),
        pytest.param(b"data: a\n", ["a"], id="last event without a blank line"),
        pytest.param(b"data: a\r", ["a"], id="last event ends in CR"),
        pytest.param(b"data: a\xe4\xb8", ["a\ufffd"], id="last character without its end"),
        pytest.param(b"data: \xff\xc3\n\n", ["\ufffd\ufffd"], id="invalid UTF-8"),
        pytest.param("data: a\u2028b\u0085c\n\n".encode(), ["a\u2028b\u0085c"], id="no line ends of ours"),
        pytest.param(b"", [], id="nothing"),
    ],
)
def test_streams_are_read_as_the_format_has_them(stream: bytes, events: list[str]) -> None:
    """Each form that the format allows is read as it says, in one piece and byte by byte."""
    assert decode(stream) == events
    assert decode(*(stream[place : place + 1] for place in range(len(stream)))) == events


def test_events_come_as_soon_as_they_are_complete() -> None:
    """The blank line releases an event at once, and a CR LF cut in the middle makes no second one."""
    decoder = EventDecoder()

    assert decoder.feed(b"data: a\r\n\r") == ["a"]
    assert decoder.feed(b"\ndata: b\r\n") == []
    assert decoder.feed(b"\r\n") == ["b"]
    assert decoder.finish() == []


def test_a_character_may_be_cut_in_two() -> None:
    """The bytes of one character in two chunks are one character."""
    data = "data: Grüße, 世界 🜁\n\n".encode()

    for place in range(len(data)):
        assert decode(data[:place], data[place:]) == ["Grüße, 世界 🜁"]


@pytest.mark.parametrize("chunk_size", [1_000_000_000, 65_536, 1_000])
def test_a_line_of_a_megabyte_is_read(chunk_size: int) -> None:
    """A long line comes out whole, from one chunk or from a thousand."""
    text = "x" * 1_000_000
    data = f"data: {text}\n\n".encode()
    chunks = (data[start : start + chunk_size] for start in range(0, len(data), chunk_size))

    assert decode(*chunks) == [text]


@pytest.mark.parametrize(
    "chunk",
    [
        pytest.param(b"x" * 65_536, id="one line without end"),
        pytest.param(b"data: " + b"x" * 65_536 + b"\n", id="one event without end"),
    ],
)
def test_an_endless_event_is_given_up(chunk: bytes) -> None:
    """What never ends is refused before it fills the memory, and may have cost."""
    fed: list[int] = []

    def feed_on() -> None:
        decoder = EventDecoder()
        for _ in range(10 * MAX_EVENT_CHARACTERS // len(chunk)):
            fed.append(len(chunk))
            decoder.feed(chunk)

    with pytest.raises(Unavailable) as error:
        feed_on()

    assert error.value.maybe_billed
    # A line may count twice, once while it grows and once complete.
    assert MAX_EVENT_CHARACTERS < sum(fed) < 2 * MAX_EVENT_CHARACTERS + 2 * len(chunk)


def test_many_events_may_be_longer_than_one() -> None:
    """The bound is for one event: a long stream of short ones passes."""
    decoder = EventDecoder()
    event = b"data: " + b"x" * 65_536 + b"\n\n"

    count = sum(len(decoder.feed(event)) for _ in range(100))

    assert count == 100
