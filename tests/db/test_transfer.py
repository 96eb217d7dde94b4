"""Moving a host from SQLite to PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import create_async_engine

from assistant.values import Answer
from db.engine import DatabaseUnusable, open_database
from db.history import StoredPicture, add_turn
from db.keeping import end_orphans
from db.ledger import admit, begin_attempt, close_request, end_attempt
from db.migrate import read_revisions
from db.reading import open_reader
from db.tables import Base
from db.transfer import TransferError, transfer
from tests.assistant.scene import Scene
from tests.db.entries import SETTLED, attempt, book, discrepancies, request, turn
from tests.db.files import address, change, dump
from tests.db.schemas import migrate_to
from tests.fakes import ScriptedChat

ROOT = Path(__file__).parent.parent.parent
RELEASE = Path(__file__).parent / "releases" / "0005.sql"
MANY = 20_000  # rows that make a move last
KILLS = 5

MOVE = """
import asyncio, sys
from db.transfer import transfer

def advance(done, total):
    print(done, flush=True)

asyncio.run(transfer(sys.argv[1], sys.argv[2], advance))
"""

Tables = dict[str, set[tuple[Any, ...]]]


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """A host's file with something in every table, a picture and strange letters among it."""
    file = tmp_path / "colloquy.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(RELEASE.read_text(encoding="utf-8"))
    async with open_database(address(file)) as database, database.transaction() as connection:
        request_id = await book(connection, request(100))
        pictures = (StoredPicture("image/png", bytes(range(256)) * 8000),)
        await add_turn(connection, turn(request_id, "What is this? ’🙂", "A noise.", pictures=pictures))
        of_role = replace(request(101), role_ids=(7,), response="sealed")
        await admit(connection, of_role)
        await begin_attempt(connection, attempt(of_role))
        await end_attempt(connection, 101, 1, SETTLED, of_role.role_ids)
        await close_request(connection, 101, "failed")
        await connection.execute(text("INSERT INTO budget_notices VALUES ('some budget', 900, 50)"))
    change(file, "UPDATE pictures SET guidance = 7.5")
    return file


def make_many(file: Path) -> None:
    """Add so many requests that are answered."""
    change(
        file,
        f"WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < {999 + MANY}) "  # noqa: S608 (a number of ours)
        "INSERT INTO requests (interaction_id, guild_id, channel_id, user_id, command, created_at, open, "
        "reserved_tokens, reserved_pictures, outcome) "
        "SELECT i, 10, 20, 30, 'ask', 1, 0, 0, 0, 'failed' FROM n",
    )


async def content(where: str) -> Tables:
    """All rows of all tables."""
    async with open_reader(where) as connection:
        return {
            table.name: {tuple(row) for row in await connection.execute(select(table))}
            for table in Base.metadata.sorted_tables
        }


def ignore(done: int, total: int) -> None:
    pass


async def test_everything_arrives_and_the_bot_goes_on(file: Path, new_postgresql_url: str) -> None:
    """Every row of every table is in the new database, its books agree, and new rows get new numbers."""
    before = await content(address(file))
    assert all(before.values()), [name for name, rows in before.items() if not rows]
    seen: list[tuple[int, int]] = []

    rows = await transfer(address(file), new_postgresql_url, lambda done, total: seen.append((done, total)))

    assert await content(new_postgresql_url) == before
    assert rows == {name: len(found) for name, found in before.items()}
    total = sum(rows.values())
    assert (seen[0], seen[-1]) == ((0, total), (total, total))
    async with open_database(new_postgresql_url) as database:
        assert len(await end_orphans(database)) == 1  # a question that the last run left open
        assert await discrepancies(database) == []
        scene = Scene(database, [ScriptedChat()])
        [*_, end] = await scene.ask(1000)
        assert isinstance(end, Answer)
        assert await discrepancies(database) == []


async def test_the_source_is_left_as_it_was(file: Path, new_postgresql_url: str) -> None:
    """Not a byte of the file is written, and its bot can start again."""
    before, wal = file.read_bytes(), Path(f"{file}-wal")
    assert not wal.exists() or wal.stat().st_size == 0

    await transfer(address(file), new_postgresql_url, ignore)

    assert file.read_bytes() == before
    assert not wal.exists() or wal.stat().st_size == 0
    async with open_database(address(file)):
        pass


async def test_a_running_bot_is_not_moved(file: Path, new_postgresql_url: str) -> None:
    """Neither away from a file that a bot uses, nor to a database that one uses; nothing is copied."""
    async with open_database(address(file)):
        with pytest.raises(DatabaseUnusable, match="already running"):
            await transfer(address(file), new_postgresql_url, ignore)
    async with open_database(new_postgresql_url) as database:
        with pytest.raises(TransferError, match="running on the target"):
            await transfer(address(file), new_postgresql_url, ignore)
        assert (
            await database.run(lambda connection: connection.scalar(text("SELECT count(*) FROM requests")))
            == 0
        )

    await transfer(address(file), new_postgresql_url, ignore)


async def test_a_database_that_is_in_use_is_not_written_to(file: Path, postgresql_url: str) -> None:
    """A target that holds anything is refused, and keeps what it has."""
    async with open_database(postgresql_url) as database, database.transaction() as connection:
        await book(connection, request(5))
    before = await content(postgresql_url)

    with pytest.raises(TransferError, match="holds data"):
        await transfer(address(file), postgresql_url, ignore)

    assert await content(postgresql_url) == before
    async with open_database(postgresql_url):
        pass


