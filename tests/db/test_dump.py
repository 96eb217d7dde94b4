"""Backups of PostgreSQL: made by its own programs of a real server, read back, and restored."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from db.backup import BackupError, back_up
from db.engine import Database, open_database
from db.migrate import newest_revision
from db.restore import restore
from tests import postgresql
from tests.db.entries import book, discrepancies, request
from tests.db.test_export import lines_of

pytestmark = pytest.mark.skipif(
    not postgresql.AVAILABLE or shutil.which("pg_dump") is None, reason="PostgreSQL's programs are not there"
)


@pytest.fixture
async def server(postgresql_url: str) -> AsyncIterator[Database]:
    """A database on a server, with ten booked requests."""
    async with open_database(postgresql_url) as database:
        async with database.transaction() as connection:
            for number in range(1, 11):
                await book(connection, request(number))
        yield database


async def test_dump_is_one_moment_and_is_restored(
    server: Database, postgresql_url: str, new_postgresql_url: str, tmp_path: Path
) -> None:
    """What is booked meanwhile is not in it; in another database all is there again, and the bot goes on."""
    booking = asyncio.create_task(keep_booking(server))
    made = await back_up(postgresql_url, tmp_path / "x.dump")
    booking.cancel()
    await asyncio.gather(booking, return_exceptions=True)

    assert (made.schema, made.problems) == (newest_revision(), [])
    assert made.rows["requests"] == made.rows["attempts"] >= 10
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["x.dump"]

    restored = await restore(made.path, new_postgresql_url)

    assert (restored.rows, restored.problems) == (made.rows, [])
    async with open_database(new_postgresql_url) as database:
        await database.run(lambda connection: book(connection, request(1_000_000)))
        assert await discrepancies(database) == []
    first, *_, last = await lines_of(new_postgresql_url)
    assert first["rows"]["requests"] == made.rows["requests"] + 1
    assert last["end"]


async def keep_booking(database: Database) -> None:
    for number in range(100, 10_000):
        await database.run(lambda connection, number=number: book(connection, request(number)))  # type: ignore[misc]


async def test_restore_into_an_occupied_database_is_refused(
    server: Database, postgresql_url: str, tmp_path: Path
) -> None:
    """Nothing is overwritten on a server, with `force` neither."""
    made = await back_up(postgresql_url, tmp_path / "x.dump")
    for force in (False, True):
        with pytest.raises(BackupError, match="not empty"):
            await restore(made.path, postgresql_url, force=force)

    await server.run(lambda connection: book(connection, request(11)))


async def test_dump_that_cannot_be_used_touches_nothing(
    server: Database, postgresql_url: str, new_postgresql_url: str, tmp_path: Path
) -> None:
    """One that was cut off, one that is something else, and one of a newer release are refused."""
    whole = (await back_up(postgresql_url, tmp_path / "x.dump")).path
    (tmp_path / "cut.dump").write_bytes(whole.read_bytes()[:-2000])
    (tmp_path / "letter.dump").write_text("Dear all, this is a letter.\n" * 100)
    await server.run(
        lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    )
    newer = await back_up(postgresql_url, tmp_path / "newer.dump")
    assert newer.problems is None
    reasons = {"cut": "cannot be read", "letter": "cannot be read", "newer": "newer Colloquy"}
    for name, reason in reasons.items():
        with pytest.raises(BackupError, match=reason):
            await restore(tmp_path / f"{name}.dump", new_postgresql_url)

    assert (await restore(whole, new_postgresql_url)).rows["requests"] == 10


async def test_missing_programs_are_told(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without pg_dump there is no backup, nothing half of it, and a sentence that says what to install."""
    (tmp_path / "place").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BackupError, match=r"pg_dump is not there. Install"):
        await back_up(postgresql_url, tmp_path / "place" / "x.dump")

    assert list((tmp_path / "place").iterdir()) == []
    assert os.environ["PATH"] == str(tmp_path)


async def test_password_is_on_no_command_line(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What everybody on the machine may read of pg_dump's call names no password."""
    spy = tmp_path / "pg_dump"
    spy.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\nexit 7\n')
    spy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    with pytest.raises(BackupError, match="pg_dump failed"):
        await back_up(postgresql_url.replace("colloquy@", "colloquy:canary@"), tmp_path / "x.dump")

    assert "--format=custom" in (tmp_path / "arguments").read_text()
    assert "canary" not in (tmp_path / "arguments").read_text()
