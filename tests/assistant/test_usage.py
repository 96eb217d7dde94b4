"""Reports: what a server's admins and what members are told."""

import pytest
from sqlalchemy import update

from assistant.values import PERIODS, Period
from db.engine import Database
from db.ledger import attempts
from db.rollup import Totals
from db.usage import Grouping, Line, View
from tests.assistant.scene import Scene
from tests.db.entries import roll_up_again
from tests.fakes import ScriptedChat, ScriptedImages, answer

DAY = 86400


@pytest.fixture
async def scene(database: Database) -> Scene:
    """Two members in a server, and one of them in other places too."""
    scripts = [
        answer("Yes.", prompt_tokens=100 * number, completion_tokens=number) for number in (1, 2, 3, 4)
    ]
    scene = Scene(database, [ScriptedChat(*scripts, model="some-model")], [ScriptedImages()])
    await scene.ask(1, user_id=30, guild_id=10)
    await scene.ask(2, user_id=31, guild_id=10)
    await scene.ask(3, user_id=30, guild_id=11)
    await scene.ask(4, user_id=30, guild_id=0)
    await scene.imagine(5, user_id=30, guild_id=10)
    return scene


async def make_older(scene: Scene, number: int, days: int) -> None:
    """Put what one request used some days back."""
    [row] = await scene.attempts(number)
    async with scene.database.transaction() as connection:
        await connection.execute(
            update(attempts).where(attempts.c.id == row.id).values(sent_at=row.sent_at - days * DAY)
        )
        await roll_up_again(connection)


async def test_server_report_lists_members_and_models(scene: Scene) -> None:
    """A server's report has its sums, and who and what used them, the heaviest first."""
    reports = scene.assistant.reports
    days = await reports.days(View(10), "7 days")
    groupings: tuple[Grouping, ...] = ("member", "model")
    by_member, by_model = [await reports.report(View(10), days, by) for by in groupings]

    assert by_member.totals == by_model.totals == Totals(3, 0, 300, 3, 0, 1, 64)
    assert by_member.lines == [
        Line(31, Totals(1, 0, 200, 2, 0, 0)),
        Line(30, Totals(2, 0, 100, 1, 0, 1, 64)),
    ]
    assert by_model.lines == [
        Line("some-model", Totals(2, 0, 300, 3, 0, 0)),
        Line("scripted-image-model", Totals(1, 0, 0, 0, 0, 1, 64)),
    ]


async def test_member_report_is_about_one_member_in_one_place(scene: Scene) -> None:
    """A member's report holds neither other members, nor what the member used in other places."""
    report = await scene.assistant.reports.of_member(10, 30, "today")
    in_private = await scene.assistant.reports.of_member(0, 30, "today")

    assert report.totals["today"] == Totals(2, 0, 100, 1, 0, 1, 64)
    assert [row.key for row in report.by_model] == ["some-model", "scripted-image-model"]
    assert in_private.totals["today"] == Totals(1, 0, 400, 4, 0, 0)


@pytest.mark.parametrize(
    ("days", "in_periods"),
    [
        (0, ["today", "7 days", "30 days"]),
        (1, ["7 days", "30 days"]),
        (6, ["7 days", "30 days"]),
        (7, ["30 days"]),
        (29, ["30 days"]),
        (30, []),
    ],
)
async def test_periods_are_whole_days(scene: Scene, days: int, in_periods: list[Period]) -> None:
    """Today is the first of the 7 and of the 30 days, and what lies further back is in none."""
    await make_older(scene, 2, days)

    for period in PERIODS:
        report = await scene.assistant.reports.of_member(10, 31, period)
        requests = int(period in in_periods)
        assert report.totals[period].requests == requests
        assert len(report.by_model) == requests


async def test_running_requests_are_not_in_reports(scene: Scene) -> None:
    """A report counts what has ended; a reservation is no usage."""
    before = await scene.server_usage()
    await scene.execute("UPDATE requests SET open = true, reserved_tokens = 500 WHERE interaction_id = 1")
    after = await scene.server_usage()
    await scene.execute("UPDATE requests SET open = false, reserved_tokens = 0 WHERE interaction_id = 1")

    assert after == before
