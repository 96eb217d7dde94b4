"""The form behind *Edit*: filled in, and good for as long as it is open."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from assistant.imagine import FORGOTTEN, LARGEST_SEED
from cogs.picture_form import NO_SEED, NO_STEPS
from db.engine import open_database
from tests.cogs.drawn import MODAL_SUBMIT, NO_VENDOR, SKETCH, imagine, texts
from tests.cogs.scripted import ANOTHER, buttons, content
from tests.fake_discord import FakeDiscord, FakeInteraction, FakeMessage
from tests.living_bot import living_bot, rows, until_done


def fill_in(modal: dict[str, Any], values: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A form as it was shown, and what Discord sends once these values have been put into it."""
    shown: dict[str, Any] = {}
    given = []
    for label in modal["components"]:
        field = label["component"]
        if field["type"] == 3:
            shown["size"] = [option["value"] for option in field["options"] if option.get("default")]
            chosen = {"values": [values["size"]] if "size" in values else shown["size"]}
        else:
            shown[field["custom_id"]] = field.get("value", "")
            chosen = {"value": values.get(field["custom_id"], field.get("value", ""))}
        inner = {"type": field["type"], "id": 2, "custom_id": field["custom_id"], **chosen}
        given.append({"type": 18, "id": 1, "component": inner})
    return shown, {"custom_id": modal["custom_id"], "components": given}


async def submit(
    fake: FakeDiscord, database_url: str, message: FakeMessage | None, **values: str
) -> tuple[dict[str, Any], FakeInteraction]:
    """Open the form and send it with other values, a restart in between; how it was shown, the answer."""
    assert message is not None
    async with living_bot(fake, database_url, NO_VENDOR, **SKETCH):
        pressed = await fake.component(message, buttons(message)["Edit"])
        await pressed.until(lambda it: it.modal is not None)
    assert pressed.modal is not None
    shown, data = fill_in(pressed.modal, values)
    async with living_bot(fake, database_url, NO_VENDOR, **SKETCH) as bot:
        sent = await fake.interact(MODAL_SUBMIT, data, message=message)
        await until_done(bot, sent)
    return shown, sent


async def test_edit_is_filled_in_and_draws_what_was_changed(fake: FakeDiscord, database_url: str) -> None:
    """The form has prompt, seed, steps and size; what is not changed stays, as does what it does not show."""
    drawn = await imagine(fake, database_url, seed=7, negative="snow", size="1344x768")
    shown, edited = await submit(
        fake, database_url, drawn.original, prompt="a blue fox", steps="2", size="896x1152"
    )

    assert shown == {"prompt": "a red fox", "seed": "7", "steps": "4", "size": ["1344x768"]}
    assert texts(edited) == [
        {"parameters": "a blue fox\nNegative prompt: snow\nSteps: 2, Seed: 7, Size: 896x1152, Model: sketch"}
    ]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [({"seed": str(LARGEST_SEED + 1)}, NO_SEED), ({"seed": "²"}, NO_SEED), ({"steps": "0"}, NO_STEPS)],
)
async def test_edit_says_what_is_no_number(
    fake: FakeDiscord, database_url: str, values: dict[str, str], sentence: str
) -> None:
    """A seed or steps that are none draw nothing; the member alone reads what they have to be."""
    drawn = await imagine(fake, database_url)
    _, sent = await submit(fake, database_url, drawn.original, **values)
    assert content(sent) == sentence
    assert sent.ephemeral


async def test_steps_that_were_not_chosen_stay_the_models_default(
    fake: FakeDiscord, database_url: str
) -> None:
    """The form shows what was taken; unchanged, it is no wish of the member's, and emptied neither."""
    drawn = await imagine(fake, database_url)
    for steps in ({}, {"steps": ""}):
        _, edited = await submit(fake, database_url, drawn.original, prompt="a blue fox", **steps)
        assert "Steps: 4," in texts(edited)[0]["parameters"]
    async with open_database(database_url) as database:
        assert [row["steps"] for row in await rows(database, "pictures")] == [None, None, None]


async def test_two_members_may_have_the_form_open(fake: FakeDiscord, database_url: str) -> None:
    """Each draws what is in their own, whoever sends it first."""
    drawn = await imagine(fake, database_url)
    assert drawn.original is not None
    async with living_bot(fake, database_url, NO_VENDOR, **SKETCH) as bot:
        opened = [
            await fake.component(drawn.original, buttons(drawn.original)["Edit"], user=user)
            for user in (drawn.user, ANOTHER)
        ]
        sent = []
        for form, prompt in zip(opened, ("a blue fox", "a green fox"), strict=True):
            await form.until(lambda it: it.modal is not None)
            _, data = fill_in(form.modal or {}, {"prompt": prompt})
            sent.append(await fake.interact(MODAL_SUBMIT, data, message=drawn.original, user=form.user))
        await asyncio.gather(*(until_done(bot, one) for one in sent))

    assert [texts(one)[0]["parameters"].split("\n")[0] for one in sent] == ["a blue fox", "a green fox"]


async def test_a_private_picture_is_edited_in_private(fake: FakeDiscord, database_url: str) -> None:
    """Whether it is private the message says, also to a bot that did not show the form."""
    drawn = await imagine(fake, database_url, private=True)
    _, edited = await submit(fake, database_url, drawn.original, prompt="a blue fox")

    assert edited.ephemeral
    assert len(texts(edited)) == 1


async def test_a_form_of_what_was_forgotten_meanwhile_says_so(fake: FakeDiscord, database_url: str) -> None:
    """After /forget mine nobody can draw from it, though the form was still open."""
    drawn = await imagine(fake, database_url)
    assert drawn.original is not None
    async with living_bot(fake, database_url, NO_VENDOR, **SKETCH) as bot:
        pressed = await fake.component(drawn.original, buttons(drawn.original)["Edit"])
        await pressed.until(lambda it: it.modal is not None)
        await until_done(bot, await fake.slash("forget", subcommand="mine"))
        _, data = fill_in(pressed.modal or {}, {})
        sent = await fake.interact(MODAL_SUBMIT, data, message=drawn.original)
        await until_done(bot, sent)

    assert content(sent) == FORGOTTEN
