"""Who is answered when: one answer for each member, a few for each channel, the rest in order of arrival."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from assistant.stopping import Stopped
from assistant.values import LONGEST_WAIT_SECONDS, Refused

MOST_OF_MEMBER = 5
MOST_IN_CHANNEL = 200

TOO_MANY_OF_YOURS = (
    f"{MOST_OF_MEMBER} of your requests are waiting already. Please ask again when one is answered."
)
TOO_MANY_HERE = (
    f"{MOST_IN_CHANNEL} requests are waiting in this channel already. Please ask again in a few minutes."
)
TOO_LONG = "Your turn did not come within {} minutes. Please ask again when fewer people are asking."


class Place:
    """A member's place in a channel: `number` others are answered no later, 0: it is their turn."""

    def __init__(self, arrival: int, channel_id: int, user_id: int, seconds: float) -> None:
        self.number = 0
        self.arrival = arrival
        self.channel_id = channel_id
        self.user_id = user_id
        self._seconds = seconds
        self._until = asyncio.get_running_loop().time() + seconds
        self._told = -1
        self._moved = asyncio.Event()

    def move(self, number: int) -> None:
        """Take another place."""
        if number != self.number:
            self.number = number
            self._moved.set()

    async def next_number(self) -> int:
        """The place, once it is another than this has told before. Raises Refused after too long a wait."""
        while self.number == self._told:
            self._moved.clear()
            try:
                async with asyncio.timeout_at(self._until):
                    await self._moved.wait()
            except TimeoutError:
                if self.number != 0:  # else it has come at the last moment
                    raise Refused(TOO_LONG.format(round(self._seconds / 60))) from None
        self._told = self.number
        return self._told


class Queue:
    """Everyone who is answered or waits. Members who wait for another answer of their own block nobody."""

    def __init__(self, answers_per_channel: int) -> None:
        self.per_channel = answers_per_channel
        self._arrivals = 0
        self._answered_in: Counter[int] = Counter()
        self._answered: set[int] = set()
        # Both in order of arrival; nobody who waits could be answered.
        self._waiting_in: dict[int, list[Place]] = {}
        self._waiting_of: dict[int, list[Place]] = {}

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting_in.values()))

    @property
    def answered(self) -> int:
        """How many are being answered."""
        return len(self._answered)

    @contextmanager
    def place(
        self, channel_id: int, user_id: int, longest_wait_seconds: float = LONGEST_WAIT_SECONDS
    ) -> Iterator[Place]:
        """Stand in the queue, and be answered, for as long as the block lasts. Raises Refused."""
        self._arrivals += 1
        place = Place(self._arrivals, channel_id, user_id, longest_wait_seconds)
        if not self._start(place):
            self._line_up(place)
        try:
            yield place
        finally:
            if place.number == 0:
                self._end(place)
            else:
                self._leave(place)
                self._renumber(channel_id)

    def _start(self, place: Place) -> bool:
        """Answer this one if that may be now."""
        if place.user_id in self._answered or self._answered_in[place.channel_id] >= self.per_channel:
            return False
        self._answered.add(place.user_id)
        self._answered_in[place.channel_id] += 1
        return True

    def _line_up(self, place: Place) -> None:
        here = self._waiting_in.get(place.channel_id, [])
        own = self._waiting_of.get(place.user_id, [])
        if len(own) >= MOST_OF_MEMBER:
            raise Refused(TOO_MANY_OF_YOURS)
        if len(here) >= MOST_IN_CHANNEL:
            raise Refused(TOO_MANY_HERE)
        self._waiting_in[place.channel_id] = [*here, place]
        self._waiting_of[place.user_id] = [*own, place]
        place.move(len(here) + 1)

    def _leave(self, place: Place) -> None:
        for waiting, name in ((self._waiting_in, place.channel_id), (self._waiting_of, place.user_id)):
            waiting[name].remove(place)
            if not waiting[name]:
                del waiting[name]

    def _end(self, place: Place) -> None:
        """An answer has ended: its channel has room for another, and its member may have another anywhere."""
        self._answered.discard(place.user_id)
        self._answered_in[place.channel_id] -= 1
        freed = {*self._waiting_in.get(place.channel_id, ()), *self._waiting_of.get(place.user_id, ())}
        for other in sorted(freed, key=lambda waiting: waiting.arrival):
            if self._start(other):
                self._leave(other)
                other.move(0)
                self._renumber(other.channel_id)
        if not self._answered_in[place.channel_id]:
            del self._answered_in[place.channel_id]

    def _renumber(self, channel_id: int) -> None:
        for number, place in enumerate(self._waiting_in.get(channel_id, ()), 1):
            place.move(number)


class Cooldown:
    """How long each member has to wait between two questions; 0 seconds: not at all."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._over_at: dict[int, float] = {}  # in order

    @contextmanager
    def question(self, user_id: int) -> Iterator[None]:
        """A member's question, for as long as the block lasts. Raises Refused when it comes too soon.

        One that fails costs nothing: the next may come at once.
        """
        self._begin(user_id)
        try:
            yield
        except Stopped:
            raise
        except Exception:
            self._over_at.pop(user_id, None)
            raise

    def _begin(self, user_id: int) -> None:
        if not self.seconds:
            return
        now = asyncio.get_running_loop().time()
        for other, over_at in list(self._over_at.items()):
            if over_at > now:
                break
            del self._over_at[other]
        if left := math.ceil(self._over_at.get(user_id, now) - now):
            raise Refused(f"Please wait {left} {'second' if left == 1 else 'seconds'}.")
        self._over_at[user_id] = now + self.seconds
