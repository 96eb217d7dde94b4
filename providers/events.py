"""Server-sent events: from bytes, cut anywhere, to the text of each event."""

from __future__ import annotations

import codecs

from providers.base import Unavailable

MAX_EVENT_CHARACTERS = 2 * 1024 * 1024


class EventDecoder:
    """Collects the `data` of each event, as the event-stream format has it.

    Lines may end in LF, CR LF or CR; `data:` over several lines is one event; comments (keep-alives) and
    other fields are passed over; a character may be cut between two chunks. Feed it chunks as they come,
    then `finish()`.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._pending: list[str] = []  # pieces of a line that has not ended yet
        self._size = 0  # characters of the event so far
        self._after_carriage_return = False
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[str]:
        """Take the next bytes and return the events they complete. Raises Unavailable at one too long."""
        return self._take(self._decoder.decode(chunk))

    def finish(self) -> list[str]:
        """Return the last event when the stream ended without the blank line that should close it."""
        events = self._take(self._decoder.decode(b"", final=True) + "\n\n")
        self._data = []
        return events

    def _take(self, text: str) -> list[str]:
        if not text:
            return []
        if self._after_carriage_return and text[0] == "\n":  # CR LF, cut in the middle
            text = text[1:]
        self._after_carriage_return = text.endswith("\r")
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        events: list[str] = []
        for line in lines[:-1]:
            if self._pending:
                line = "".join(self._pending) + line
                self._pending = []
            self._end_line(line, events)
        if lines[-1]:
            self._pending.append(lines[-1])
            self._grow(len(lines[-1]))
        return events

    def _end_line(self, line: str, events: list[str]) -> None:
        if not line:
            if self._data:
                events.append("\n".join(self._data))
            self._data = []
            self._size = 0
        elif line.startswith("data:"):
            value = line[5:].removeprefix(" ")
            self._grow(len(value))
            self._data.append(value)
        elif line == "data":
            self._data.append("")

    def _grow(self, characters: int) -> None:
        self._size += characters
        if self._size > 2 * MAX_EVENT_CHARACTERS:  # a line may count once pending and once complete
            raise Unavailable("the vendor sent an event that is too long", maybe_billed=True)
