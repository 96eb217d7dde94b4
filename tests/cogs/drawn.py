"""What the tests of pictures share: a bot that draws and is gone, and presses on what another has drawn."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from PIL import Image

from providers.router import ImageRouter
from tests.cogs.scripted import buttons
from tests.fake_discord import CHANNEL_ID, GUILD_ID, MEMBER, FakeDiscord, FakeInteraction, FakeMessage
from tests.fake_discord_messages import say
from tests.fakes import ScriptedImages, image_route
from tests.living_bot import living_bot, until_done

NO_VENDOR = "http://127.0.0.1:9"  # nobody listens there, and nobody is asked
SKETCH: dict[str, Any] = {"image_chain": ("sketch",)}
MODAL_SUBMIT = 5


async def imagine(fake: FakeDiscord, database_url: str, **options: Any) -> FakeInteraction:
    """Have pictures drawn by a bot that is gone afterwards."""
    async with living_bot(fake, database_url, NO_VENDOR, **SKETCH) as bot:
        interaction = await fake.slash("imagine", {"prompt": "a red fox", **options})
        await until_done(bot, interaction)
    return interaction


async def press(
    fake: FakeDiscord, database_url: str, message: FakeMessage | None, label: str, **who: Any
) -> Any:
    """Press a button with another bot on the same database."""
    assert message is not None
    async with living_bot(fake, database_url, NO_VENDOR, **SKETCH) as bot:
        pressed = await fake.component(message, buttons(message)[label], **who)
        await until_done(bot, pressed)
    return pressed


def texts(interaction: FakeInteraction) -> list[dict[Any, Any]]:
    """The text chunks of each picture of an answer."""
    assert interaction.original is not None
    return [Image.open(io.BytesIO(one.data)).info for one in interaction.original.attachments]


def seeds(interaction: FakeInteraction) -> list[int]:
    return [int(info["parameters"].split("Seed: ")[1].split(",")[0]) for info in texts(interaction)]


def uploads(fake: FakeDiscord) -> list[dict[str, Any]]:
    """What was said of each file of the last request that had some."""
    sent = [request for request in fake.requests if request.files][-1]
    listed: list[dict[str, Any]] = sent.json["attachments"]
    return listed


def drawing_bot(fake: FakeDiscord, database_url: str, painter: ScriptedImages) -> Any:
    return living_bot(
        fake, database_url, NO_VENDOR, image_router=ImageRouter([image_route(painter)]), **SKETCH
    )


async def info_on(
    fake: FakeDiscord, database_url: str, subject: FakeMessage | Mapping[str, bytes], **said: str
) -> FakeInteraction:
    """Choose Picture info in the menu of a message, or of one that a member posts with these files.

    `said` goes over what Discord says of each of its files.
    """
    async with living_bot(fake, database_url, NO_VENDOR, **SKETCH) as bot:
        if not isinstance(subject, FakeMessage):
            place: dict[str, Any] = {"user": MEMBER, "channel_id": CHANNEL_ID, "guild_id": GUILD_ID}
            subject = await say(fake, "look", files=subject, **place)
        payload = subject.payload()
        payload["attachments"] = [one | said for one in payload["attachments"]]
        data = {
            "id": "0",
            "name": "Picture info",
            "type": 3,
            "target_id": str(subject.id),
            "resolved": {"messages": {str(subject.id): payload}},
        }
        chosen = await fake.interact(2, data)
        await until_done(bot, chosen)
    return chosen
