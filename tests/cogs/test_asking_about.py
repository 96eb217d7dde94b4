"""Files along with `/ask`, and *Ask about this*: the real cogs inside simcord."""

from __future__ import annotations

import io

import discord
import pytest
import simcord
from PIL import Image

from assistant.attachments import WHAT_WORKS
from cogs.ask_about import NOTHING_THERE
from tests.assistant.files import empty_png, encode, pdf
from tests.cogs.world import OpenWorld, World
from tests.fakes import answer

MENU = "Ask about this"
PHOTO = encode(Image.new("RGB", (4000, 3000), "teal"), "JPEG")


def asked(world: World) -> tuple[str, list[tuple[str, tuple[int, int]]]]:
    """The last question's text, and the type and size of each picture with it."""
    message = world.chat.calls[-1][0].messages[-1]
    pictures = [
        (picture.media_type, Image.open(io.BytesIO(picture.data)).size) for picture in message.pictures
    ]
    return message.content, pictures


def content_of(result: simcord.InteractionResult) -> str:
    assert result.response is not None
    content, _, _ = result.response.content.partition("\n-# scripted-model")  # the footer
    return content


async def ask_about(
    world: World, message: discord.Message | simcord.results.ResponseMessage, question: str, **who: object
) -> simcord.InteractionResult:
    """Open the form on a message and send it with a question."""
    actor = who.get("actor", world.member)
    assert isinstance(actor, simcord.MemberActor)
    shown = await actor.context_menu(world.channel, MENU, message)
    assert shown.modal is not None
    return await actor.submit_modal(shown, {"prompt": question})


# ---- /ask with a file ------------------------------------------------------------------------------


async def test_a_picture_goes_along_scaled_down(open_world: OpenWorld) -> None:
    """A photo of 12 megapixels reaches the model as one of 1,280 pixels; above the answer stands its name."""
    world = await open_world(answer("All teal."), sees=True)
    result = await world.member.slash(
        world.channel, "ask", prompt="Which colour?", attachment=("photo.jpg", PHOTO)
    )

    assert asked(world) == ("ada: Which colour?", [("image/jpeg", (1280, 960))])
    assert content_of(result) == "> Which colour?\n-# About photo.jpg\nAll teal."


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("milk.md", b"# Milk\n", "# Milk"),
        ("report.pdf", pdf("Sales are up."), "Sales are up."),
    ],
    ids=["text", "PDF"],
)
async def test_the_text_of_a_file_goes_along_below_the_question(
    open_world: OpenWorld, name: str, data: bytes, text: str
) -> None:
    """Any model can be asked about a text file or a PDF."""
    world = await open_world(answer("It is short."))
    await world.member.slash(world.channel, "ask", prompt="Sum it up.", attachment=(name, data))

    assert asked(world) == (f'ada: Sum it up.\n\nFile "{name}":\n```\n{text}\n```', [])


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a_b.zip", b"PK\x03\x04\x00\x00", rf"a\_b.zip cannot be read. {WHAT_WORKS}"),
        (
            "sky.png",
            empty_png(13_000, 13_000),
            "sky.png has 13,000 x 13,000 pixels, where 13 million are the most. Attach another picture.",
        ),
        (
            "film.mp4",
            bytes(20 * 1024 * 1024 + 1),
            "film.mp4 is too large. Attach a file of at most 20 MB.",
        ),
    ],
    ids=["kind", "bomb", "size"],
)
async def test_a_file_that_cannot_be_used_is_refused_at_no_cost(
    open_world: OpenWorld, name: str, data: bytes, sentence: str
) -> None:
    """The member reads why and what to attach in its place; nobody is asked and nothing is booked."""
    world = await open_world(sees=True)
    result = await world.member.slash(world.channel, "ask", prompt="What is it?", attachment=(name, data))
    report = await world.admin.slash(world.channel, "usage")

    assert content_of(result) == f"> What is it?\n{sentence}"
    assert world.chat.calls == []
    assert report.response is not None
    assert "Nothing was used in this time." in str(report.response.embeds[0].to_dict())


async def test_without_a_model_that_sees_a_picture_is_refused(open_world: OpenWorld) -> None:
    """The sentence tells the member what to do; a text file is answered all the same."""
    world = await open_world(answer("Read."))
    picture = await world.member.slash(
        world.channel, "ask", prompt="What is it?", attachment=("photo.jpg", PHOTO)
    )
    text = await world.member.slash(world.channel, "ask", prompt="And it?", attachment=("n.txt", b"note"))

    sentence = "None of the bot's models can look at pictures. Ask without the picture."
    assert content_of(picture) == f"> What is it?\n-# About photo.jpg\n{sentence}"
    assert content_of(text) == "> And it?\n-# About n.txt\nRead."
    assert len(world.chat.calls) == 1


# ---- Ask about this --------------------------------------------------------------------------------