async def test_a_target_of_another_release_is_left_as_it_is(file: Path, new_postgresql_url: str) -> None:
    """Its schema is not brought up to date either: a bot of that release may be using it."""
    engine = create_async_engine(new_postgresql_url)
    async with engine.begin() as connection:
        await connection.run_sync(migrate_to, "0006")

    with pytest.raises(TransferError, match="of another release"):
        await transfer(address(file), new_postgresql_url, ignore)

    async with engine.connect() as connection:
        assert await connection.run_sync(read_revisions) == ["0006"]
    await engine.dispose()


async def move(file: Path, target: str, *, kill_after: int | None = None) -> tuple[int | None, list[int]]:
    """Move in a process of its own, killed once so many rows are there; its status, and what it told."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", MOVE, address(file), target), cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    told = []
    async for line in process.stdout:
        told.append(int(line))
        if kill_after is not None and told[-1] >= kill_after and process.returncode is None:
            process.send_signal(signal.SIGKILL)
            kill_after = None
    return await process.wait(), told


async def test_kills_in_the_middle_lose_nothing_and_copy_nothing_twice(
    file: Path, new_postgresql_url: str
) -> None:
    """kill -9 at random moments: each further start goes on where the last one was, until all is there."""
    chance = random.Random(20261123)
    make_many(file)
    before = await content(address(file))

    furthest = 0
    for part in range(KILLS):
        wanted = MANY * (part + chance.random()) / KILLS
        status, told = await move(file, new_postgresql_url, kill_after=int(wanted))
        assert status == -signal.SIGKILL
        assert told[0] >= furthest  # nothing has to be copied again
        furthest = max(furthest, *told)
        with pytest.raises(DatabaseUnusable, match="is not complete"):
            async with open_database(new_postgresql_url):
                pass
    status, told = await move(file, new_postgresql_url)

    assert (status, told[0] >= furthest, furthest > MANY / 2) == (0, True, True)
    assert await content(new_postgresql_url) == before
    async with open_database(new_postgresql_url):
        pass


async def test_what_was_written_in_between_is_not_missed(file: Path, new_postgresql_url: str) -> None:
    """When the file has changed since the move was interrupted, the move begins anew."""
    make_many(file)
    status, _ = await move(file, new_postgresql_url, kill_after=MANY // 2)
    assert status == -signal.SIGKILL
    change(
        file,
        "UPDATE requests SET outcome = 'lost' WHERE interaction_id = 1001",
        "DELETE FROM history_pictures",
    )

    status, told = await move(file, new_postgresql_url)

    assert (status, told[0]) == (0, 0)
    assert await content(new_postgresql_url) == await content(address(file))


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("sqlite+aiosqlite:///other.db", "has the form"),
        ("postgresql+asyncpg://me:canary@[::1/x", "has the form"),
        ("postgresql+asyncpg://me:canary@127.0.0.1:1/name", "Connect call failed"),
    ],
)
async def test_a_target_that_cannot_be_used_is_told(file: Path, target: str, reason: str) -> None:
    """In one sentence, without its password; the file is as it was."""
    before = dump(file)

    with pytest.raises(TransferError, match=reason) as refusal:
        await transfer(address(file), target, ignore)

    assert "canary" not in str(refusal.value)
    assert dump(file) == before


async def test_only_sqlite_is_moved(postgresql_url: str, new_postgresql_url: str, tmp_path: Path) -> None:
    """A host that is on PostgreSQL already has nothing to move, and neither has a file that is not there."""
    with pytest.raises(TransferError, match="nothing to move"):
        await transfer(postgresql_url, new_postgresql_url, ignore)
    with pytest.raises(TransferError, match="There is no database"):
        await transfer(address(tmp_path / "none.db"), new_postgresql_url, ignore)


async def test_texts_that_postgresql_refuses_are_moved_without_what_it_refuses(
    file: Path, new_postgresql_url: str
) -> None:
    """A NUL that somebody got into the file by other means is left out; everything around it arrives."""
    change(file, "UPDATE history SET content = 'be' || char(0) || 'fore' WHERE id = 1")

    await transfer(address(file), new_postgresql_url, ignore)

    async with open_reader(new_postgresql_url) as connection:
        found = await connection.scalar(text("SELECT content FROM history WHERE id = 1"))
    assert found == "before"


async def test_the_command_tells_what_is_there(file: Path, new_postgresql_url: str) -> None:
    """`migrate --to` prints the rows of each table, as a table or as JSON; its status says how it went."""
    (file.parent / ".env").write_text(f"DISCORD_TOKEN={'x' * 30}\nDATABASE_URL={address(file)}\n")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, ROOT / "bot.py", "migrate", *arguments],
            cwd=file.parent,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    moved = await asyncio.to_thread(run, "--to", new_postgresql_url)
    again = await asyncio.to_thread(run, "--to", new_postgresql_url, "--json")

    assert (moved.returncode, moved.stderr) == (0, "")
    assert "history_pictures" in moved.stdout
    assert "Set DATABASE_URL to the new address" in moved.stdout
    assert again.returncode == 1
    assert "holds data" in json.loads(again.stdout)["problem"]
