"""The fake Discord, met by the real discord.py: the way of a command, and the rules."""

import asyncio
import io

import aiohttp
import discord
import pytest
from discord import app_commands

from tests.fake_discord import FakeDiscord, point_discord_py_at
from tests.parrot import Interaction, Parrot, connected, defer, finished


async def test_a_command_goes_all_the_way_from_login_to_a_follow_up_with_a_file() -> None:
    """discord.py logs in, syncs, receives a command, defers, edits three times and uploads a file."""

    async def answer(interaction: Interaction, prompt: str) -> None:
        assert isinstance(interaction.user, discord.Member)
        assert interaction.permissions.send_messages
        await interaction.response.defer(thinking=True)
        for text in ("1", "2", f"{interaction.user.display_name}: {prompt}"):
            await interaction.edit_original_response(content=text)
        file = discord.File(io.BytesIO(b"pixels"), "picture.png")
        sent = await interaction.followup.send("here", file=file, wait=True)
        assert await sent.attachments[0].read() == b"pixels"

    async with FakeDiscord() as fake, connected(fake, answer):
        interaction = await fake.slash("ask", {"prompt": "hi"})
        await interaction.until(lambda it: it.followups)
        await fake.until(lambda: fake.requests[-1].path.startswith("/attachments/"))

    assert interaction.deferred
    assert not interaction.ephemeral
    assert interaction.original is not None
    assert [version.content for version in interaction.original.versions] == ["", "1", "2", "Ada: hi"]
    assert [bool(v.flags & 128) for v in interaction.original.versions] == [True, False, False, False]
    (followup,) = interaction.followups
    assert (
        followup.content,
        followup.attachments[0].filename,
        followup.attachments[0].data,
    ) == ("here", "picture.png", b"pixels")
    assert [command["name"] for command in fake.commands[None]] == ["ask"]
    assert [identify["intents"] for identify in fake.gateway.identifies] == [0]
    assert fake.gateway.heartbeats >= 1


async def test_the_same_interaction_can_be_acknowledged_once() -> None:
    """An interaction that is delivered twice gives the second acknowledgement 400, code 40060."""
    async with FakeDiscord() as fake, connected(fake, defer) as bot:
        interaction = await fake.slash("ask", {"prompt": "hi"})
        await interaction.until(lambda it: it.acknowledged_at)
        await fake.send_again(interaction)
        error = await bot.error()

    assert isinstance(error, discord.HTTPException)
    assert (error.status, error.code) == (400, 40060)


async def test_a_late_acknowledgement_finds_no_interaction() -> None:
    """After the limit the acknowledgement gets 404, code 10062, and the token is good for nothing."""

    async def answer(interaction: Interaction, prompt: str) -> None:
        await asyncio.sleep(0.1)
        with pytest.raises(discord.NotFound) as late:
            await interaction.edit_original_response(content="never mind")
        assert late.value.code == 10015
        await interaction.response.defer()

    async with FakeDiscord() as fake, connected(fake, answer) as bot:
        fake.acknowledge_within = 0.05
        interaction = await fake.slash("ask", {"prompt": "hi"})
        error = await bot.error()

    assert isinstance(error, discord.NotFound)
    assert error.code == 10062
    assert interaction.acknowledged_at is None


async def test_an_expired_token_is_refused() -> None:
    """Once the token's life is over, an edit gets 401, code 50027."""

    async def answer(interaction: Interaction, prompt: str) -> None:
        await interaction.response.defer()
        await asyncio.sleep(0.1)
        await interaction.edit_original_response(content="too late")

    async with FakeDiscord() as fake, connected(fake, answer) as bot:
        fake.token_life = 0.1
        await fake.slash("ask", {"prompt": "hi"})
        error = await bot.error()

    assert isinstance(error, discord.HTTPException)
    assert (error.status, error.code) == (401, 50027)


@pytest.mark.parametrize("content", ["x" * 2001, "\N{GRINNING FACE}" * 1001])
async def test_content_over_2000_is_refused(content: str) -> None:
    """More than 2000 UTF-16 units get 400, code 50035, with the field's name; 2000 are fine."""

    async def answer(interaction: Interaction, prompt: str) -> None:
        await interaction.response.defer()
        await interaction.edit_original_response(content="x" * 2000)
        await interaction.edit_original_response(content=content)

    async with FakeDiscord() as fake, connected(fake, answer) as bot:
        interaction = await fake.slash("ask", {"prompt": "hi"})
        error = await bot.error()

    assert isinstance(error, discord.HTTPException)
    assert (error.status, error.code) == (400, 50035)
    assert "In content: Must be 2000 or fewer in length." in error.text
    assert interaction.original is not None
    assert interaction.original.content == "x" * 2000


async def test_an_empty_message_is_refused() -> None:
    """Neither content, embed, component nor file: 400, code 50006."""

    async def answer(interaction: Interaction, prompt: str) -> None:
        await interaction.response.send_message(" ")

    async with FakeDiscord() as fake, connected(fake, answer) as bot:
        await fake.slash("ask", {"prompt": "hi"})
        error = await bot.error()

    assert isinstance(error, discord.HTTPException)
    assert error.code == 50006