async def test_a_message_is_asked_about_with_all_that_is_in_it(open_world: OpenWorld) -> None:
    """Author, text with names for mentions, pictures and files go along; the answer is for everyone."""
    world = await open_world(answer("It means lunch."), sees=True)
    message = await world.admin.send(
        world.channel,
        f"<@{world.member.id}> NOM ```NOM```",
        attachments=[("photo.jpg", PHOTO), ("list.txt", b"bread"), ("film.mp4", b"\0\0\0\x20ftyp")],
    )
    result = await ask_about(world, message, "What does she mean?")

    text, pictures = asked(world)
    assert text == (
        "ada: What does she mean?\n\n"
        'The question is about this message of "grace":\n````\n@ada NOM ```NOM```\n````\n\n'
        'File "list.txt":\n```\nbread\n```\n\n'
        'The message also has files that you cannot see: "film.mp4".'
    )
    assert pictures == [("image/jpeg", (1280, 960))]
    link = f"https://discord.com/channels/{world.env.guild.id}/{world.channel.id}/{message.id}"
    assert content_of(result) == (
        f"> What does she mean?\n-# About [this message](<{link}>)\nIt means lunch."
    )
    assert not result.ephemeral


async def test_at_most_four_files_of_a_message_go_along(open_world: OpenWorld) -> None:
    """The model is told the names of the others, so that it does not take the part for the whole."""
    world = await open_world(sees=True)
    files = [(f"{number}.png", encode(Image.new("RGB", (9, 9)), "PNG")) for number in range(6)]
    message = await world.admin.send(world.channel, "Look!", attachments=files)
    await ask_about(world, message, "What are these?")

    text, pictures = asked(world)
    assert len(pictures) == 4
    assert text.endswith('files that you cannot see: "4.png", "5.png".')


async def test_the_text_of_embeds_is_part_of_the_message(open_world: OpenWorld) -> None:
    """News that bots post as embeds can be asked about."""
    world = await open_world()
    embed = discord.Embed(title="Version 2", description="Now with tea.")
    embed.set_author(name="Releases")
    embed.add_field(name="Date", value="today")
    embed.set_footer(text="The end")
    message = await world.env.guild.create_webhook(world.channel, "news").send(embed=embed)
    await ask_about(world, message, "What is new?")

    assert (
        'message of "news":\n```\nReleases\nVersion 2\nNow with tea.\nDate: today\nThe end\n```'
        in (asked(world)[0])
    )


async def test_what_a_message_forwards_is_part_of_it(open_world: OpenWorld) -> None:
    """A forwarded message has no text of its own; what it brings along is asked about."""
    world = await open_world(sees=True)
    original = await world.admin.send(world.channel, "The plan", attachments=[("photo.jpg", PHOTO)])
    forwarded = await world.member.forward(original, world.channel)
    await ask_about(world, forwarded, "What is planned?")

    text, pictures = asked(world)
    assert 'message of "ada":\n```\nThe plan\n```' in text
    assert len(pictures) == 1


async def test_what_only_one_member_sees_is_answered_to_that_member(open_world: OpenWorld) -> None:
    """A question about an ephemeral message stays ephemeral, and out of the channel's history."""
    world = await open_world(answer("Little."), answer("Nothing."))
    report = await world.admin.slash(world.channel, "usage")
    assert report.response is not None
    result = await ask_about(world, report.response, "Is that much?", actor=world.admin)
    await world.admin.slash(world.channel, "ask", prompt="What did I ask?")

    assert result.ephemeral
    assert world.channel.history(viewer=world.member)[-1].content.startswith("> What did I ask?")
    assert [message.content for message in world.chat.calls[-1][0].messages[1:]] == ["grace: What did I ask?"]


async def test_a_message_with_nothing_in_it_opens_no_form(open_world: OpenWorld) -> None:
    """A message that has neither text nor file cannot be asked about, and the member reads so."""
    world = await open_world()
    message = await world.admin.send(world.channel, "gone soon")
    world.env.backend.get_message(world.channel.id, message.id).content = ""
    shown = await world.member.context_menu(world.channel, MENU, message)

    assert shown.modal is None
    assert shown.ephemeral
    assert content_of(shown) == NOTHING_THERE


async def test_the_form_takes_a_question_of_up_to_4000_characters(open_world: OpenWorld) -> None:
    """One paragraph, required."""
    world = await open_world()
    message = await world.admin.send(world.channel, "hello")
    shown = await world.member.context_menu(world.channel, MENU, message)

    assert shown.modal is not None
    [label] = shown.modal["components"]
    field = label["component"]
    assert (field["style"], field["max_length"], field.get("required", True)) == (2, 4000, True)
    result = await world.member.submit_modal(shown, {"prompt": "x" * 4000})
    assert content_of(result).endswith("an answer")


async def test_the_menu_goes_with_its_extension(open_world: OpenWorld) -> None:
    """Unloading leaves nothing behind, so that the extension can be loaded again."""
    world = await open_world()
    kind = discord.AppCommandType.message
    assert world.bot.tree.get_command(MENU, type=kind) is not None

    await world.bot.unload_extension("cogs.ask_about")
    assert world.bot.tree.get_command(MENU, type=kind) is None
    await world.bot.load_extension("cogs.ask_about")
    assert world.bot.tree.get_command(MENU, type=kind) is not None
