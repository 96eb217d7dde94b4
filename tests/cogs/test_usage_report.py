"""`/usage` and `/host usage`: reports with a chart, menus that switch them in place, and files."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import discord
import pytest
import simcord
from PIL import Image

from cogs.errors import NotTheHost
from providers.base import RateLimited
from tests.cogs.world import OpenWorld, World, allow
from tests.fakes import answer


def embed_of(result: simcord.InteractionResult) -> discord.Embed:
    assert result.response is not None
    assert result.response.ephemeral
    assert len(result.response.embeds) == 1
    return result.response.embeds[0]


def fields_of(result: simcord.InteractionResult) -> dict[str, str]:
    return {field.name or "": field.value or "" for field in embed_of(result).fields}


def menus(result: simcord.InteractionResult) -> dict[str, str]:
    """The custom ids below a report: the menus' by what they switch, and the button's."""
    assert result.response is not None
    items: list[Any] = [item for row in result.response.components for item in row["components"]]
    return {item["custom_id"].split(":")[1]: item["custom_id"] for item in items}


async def used_world(open_world: OpenWorld) -> World:
    """The member has asked and drawn, the admin has asked."""
    script = [answer("x", prompt_tokens=1200, completion_tokens=300), answer("y", prompt_tokens=10)]
    world = await open_world(*script)
    await world.member.slash(world.channel, "ask", prompt="hi")
    await world.member.slash(world.channel, "imagine", prompt="a fox")
    await world.admin.slash(world.channel, "ask", prompt="hi")
    return world


async def test_a_report_shows_totals_lines_and_a_chart(open_world: OpenWorld) -> None:
    """Members in the order of their tokens, the sums above, and a picture made for a dark background."""
    world = await used_world(open_world)
    result = await world.admin.slash(world.channel, "usage", period="today")
    embed, fields = embed_of(result), fields_of(result)

    first, second, third = (embed.description or "").split("\n")
    assert first.endswith("by member")
    assert second == f"1. <@{world.member.id}>: 1,200 + 300 tokens, 1 picture, 2 requests"
    assert third == f"2. <@{world.admin.id}>: 10 + 5 tokens, 1 request"
    assert fields["Tokens"] == "**1,515**\n1,210 prompt\n305 completion"
    assert fields["Requests"] == "**3**\n1 picture"
    assert fields["Cost"].startswith("**$0.00**")
    assert "Days of UTC" in (embed.footer.text or "")
    assert result.response is not None
    (file,) = result.response.attachments
    assert embed.image.url is not None
    assert file.filename == "usage.png"


async def test_a_server_that_used_nothing_reads_so(open_world: OpenWorld) -> None:
    """There is no chart of nothing, and the menus are there all the same."""
    world = await open_world()
    result = await world.admin.slash(world.channel, "usage")

    assert (embed_of(result).description or "").endswith("Nothing was used in this time.")
    assert result.response is not None
    assert result.response.attachments == []
    assert set(menus(result)) == {"period", "by", "file", "weekly"}


async def test_the_menus_switch_the_report_in_place(open_world: OpenWorld) -> None:
    """A choice changes the one message, and each menu keeps what the other one chose."""
    world = await used_world(open_world)
    result = await world.admin.slash(world.channel, "usage", by="model")
    assert result.response is not None
    assert "scripted-model: 1,210 + 305 tokens, 2 requests" in (embed_of(result).description or "")

    by_channel = await world.admin.select(result.response, ["channel"], custom_id=menus(result)["by"])
    assert f"1. <#{world.channel.id}>: 1,210 + 305 tokens" in (embed_of(by_channel).description or "")
    yesterday = await world.admin.select(
        result.response, ["yesterday"], custom_id=menus(by_channel)["period"]
    )
    description = embed_of(yesterday).description or ""
    assert description.endswith("by channel\nNothing was used in this time.")
    assert yesterday.response is not None
    assert yesterday.response.id == result.response.id


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"from": "soon"}, "Please write dates as 2026-11-30: year, month, day."),
        ({"to": "2026-01-31"}, "Please say from which day on: `from` is missing."),
        ({"from": "2026-02-01", "to": "2026-01-31"}, "The first day has to come before the last one."),
        ({"from": "2024-01-01", "to": "2025-12-31"}, "A report covers 366 days at most."),
    ],
)
async def test_days_that_cannot_be_are_explained(
    open_world: OpenWorld, given: dict[str, str], sentence: str
) -> None:
    """One sentence says what to write."""
    world = await open_world()
    result = await world.admin.slash(world.channel, "usage", **given)

    assert result.response is not None
    assert result.response.content == sentence


async def test_days_of_ones_own_stay_in_the_menus(open_world: OpenWorld) -> None:
    """From a date to another: switching the grouping keeps the days."""
    world = await used_world(open_world)
    result = await world.admin.slash(world.channel, "usage", **{"from": "2026-01-05", "to": "2026-01-06"})
    assert result.response is not None
    by_day = await world.admin.select(result.response, ["day"], custom_id=menus(result)["by"])

    assert (embed_of(by_day).description or "").startswith("**5 January 2026 to 6 January 2026**, by day")


async def test_the_file_has_every_line_with_ids_as_texts(open_world: OpenWorld) -> None:
    """CSV and JSON of the same lines, for the reader alone."""
    world = await used_world(open_world)
    result = await world.admin.slash(world.channel, "usage")
    assert result.response is not None
    given = await world.admin.click(result.response, custom_id=menus(result)["file"])

    assert given.ephemeral
    assert given.response is not None
    table, data = [await file.read() for file in given.response.attachments]
    rows = list(csv.reader(io.StringIO(table.decode("utf-8-sig"))))
    assert [row[0] for row in rows] == ["member", f"'{world.member.id}", f"'{world.admin.id}"]
    assert [line["member"] for line in json.loads(data)["lines"]] == [
        str(world.member.id),
        str(world.admin.id),
    ]


async def test_a_report_is_switched_by_people_who_manage_the_server_alone(open_world: OpenWorld) -> None:
    """Whoever lost the permission meanwhile reads so, in place of other figures."""
    world = await used_world(open_world)
    result = await world.admin.slash(world.channel, "usage")
    assert result.response is not None
    guild = world.env.backend.guilds[world.env.guild.id]
    guild.roles[world.env.guild.roles["managers"].id].permissions = 0
    refused = await world.admin.click(result.response, custom_id=menus(result)["file"])

    assert refused.response is not None
    assert refused.response.content == "You need the permission to manage server for this."


async def test_the_chart_is_a_picture_that_a_phone_can_show(open_world: OpenWorld) -> None:
    """A PNG, wider than high enough to read, dark at its edges."""
    world = await used_world(open_world)
    result = await world.admin.slash(world.channel, "usage", by="day")
    assert result.response is not None
    (file,) = result.response.attachments
    with Image.open(io.BytesIO(await file.read())) as picture:
        assert picture.format == "PNG"
        assert picture.width == 900
        assert picture.convert("RGB").getpixel((0, 0)) == (0x1E, 0x1F, 0x22)


async def test_refused_calls_and_estimates_stand_below(open_world: OpenWorld) -> None:
    """What vendors refused is counted apart, at no cost."""
    world = await open_world([RateLimited(retry_after=110)])
    await world.member.slash(world.channel, "ask", prompt="hi")
    embed = embed_of(await world.admin.slash(world.channel, "usage"))

    assert "1 more failed at no cost" in (embed.footer.text or "")


async def test_the_hosts_report_is_for_the_host_alone(open_world: OpenWorld) -> None:
    """Over all servers, by server and by key; nobody else may read it, whatever they may in their server."""
    world = await used_world(open_world)
    allow(world, "host")
    world.bot.owner_id = world.member.id
    result = await world.member.slash(world.channel, "host usage")
    assert f"`{world.env.guild.id}`: 1,210 + 305" in (embed_of(result).description or "")
    assert result.response is not None
    by_key = await world.member.select(result.response, ["key"], custom_id=menus(result)["by"])
    assert "1,210 + 305 tokens" in (embed_of(by_key).description or "")

    world.bot.owner_id = 1
    world.expected_errors = [NotTheHost]
    refused = await world.member.slash(world.channel, "host usage")
    assert refused.response is not None
    assert refused.response.content == "Only the bot's host can see this."


async def test_the_hosts_report_takes_days_of_ones_own(open_world: OpenWorld) -> None:
    """As a server's does; and the days stay when the grouping is switched."""
    world = await used_world(open_world)
    allow(world, "host")
    world.bot.owner_id = world.member.id
    result = await world.member.slash(
        world.channel, "host usage", **{"from": "2026-01-05", "to": "2026-01-06"}
    )
    wrong = await world.member.slash(world.channel, "host usage", **{"from": "soon", "to": "2026-01-06"})
    assert result.response is not None
    by_key = await world.member.select(result.response, ["key"], custom_id=menus(result)["by"])

    assert (embed_of(by_key).description or "").startswith("**5 January 2026 to 6 January 2026**, by key")
    assert wrong.response is not None
    assert wrong.response.content == "Please write dates as 2026-11-30: year, month, day."


async def test_a_members_own_report_says_whose_days_it_has(open_world: OpenWorld) -> None:
    """Those of the server's time zone, as its report has."""
    world = await used_world(open_world)
    await world.admin.slash(world.channel, "budget timezone", name="Asia/Kolkata")
    own = embed_of(await world.member.slash(world.channel, "mine usage"))

    assert (own.footer.text or "").startswith("Days of Asia/Kolkata.")
    assert "1,200 + 300 tokens" in (own.fields[3].value or "")
