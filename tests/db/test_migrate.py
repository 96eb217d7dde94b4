"""Migrations: what an empty file becomes, and what a start does with a file that is no empty one."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

from db.engine import Database, DatabaseUnusable, open_database
from db.guild_settings import read_time_zone
from db.history import ConversationKey, Turn, read_turns
from db.ledger import Reconciled, reconcile
from db.migrate import migration_config, newest_revision
from db.rollup import SPANS, Totals
from db.tables import Base
from db.usage import Line, View, read_days, read_totals
from db.verify import find_discrepancies
from db.weekly import read_subscriptions
from tests.db.entries import book, request
from tests.db.files import address, change, dump
from tests.db.schemas import migrate_to

ROOT = Path(__file__).parent.parent.parent

FIRST_TABLES = {
    "requests": [
        *("id", "interaction_id", "guild_id", "channel_id", "user_id", "command", "created_at", "open"),
        *("reserved_tokens", "reserved_pictures", "outcome"),
    ],
    "attempts": [
        *("id", "interaction_id", "attempt", "guild_id", "channel_id", "user_id", "command", "provider"),
        *("model", "key_variable", "sent_at", "ended_at", "state", "usage_source", "error_class"),
        *("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "pictures"),
    ],
    "history": ["id", "turn_id", "guild_id", "channel_id", "user_id", "role", "content", "created_at"],
    "usage_hourly": [
        *("guild_id", "hour", "channel_id", "user_id", "command", "provider", "model", "requests"),
        *("failures", "prompt_tokens", "completion_tokens", "estimated_tokens", "pictures"),
    ],
}
FIRST_UNIQUES = {
    "requests": [["interaction_id"]],
    "attempts": [["interaction_id", "attempt"]],
    "history": [["turn_id", "role"]],
    "usage_hourly": [],
}

# Dies without a word right after so many statements of the migration have been carried out.
DYING_START = """
import asyncio, os, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from db.engine import open_database

left = int(sys.argv[2])

@event.listens_for(Engine, "after_cursor_execute")
def die(connection, cursor, statement, *_):
    global left
    left -= statement.lstrip().startswith(("CREATE", "INSERT"))
    if left == 0:
        os._exit(9)

async def start():
    async with open_database(sys.argv[1]):
        pass

asyncio.run(start())
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "colloquy.db"


async def test_migrations_and_tables_agree(database: Database) -> None:
    """What the migrations have built is what the tables' classes say."""

    def compare(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Base.metadata))

    async with database.transaction() as connection:
        differences = await connection.run_sync(compare)

    assert differences == []


def test_newest_revision_is_told_by_the_name_of_its_file() -> None:
    """The file name that sorts last is Alembic's only head: without Alembic the bot knows what is current."""
    assert ScriptDirectory.from_config(migration_config()).get_heads() == [newest_revision()]


def test_first_release_is_pinned(file: Path) -> None:
    """Revision 0001 is out in the world: its tables, columns and unique constraints never change again."""
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        migrate_to(connection, "0001")
    inspector = inspect(engine)
    columns = {
        table: [column["name"] for column in inspector.get_columns(table)]
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }
    uniques = {
        table: [list(constraint["column_names"]) for constraint in inspector.get_unique_constraints(table)]
        for table in columns
    }
    engine.dispose()

    assert columns == FIRST_TABLES
    assert uniques == FIRST_UNIQUES


async def test_conversations_of_the_first_releases_are_kept(file: Path) -> None:
    """What was said before there were private conversations is the channel's own, in the order of asking."""
    engine = create_async_engine(address(file))
    async with engine.begin() as connection:
        await connection.run_sync(migrate_to, "0002")
        for number in (1, 2):
            await connection.execute(
                text(
                    "INSERT INTO requests (interaction_id, guild_id, channel_id, user_id, command, "
                    "created_at, open, reserved_tokens, reserved_pictures, outcome) "
                    "VALUES (:number, 10, 20, 30, 'ask', 0, false, 0, 0, 'answered')"
                ),
                {"number": number},
            )
            await connection.execute(
                text(
                    "INSERT INTO attempts (interaction_id, attempt, guild_id, channel_id, user_id, command, "
                    "provider, model, key_variable, sent_at, ended_at, state, usage_source, error_class, "
                    "prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, pictures) "
                    "VALUES (:number, 1, 10, 20, 30, 'ask', 'some-vendor', 'some-model', '', 1, 1, "
                    "'settled', 'provider', '', 10, 5, 0, 0, 0)"
                ),
                {"number": number},
            )
        for number in (2, 1):  # the answer to the second question was there first
            for role in ("user", "assistant"):
                await connection.execute(
                    text(
                        "INSERT INTO history "
                        "(turn_id, guild_id, channel_id, user_id, role, content, created_at) "
                        "VALUES (:number, 10, 20, 30, :role, :content, 0)"
                    ),
                    {"number": number, "role": role, "content": f"{role} {number}"},
                )
    await engine.dispose()

    async with open_database(address(file)) as database, database.transaction() as connection:
        key = ConversationKey(20)
        assert await read_turns(connection, key) == [
            Turn(number, key, 30, f"user {number}", f"assistant {number}", "") for number in (1, 2)
        ]
        assert await find_discrepancies(connection) == []


async def test_settings_of_servers_are_kept(file: Path) -> None:
    """Who had set a time zone before there were weekly reports still has it, and no report is posted."""
    engine = create_async_engine(address(file))
    async with engine.begin() as connection:
        await connection.run_sync(migrate_to, "0005")
        await connection.execute(text("INSERT INTO guild_settings VALUES (10, 'Asia/Kolkata')"))
    await engine.dispose()

    async with open_database(address(file)) as database:
        assert await database.run(lambda connection: read_time_zone(connection, 10)) == "Asia/Kolkata"
        assert await database.run(read_subscriptions) == []


