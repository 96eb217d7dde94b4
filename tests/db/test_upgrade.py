"""Upgrades: the database of every earlier schema with data in it, and starts that are killed meanwhile."""

from __future__ import annotations

import asyncio
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from assistant.values import Answer
from db.backup import KEPT_COPIES
from db.budgets import read_budgets
from db.engine import DatabaseUnusable, open_database
from db.key_states import read_states
from db.ledger import Reconciled, reconcile
from db.migrate import known_revisions, newest_revision
from db.pictures import read_pictures
from db.tables import Base
from db.usage import View, read_totals
from tests.assistant.scene import Scene
from tests.db.entries import discrepancies
from tests.db.files import address, damage, dump
from tests.fakes import ScriptedChat

ROOT = Path(__file__).parent.parent.parent
RELEASES = sorted((Path(__file__).parent / "releases").glob("*.sql"))
KILLS = 6
# Rows that make a migration last.
MANY = 60_000

START = """
import asyncio, sys
from db.engine import open_database

async def start():
    print("starting", flush=True)
    async with open_database(sys.argv[1]):
        print("started", flush=True)

asyncio.run(start())
"""


def lay_down(release: Path, folder: Path) -> Path:
    """The database of a release, as a file."""
    file = folder / "colloquy.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(release.read_text(encoding="utf-8"))
    return file


def copies(file: Path) -> list[Path]:
    """What was kept of it before its schema was changed, the oldest first."""
    return sorted(file.parent.glob(f"{file.name}.schema-*"))


def revision(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        [found] = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found)


def test_every_schema_that_was_in_use_is_there() -> None:
    """From the first one on, none left out."""
    assert [release.stem for release in RELEASES] == sorted(known_revisions())[:-1]


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: str(release.stem))
async def test_database_of_every_release_is_brought_up_to_date(release: Path, tmp_path: Path) -> None:
    """All that was booked, said and set is read by today's code, the books agree, and the bot goes on."""
    file = lay_down(release, tmp_path)
    before = dump(file)
    async with open_database(address(file)) as database:
        assert await database.run(reconcile) == Reconciled(1, 1)
        assert await discrepancies(database) == []
        scene = Scene(database, [ScriptedChat()])
        assert await scene.outcomes() == {
            **dict.fromkeys((1, 2, 4, 5, 6), "answered"),
            3: "failed",
            9: "lost",
        }
        async with database.transaction() as connection:
            totals = await read_totals(connection, View(10), 0, 2_000_000_000)
            elsewhere = await read_totals(connection, View(11), 0, 2_000_000_000)
            assert (totals.requests, totals.failures, totals.pictures) == (5, 1, 1)
            # What was cut off counts as the most that it may have used.
            assert (totals.prompt_tokens, totals.completion_tokens) == (3 * 10 + 60, 3 * 5 + 40)
            assert (elsewhere.requests, elsewhere.prompt_tokens) == (1, 10)
            states = [(state.holder, state.status) for state in await read_states(connection)]
            zone, budgets = await read_budgets(connection, 10)
            pictures = await read_pictures(connection, 6)
            assert await connection.run_sync(differences) == []
        assert await scene.turns() == [
            ("The first question?", "The first answer."),
            ("The second question,\nin two lines?", "The second answer, with ’ and 🙂."),
        ]
        assert await scene.turns(21) == [("A question elsewhere?", "An answer elsewhere.")]
        if release.stem >= "0002":
            assert states == [("some-account", "spent")]
        if release.stem >= "0003":
            assert await scene.turns(20, 30) == [("A private question?", "A private answer.")]
        if release.stem >= "0004":
            assert (zone, [budget.amount for budget in budgets]) == ("Asia/Kolkata", [50_000])
        if release.stem >= "0005":
            assert pictures is not None
            assert (pictures.prompt, pictures.seed) == ("a picture", 7)
        assert isinstance((await scene.ask(100))[-1], Answer)
        assert len(scene.heard()) == 5

    if release.stem == newest_revision():
        assert copies(file) == []
    else:
        [copy] = copies(file)
        assert copy.name.startswith(f"colloquy.db.schema-{release.stem}-")
        assert dump(copy) == before


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, Base.metadata))


