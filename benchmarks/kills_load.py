"""The load under which a bot is killed: members who ask without a pause, and the vendor who answers them.

Every tenth answer breaks off in the middle, unless it is a picture, and every tenth question is refused. What
the vendor counts for a question follows from its number, so that the books can be compared with it.
"""

from __future__ import annotations

import asyncio
import base64
import random
import re
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from providers.pixels import encode_png
from tests.fake_discord import CHANNEL_ID, FakeDiscord, FakeInteraction, FakeUser
from tests.fake_vendors import Reply, Request, broken, json_reply, openai_stream, slowly, usage

MEMBERS = [FakeUser(200_000_000_000_001_000 + n, f"member{n}", f"Member {n}") for n in range(30)]
# One question in so many is asked in the channel with the budget, and one in so many is for pictures.
LIMITED_SHARE, PICTURE_SHARE = 6, 4
LONGEST_PAUSE = 0.05  # seconds between two questions
PNG = encode_png(Image.linear_gradient("L").convert("RGB"))
REFUSED = json_reply({"error": {"message": "This is not allowed.", "type": "invalid_request_error"}}, 400)

Fate = Literal["whole", "broken", "refused"]


@dataclass(frozen=True, slots=True)
class Question:
    """What a member has asked; `count` is of pictures, and 0 for text."""

    number: int
    count: int
    interaction: FakeInteraction

    @property
    def fate(self) -> Fate:
        """What the vendor does with it."""
        return fate_of(self.number, picture=bool(self.count))

    @property
    def answered(self) -> bool:
        """Whether its member has been shown all of the answer, which is the bot's word that it is booked."""
        original = self.interaction.original
        if original is None or original.loading:
            return False
        return bool(original.attachments) if self.count else "completion tokens" in original.content

    @property
    def refused_by_a_budget(self) -> bool:
        """Whether its member was told when a limit opens again."""
        original = self.interaction.original
        return original is not None and "It opens again" in original.content


def fate_of(number: int, *, picture: bool) -> Fate:
    """What the vendor does with a question of this number."""
    if number % 10 == 1:
        return "refused"
    return "broken" if number % 10 == 2 and not picture else "whole"


def figures_of(number: int) -> tuple[int, int]:
    """The prompt and completion tokens that the vendor counts: fewer than any question reserves."""
    return 5 + number % 7, 3 + number % 11


def text_of(number: int) -> str:
    """The answer to a question."""
    return f"The answer to that is {number}."


class Vendor:
    """Answers each request after a moment and in pieces, and counts the requests for each question."""

    def __init__(self, seed: int) -> None:
        self.received: Counter[int] = Counter()
        self._chance = random.Random(seed)

    async def __call__(self, request: Request) -> Reply:
        """Called by the fake vendor."""
        picture = "prompt" in request.body
        said = request.body["prompt"] if picture else request.body["messages"][-1]["content"]
        number = int(re.findall(r"number (\d+)", said)[-1])
        self.received[number] += 1
        await asyncio.sleep(self._chance.uniform(0, 0.15))
        fate = fate_of(number, picture=picture)
        if fate == "refused":
            return REFUSED
        if picture:
            return json_reply({"data": [{"b64_json": base64.b64encode(PNG).decode()}]})
        words = re.findall(r"\S+\s*", text_of(number))
        reply = openai_stream(*words, used=usage(*figures_of(number)))
        if fate == "broken":
            reply = broken(reply, after=len(reply.body) // 2)
        return slowly(reply, self._chance.uniform(0, 0.08))


class Members:
    """Ask, each in a channel and for something that chance decides."""

    def __init__(self, fake: FakeDiscord, seed: int) -> None:
        self._fake = fake
        self._chance = random.Random(seed)
        self.asked = 0

    async def ask(self, questions: list[Question]) -> None:
        """Ask until somebody stops it, and note each question."""
        while True:
            questions.append(await self._ask_one())
            await asyncio.sleep(self._chance.uniform(0, LONGEST_PAUSE))

    async def _ask_one(self) -> Question:
        self.asked += 1
        number, limited = self.asked, self._chance.randrange(LIMITED_SHARE) == 0
        count = self._chance.choice((1, 2)) if self._chance.randrange(PICTURE_SHARE) == 0 else 0
        options: dict[str, str | int] = {"prompt": f"What is number {number}"}
        if count:
            options["count"] = count
        interaction = await self._fake.slash(
            "imagine" if count else "ask",
            options,
            user=self._chance.choice(MEMBERS),
            # The others are new ones again and again, so that no conversation grows long.
            channel_id=CHANNEL_ID if limited else CHANNEL_ID + 1 + number // 100 * 8 + number % 8,
        )
        return Question(number, count, interaction)