async def test_second_start_changes_nothing(file: Path) -> None:
    """A start on a file that is up to date leaves every byte of its content as it was."""
    async with open_database(address(file)) as database:
        await database.run(lambda connection: book(connection, request()))
    before = dump(file)

    async with open_database(address(file)):
        pass

    assert dump(file) == before
    assert any("some-model" in line for line in before)


async def test_database_of_a_newer_release_is_refused(file: Path) -> None:
    """A schema that this release does not know is named in a sentence, and left alone."""
    async with open_database(address(file)):
        pass
    change(file, "UPDATE alembic_version SET version_num = '9999'")
    before = dump(file)

    with pytest.raises(DatabaseUnusable, match=r"newer Colloquy \(schema 9999\)") as refusal:
        async with open_database(address(file)):
            pass

    assert "Update" in str(refusal.value)
    assert dump(file) == before


async def test_strange_tables_are_no_reason_for_half_a_migration(file: Path) -> None:
    """A migration that fails halfway is told in a sentence, and takes back what it had done."""
    change(file, "CREATE TABLE usage_hourly (something_else TEXT)")  # the second table to be made
    before = dump(file)

    with pytest.raises(DatabaseUnusable, match="already exists"):
        async with open_database(address(file)):
            pass

    assert dump(file) == before


@pytest.mark.parametrize("statements", [1, 5, 11], ids="dies after {} statements".format)
def test_crash_in_a_migration_leaves_nothing_half_done(file: Path, statements: int) -> None:
    """A process that dies in a migration leaves a file without tables; the next start makes them all."""
    died = subprocess.run(
        [sys.executable, "-c", DYING_START, address(file), str(statements)], cwd=ROOT, check=False
    )

    assert died.returncode == 9
    assert [line for line in dump(file) if "CREATE" in line] == []

    async def start() -> None:
        async with open_database(address(file)) as database:
            await database.run(lambda connection: book(connection, request()))

    asyncio.run(start())
    assert any("some-model" in line for line in dump(file))


OLD_REQUEST = "INSERT INTO requests VALUES ({0}, {0}, 10, 20, 30, 'ask', 1, {1}, {2}, 0, '{3}')"
OLD_ATTEMPT = (
    "INSERT INTO attempts VALUES ({0}, {0}, 1, 10, 20, 30, 'ask', 'some-vendor', 'some-model', 'SOME_KEY', "
    "{1}, {1}, '{2}', '{3}', '{4}', {5}, 5, 0, 0, 0)"
)


def test_books_of_the_first_release_are_kept(file: Path) -> None:
    """What was booked before there were prices is rolled up anew to the quarter of an hour, as unpriced."""
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        config = migration_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        for statement in (
            OLD_REQUEST.format(1, 0, 0, "answered"),
            OLD_REQUEST.format(2, 0, 0, "failed"),
            OLD_REQUEST.format(3, 1, 90, ""),
            OLD_ATTEMPT.format(1, 1_800_001_799, "settled", "provider", "", 10),
            OLD_ATTEMPT.format(2, 1_800_001_800, "unbilled", "", "rate", 0).replace(
                ", 5, 0, 0, 0)", ", 0, 0, 0, 0)"
            ),
            OLD_ATTEMPT.format(3, 1_800_001_801, "sent", "", "", 60),
            "INSERT INTO usage_hourly VALUES (10, 1800000000, 20, 30, 'ask', 'some-vendor', 'some-model', "
            "1, 1, 10, 5, 0, 0)",
        ):
            connection.exec_driver_sql(statement)
    engine.dispose()

    async def start() -> tuple[Totals, list[Line], Reconciled, list[str]]:
        async with open_database(address(file)) as database, database.transaction() as connection:
            totals = await read_totals(connection, View(10), 1_800_000_000, 1_800_086_400)
            days = await read_days(connection, View(10), [1_800_000_900, 1_800_001_800], 1_800_002_700)
            return totals, days, await reconcile(connection), await find_discrepancies(connection)

    totals, days, reconciled, problems = asyncio.run(start())
    assert totals == Totals(1, 1, 10, 5, unpriced=1)
    assert [line.totals for line in days] == [Totals(1, 0, 10, 5, unpriced=1), Totals(failures=1)]
    assert reconciled == Reconciled(1, 1)
    assert problems == []


async def test_sums_of_earlier_releases_are_added_up(file: Path) -> None:
    """Members' days become fours and sixteens, and what was told apart in a quarter of an hour one sum."""
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        migrate_to(connection, "0002")
        for number in range(1, 200):
            moment = 1_800_000_000 + number * 40_000
            request, attempt = (
                OLD_REQUEST.format(number, 0, 0, "answered"),
                OLD_ATTEMPT.format(number, moment, "settled", "provider", "", number),
            )
            member, model = f"20, {30 + number % 3}, ", f"model-{number % 2}"
            connection.exec_driver_sql(request.replace("20, 30, ", member))
            connection.exec_driver_sql(attempt.replace("20, 30, ", member).replace("some-model", model))
        migrate_to(connection, "0005")
        kinds = "SELECT DISTINCT kind FROM usage_sums ORDER BY 1"
        assert "member8" in connection.exec_driver_sql(kinds).scalars().all()
    engine.dispose()

    async with open_database(address(file)) as database, database.transaction() as connection:
        assert await find_discrepancies(connection) == []
        found = await connection.execute(text(kinds))
        assert found.scalars().all() == sorted(SPANS)