def make_many(file: Path) -> None:
    """Add so many booked requests to a database of the third release."""
    places = [(number, number % 7, number % 101, number % 1009) for number in range(1000, 1000 + MANY)]
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executemany(
            "INSERT INTO requests (interaction_id, guild_id, channel_id, user_id, command, created_at, open, "
            "reserved_tokens, reserved_pictures, outcome) VALUES (?, ?, ?, ?, 'ask', 1, 0, 0, 0, 'answered')",
            places,
        )
        connection.executemany(
            "INSERT INTO attempts (interaction_id, guild_id, channel_id, user_id, sent_at, attempt, command, "
            "provider, model, key_variable, ended_at, state, usage_source, error_class, prompt_tokens, "
            "completion_tokens, cached_tokens, reasoning_tokens, pictures) VALUES (?, ?, ?, ?, ?, 1, 'ask', "
            "'some-vendor', 'some-model', 'SOME_KEY', 9999999999, 'settled', 'provider', '', 10, 5, 0, 0, 0)",
            [(*place, 1_700_000_000 + 60 * place[0]) for place in places],
        )


async def start(file: Path, *, kill_after: float | None = None) -> float:
    """Open the database in a process of its own, killed so many seconds after it begins; how long it took."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", START, address(file)), cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"starting\n"
    began = time.monotonic()
    if kill_after is not None:
        await asyncio.sleep(kill_after)
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
    await process.communicate()
    assert process.returncode in ((0,) if kill_after is None else (0, -signal.SIGKILL))
    return time.monotonic() - began


async def test_kills_in_the_middle_of_a_migration_lose_nothing(tmp_path: Path) -> None:
    """kill -9 at random moments of an upgrade: each leaves the old schema or the new one, and all rows."""
    chance = random.Random(20261123)
    file = lay_down(RELEASES[2], tmp_path)
    make_many(file)
    (tmp_path / "timing").mkdir()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("VACUUM INTO ?", (str(tmp_path / "timing" / "colloquy.db"),))
    takes = await start(tmp_path / "timing" / "colloquy.db")

    found = []
    for part in range(KILLS):  # one in each part of the time that it takes
        await start(file, kill_after=takes * (part + chance.random()) / KILLS * 0.9)
        found.append(revision(file))
        with closing(sqlite3.connect(file)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            [rows] = connection.execute("SELECT count(*) FROM attempts").fetchone()
        assert rows == MANY + 7
        assert ("usage_hourly" in tables, "usage_slots" in tables) == (
            found[-1] == "0003",
            found[-1] != "0003",
        )

    assert found[0] == "0003"
    assert set(found) <= {"0003", newest_revision()}
    await start(file)
    async with open_database(address(file)) as database:
        await database.run(reconcile)
        assert await discrepancies(database) == []
    assert 1 <= len(copies(file)) <= KEPT_COPIES
    assert list(tmp_path.glob(".*.partial*")) == []
    for copy in copies(file):
        assert revision(copy) == "0003"


async def test_only_the_last_copies_are_kept(tmp_path: Path) -> None:
    """Of the copies that upgrades have left the oldest go; files of other names stay."""
    file = lay_down(RELEASES[3], tmp_path)
    for day in range(1, 6):
        Path(f"{file}.schema-000{day}-202601{6 - day:02}T000000Z").touch()
    Path(f"{file}.mine").touch()

    async with open_database(address(file)):
        pass

    # By their times, whatever the schema.
    assert [copy.name[len("colloquy.db.schema-") :][:13] for copy in copies(file)[:2]] == [
        "0001-20260105",
        "0002-20260104",
    ]
    assert len(copies(file)) == KEPT_COPIES
    assert Path(f"{file}.mine").exists()


async def test_without_a_copy_there_is_no_upgrade(tmp_path: Path) -> None:
    """Where there is no room for the copy the schema stays as it is, and the host reads why."""
    file = lay_down(RELEASES[3], tmp_path)
    before = dump(file)
    room = file.stat().st_size // 2
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", START, address(file)),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )
    _, errors = await process.communicate()

    assert process.returncode == 1
    assert "has to be copied before its schema is changed, and that failed: the disk" in errors.decode()
    assert dump(file) == before
    assert copies(file) == []
    assert list(tmp_path.glob(".*")) == []
    async with open_database(address(file)) as database:
        await database.run(reconcile)
        assert await discrepancies(database) == []


async def test_damaged_database_is_not_upgraded(tmp_path: Path) -> None:
    """It stays as it is to the byte: who mends it shall find what was there."""
    file = lay_down(RELEASES[3], tmp_path)
    damage(file)
    before = file.read_bytes()

    with pytest.raises(DatabaseUnusable, match="damaged"):
        async with open_database(address(file)):
            pass

    assert file.read_bytes() == before
    assert copies(file) == []