async def test_a_deleted_message_cannot_be_edited() -> None:
    """An edit after the deletion gets 404, code 10008."""

    async def answer(interaction: Interaction, prompt: str) -> None:
        await interaction.response.send_message("hello")
        await interaction.delete_original_response()
        await interaction.edit_original_response(content="still here?")

    async with FakeDiscord() as fake, connected(fake, answer) as bot:
        interaction = await fake.slash("ask", {"prompt": "hi"})
        error = await bot.error()

    assert isinstance(error, discord.NotFound)
    assert error.code == 10008
    assert interaction.original is not None
    assert interaction.original.deleted


@pytest.mark.parametrize("private", [True, False])
async def test_the_defer_decides_who_sees_the_answer(private: bool) -> None:
    """The first follow-up becomes the deferred answer and keeps its visibility, whatever it asks for."""

    async def answer(interaction: Interaction, prompt: str) -> None:
        await interaction.response.defer(ephemeral=private)
        await interaction.followup.send("done", ephemeral=not private)

    async with FakeDiscord() as fake, connected(fake, answer):
        interaction = await fake.slash("ask", {"prompt": "hi"})
        await interaction.until(finished)

    assert interaction.ephemeral is private
    assert interaction.followups == []


async def test_allowed_mentions_are_kept_as_sent() -> None:
    """Each version tells what its request said about mentions; None is nothing."""

    async def answer(interaction: Interaction, prompt: str) -> None:
        await interaction.response.send_message("hi")
        await interaction.edit_original_response(
            content="done", allowed_mentions=discord.AllowedMentions.none()
        )

    async with FakeDiscord() as fake, connected(fake, answer):
        interaction = await fake.slash("ask", {"prompt": "hi"})
        await interaction.until(finished)

    assert interaction.original is not None
    assert [version.allowed_mentions for version in interaction.original.versions] == [None, {"parse": []}]


async def test_a_wrong_token_cannot_log_in() -> None:
    """REST answers 401, and the gateway closes with 4004."""
    async with FakeDiscord() as fake:
        with point_discord_py_at(fake.url):
            async with Parrot(defer) as bot:
                with pytest.raises(discord.LoginFailure):
                    await bot.login("wrong")
            async with Parrot(defer) as bot:
                await bot.login(fake.token)
                fake.token = "reset.by.its.owner"
                with pytest.raises(discord.ConnectionClosed) as closed:
                    await bot.connect()

    assert closed.value.code == 4004


async def test_a_direct_message_has_no_guild() -> None:
    """In a DM the payload carries the user and no guild, and discord.py sees a DM channel."""

    async def answer(interaction: Interaction, prompt: str) -> None:
        assert interaction.guild is None
        assert interaction.context.dm_channel
        assert isinstance(interaction.channel, discord.DMChannel)
        assert isinstance(interaction.user, discord.User)
        await interaction.response.send_message("done")

    async with FakeDiscord() as fake, connected(fake, answer):
        interaction = await fake.slash("ask", {"prompt": "hi"}, guild_id=None)
        await interaction.until(finished)


async def test_options_reach_a_subcommand_with_their_types() -> None:
    """A str, an int, a bool and a float arrive as such in the subcommand, with the caller's permissions."""
    received: list[object] = []

    async with FakeDiscord() as fake, connected(fake, defer) as bot:
        usage = app_commands.Group(name="usage", description="What it cost.")

        @usage.command(description="Of this server.")
        async def server(interaction: Interaction, model: str, days: int, mine: bool, above: float) -> None:
            received.extend([model, days, mine, above, interaction.permissions.manage_guild])
            await interaction.response.send_message("done")

        bot.tree.add_command(usage)
        interaction = await fake.slash(
            "usage",
            {"model": "tiny", "days": 7, "mine": True, "above": 0.5},
            subcommand="server",
            permissions=discord.Permissions(manage_guild=True).value,
        )
        await interaction.until(finished)

    assert received == ["tiny", 7, True, 0.5, True]


async def test_a_button_press_edits_its_own_message() -> None:
    """A press names its message, and the update becomes a version of that message."""

    async def answer(interaction: Interaction, prompt: str) -> None:
        async def pressed(press: Interaction) -> None:
            await press.response.edit_message(content="done", view=None)

        button: discord.ui.Button[discord.ui.View] = discord.ui.Button(label="Again", custom_id="again:1")
        button.callback = pressed  # type: ignore[assignment, method-assign]
        await interaction.response.send_message("hello", view=discord.ui.View().add_item(button))

    async with FakeDiscord() as fake, connected(fake, answer):
        interaction = await fake.slash("ask", {"prompt": "hi"})
        await interaction.until(lambda it: it.acknowledged_at)
        assert interaction.original is not None
        press = await fake.component(interaction.original, "again:1")
        await press.until(finished)
        with pytest.raises(ValueError, match="nobody can press"):
            await fake.component(interaction.original, "again:1")

    assert press.original is interaction.original


async def test_an_unknown_route_fails_the_test() -> None:
    """What the fake does not know gets 404, and leaving the fake raises and names it."""

    async def ask_for_a_guild() -> None:
        async with (
            FakeDiscord() as fake,
            aiohttp.request("GET", f"{fake.url}/api/v10/guilds/1/roles") as response,
        ):
            assert response.status == 404
            assert response.headers["Content-Type"] == "application/json"
            assert await response.json() == {"message": "404: Not Found", "code": 0}

    with pytest.raises(AssertionError, match="GET /guilds/1/roles"):
        await ask_for_a_guild()
