"""Restoring an SQLite file: nothing is overwritten, nothing half is ever at its place."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from db.backup import BackupError, back_up
from db.engine import DatabaseUnusable, open_database
from db.restore import Restored, restore
from tests.db.entries import book, discrepancies, request
from tests.db.files import address, booked_file, change, damage, dump, fatten

ROOT = Path(__file__).parent.parent.parent

# Books a second request and dies, so that it stands in the log alone.
DYING_BOT = """
import asyncio, os, sys
from db.engine import open_database
from tests.db.entries import book, request

async def live():
    async with open_database(sys.argv[1]) as database:
        await database.run(lambda connection: book(connection, request(2)))
        os._exit(9)

asyncio.run(live())
"""


RESTORE = """
import asyncio, sys
from pathlib import Path
from db.restore import restore

print("restoring", flush=True)
asyncio.run(restore(Path(sys.argv[1]), sys.argv[2], force=True))
"""


@pytest.fixture
async def file(migrated_file: Path, tmp_path: Path) -> Path:
    """A database with one booked request, which nobody has open."""
    return await booked_file(migrated_file, tmp_path)


@pytest.fixture
async def backup(file: Path, tmp_path: Path) -> Path:
    return (await back_up(address(file), tmp_path / "backup.db")).path


def content(folder: Path) -> dict[str, bytes]:
    """Every file in a folder, but for the locks, which are empty."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".lock"}


async def test_backup_without_one_of_its_tables_is_refused(file: Path, backup: Path) -> None:
    """What is blamed is the backup, and the database is as it was."""
    change(backup, "DROP TABLE usage_roles")
    before = dump(file)

    with pytest.raises(BackupError, match="is no backup that can be used: its books cannot be read"):
        await restore(backup, address(file), force=True)

    assert dump(file) == before


async def test_restored_database_is_what_was_backed_up(file: Path, backup: Path, tmp_path: Path) -> None:
    """In an empty place all is there again, the bot starts on it, and goes on."""
    before = dump(file)
    place = tmp_path / "new" / "colloquy.db"

    restored = await restore(backup, address(place))

    assert dump(place) == before
    assert (restored.rows["requests"], restored.problems, restored.aside) == (1, [], [])
    async with open_database(address(place)) as database:
        await database.run(lambda connection: book(connection, request(2)))
        assert await discrepancies(database) == []


async def test_occupied_place_is_left_alone(file: Path, backup: Path, tmp_path: Path) -> None:
    """Where there is a database nothing happens without `force`, and the sentence says so."""
    before = content(tmp_path)

    with pytest.raises(BackupError, match="--force"):
        await restore(backup, address(file))

    assert content(tmp_path) == before


async def test_forced_restore_keeps_the_old_one_with_its_log(
    file: Path, backup: Path, tmp_path: Path
) -> None:
    """A database whose newest rows are in its log alone is moved aside with that: they can be read there."""
    died = subprocess.run([sys.executable, "-c", DYING_BOT, address(file)], cwd=ROOT, check=False)
    assert died.returncode == 9
    assert (tmp_path / "colloquy.db-wal").stat().st_size > 0

    restored = await restore(backup, address(file), force=True)

    assert len([line for line in dump(file) if line.startswith('INSERT INTO "requests"')]) == 1
    aside = restored.aside[0]
    assert aside.name.startswith("colloquy.db.before-restore-")
    assert len([line for line in dump(aside) if line.startswith('INSERT INTO "requests"')]) == 2
    assert not (tmp_path / "colloquy.db-wal").exists()


async def test_log_without_its_file_is_no_empty_place(backup: Path, tmp_path: Path) -> None:
    """A log that is left beside a missing file would ruin what is put there: it is moved aside first."""
    place = tmp_path / "place.db"
    Path(f"{place}-wal").write_bytes(b"the log of another file")

    with pytest.raises(BackupError, match="--force"):
        await restore(backup, address(place))
    restored = await restore(backup, address(place), force=True)

    assert [path.read_bytes() for path in restored.aside] == [b"the log of another file"]
    assert dump(place) == dump(backup)


async def test_running_bot_is_not_robbed_of_its_database(file: Path, backup: Path) -> None:
    """While a bot has the file, `force` does not help either."""
    async with open_database(address(file)) as database:
        with pytest.raises(DatabaseUnusable, match="already running"):
            await restore(backup, address(file), force=True)
        await database.run(lambda connection: book(connection, request(2)))


def _cut_off(backup: Path) -> None:
    backup.write_bytes(backup.read_bytes()[:-10_000])


def _empty(backup: Path) -> None:
    backup.write_bytes(b"")


def _other_content(backup: Path) -> None:
    backup.write_bytes(b"Dear all, this is a letter and no database.\n" * 1000)


def _from_the_future(backup: Path) -> None:
    change(backup, "UPDATE alembic_version SET version_num = '9999'")


def _somebody_elses(backup: Path) -> None:
    change(backup, "DROP TABLE alembic_version")


@pytest.mark.parametrize(
    ("ruin", "reason"),
    [
        (_cut_off, "damaged"),
        (damage, "damaged"),
        (_empty, "no database of Colloquy"),
        (_other_content, "not a database"),
        (_somebody_elses, "no database of Colloquy"),
        (_from_the_future, "newer Colloquy"),
        (Path.unlink, "not there"),
    ],
)
async def test_backup_that_cannot_be_used_touches_nothing(
    file: Path, backup: Path, tmp_path: Path, ruin: Callable[[Path], object], reason: str
) -> None:
    """It is refused with its reason before the old database is moved, also with `force`."""
    ruin(backup)
    before = content(tmp_path)

    with pytest.raises(BackupError, match=reason):
        await restore(backup, address(file), force=True)

    assert content(tmp_path) == before


async def test_database_is_not_restored_from_itself(file: Path) -> None:
    """Its own file is no backup of it."""
    with pytest.raises(BackupError, match="itself"):
        await restore(file, address(file), force=True)


async def test_bot_does_not_start_in_the_middle_of_a_restore(
    file: Path, backup: Path, tmp_path: Path
) -> None:
    """A restore that was killed with the old file moved and the new one unnamed is seen, and done anew."""
    file.rename(tmp_path / "aside.db")
    (tmp_path / "colloquy.db.restoring").write_bytes(backup.read_bytes()[:5000])

    with pytest.raises(DatabaseUnusable, match=r"missing or empty, but colloquy.db.restoring"):
        async with open_database(address(file)):
            pass
    assert not file.exists()

    await restore(backup, address(file))
    async with open_database(address(file)) as database:
        assert await discrepancies(database) == []


async def restore_in_a_process(backup: Path, file: Path, kill_after: float | None = None) -> float:
    """Restore over a file, killed so many seconds after it begins; how long it took."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", RESTORE, str(backup), address(file)), cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"restoring\n"
    began = time.monotonic()
    if kill_after is not None:
        await asyncio.sleep(kill_after)
        if process.returncode is None:
            process.kill()
    await process.communicate()
    assert process.returncode in ((0,) if kill_after is None else (0, -9))
    return time.monotonic() - began


async def test_kills_in_the_middle_of_a_restore_lose_nothing(
    file: Path, backup: Path, tmp_path: Path
) -> None:
    """kill -9 at random moments: old or new is whole in its place, or no bot starts; another try does it."""
    chance = random.Random(20261124)
    change(file, "UPDATE requests SET command = 'the old one'")
    fatten(file, megabytes=6)
    fatten(backup, megabytes=6)
    old, new = dump(file), dump(backup)
    place = tmp_path / "place.db"
    place.write_bytes(file.read_bytes())
    takes = await restore_in_a_process(backup, place)
    for part in range(6):
        for left in tmp_path.glob("place.db*"):
            left.unlink()
        place.write_bytes(file.read_bytes())
        await restore_in_a_process(backup, place, takes * (part + chance.random()) / 6)

        kept = [place, *tmp_path.glob("place.db.before-restore-*Z")]
        assert any(path.exists() and dump(path) == old for path in kept)
        if place.exists():
            assert dump(place) in (old, new)
        else:
            with pytest.raises(DatabaseUnusable, match="missing or empty"):
                async with open_database(address(place)):
                    pass
        await restore_in_a_process(backup, place)
        assert dump(place) == new
        assert not Path(f"{place}.restoring").exists()


async def test_cancelled_restore_changes_nothing(file: Path, backup: Path, tmp_path: Path) -> None:
    """Ctrl-C while the backup is being copied: the old database is where it was, and nothing beside it."""
    fatten(backup, megabytes=6)
    before = dump(file)
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slowly(done: int, total: int) -> None:
        loop.call_soon_threadsafe(begun.set)
        time.sleep(0.1)

    task = asyncio.create_task(restore(backup, address(file), force=True, advance=slowly))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert dump(file) == before
    assert [path.name for path in tmp_path.iterdir() if "restor" in path.name] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make files for others")
async def test_what_root_makes_belongs_to_whom_the_folder_does(backup: Path, tmp_path: Path) -> None:
    """Root may back up and restore for a service that is another user, which can go on with the files."""
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)

    await restore(backup, address(home / "data" / "colloquy.db"))
    await back_up(address(home / "data" / "colloquy.db"), home / "data" / "backups" / "x.db")

    made = [path for path in home.rglob("*") if path.stat().st_uid != 65534]
    assert made == []
    assert len(list(home.rglob("*"))) >= 5


async def test_second_restore_waits_for_nobody(backup: Path, tmp_path: Path) -> None:
    """Of several restores to one place at once one is done, and the others are refused."""
    place = tmp_path / "place.db"

    async def try_it() -> Restored | None:
        with suppress(BackupError, DatabaseUnusable):
            return await restore(backup, address(place))
        return None

    done = [restored for restored in await asyncio.gather(*(try_it() for _ in range(4))) if restored]

    assert len(done) == 1
    assert dump(place) == dump(backup)
