"""`python bot.py backup`, `restore` and `export`, as a host types them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from db.engine import open_database
from db.migrate import newest_revision
from tests.db.entries import book, request
from tests.db.files import address, change, dump
from tests.test_command_line import run


@pytest.fixture
def host(tmp_path: Path, migrated_file: Path) -> Path:
    """A folder with settings and a database with one booked request."""
    folder = tmp_path / "host"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "colloquy.db").write_bytes(migrated_file.read_bytes())
    (folder / ".env").write_text(f"DISCORD_TOKEN={'x' * 30}\n")
    asyncio.run(book_one(folder))
    return folder


async def book_one(host: Path) -> None:
    async with open_database(address(host / "data" / "colloquy.db")) as database:
        await database.run(lambda connection: book(connection, request(1)))


def test_backup_and_restore_of_a_lost_database(host: Path) -> None:
    """Two commands without any argument but the backup's name, and all is as it was."""
    before = dump(host / "data" / "colloquy.db")
    made = run(host, "backup")
    assert (made.returncode, made.stderr) == (0, "")
    [backup] = (host / "data" / "backups").iterdir()
    assert (
        f"{backup.relative_to(host)}: 0.1 MB, schema {newest_revision()}, read back and whole" in made.stdout
    )
    for left in (host / "data").glob("colloquy.db*"):
        left.unlink()

    listed = run(host, "restore")
    assert str(backup.relative_to(host)) in listed.stdout
    restored = run(host, "restore", str(backup))
    assert (restored.returncode, restored.stderr) == (0, "")
    assert dump(host / "data" / "colloquy.db") == before


def test_backup_of_a_running_bot_and_no_restore_over_it(host: Path) -> None:
    """A bot that has the database open: the backup is made, the restore is refused with status 78."""

    async def meanwhile() -> None:
        async with open_database(address(host / "data" / "colloquy.db")) as database:
            made = await asyncio.to_thread(run, host, "backup", "x.db", "--json")
            assert (made.returncode, json.loads(made.stdout)["rows"]["requests"]) == (0, 1)
            refused = await asyncio.to_thread(run, host, "restore", "--force", "x.db")
            assert refused.returncode == 75
            assert "already running" in refused.stderr
            await database.run(lambda connection: book(connection, request(2)))

    asyncio.run(meanwhile())


def test_folder_and_number_of_backups_are_settings(host: Path) -> None:
    """`folder` of [backup] is where they go, and `--keep` how many of them stay."""
    (host / "colloquy.toml").write_text('[backup]\nfolder = "safe"\n')
    (host / "safe").mkdir()
    for day in (1, 2, 3):
        (host / "safe" / f"colloquy-202011{day:02}T040000Z.db").touch()

    made = json.loads(run(host, "backup", "--keep", "2", "--json").stdout)

    assert made["ok"]
    names = sorted(path.name for path in (host / "safe").iterdir())
    assert names == ["colloquy-20201103T040000Z.db", Path(made["path"]).name]
    assert len(made["deleted"]) == 2
    assert run(host, "backup", "--keep", "0").returncode == 2


def test_what_is_in_the_way_is_told(host: Path) -> None:
    """A name that is taken, a backup that is none, a place that is not empty: status 1 and one sentence."""
    assert run(host, "backup", "x.db").returncode == 0
    for arguments, words in (
        (("backup", "x.db"), "there already"),
        (("export", "x.db"), "there already"),
        (("restore", "x.db"), "--force"),
        (("restore", ".env", "--force"), "not a database"),
    ):
        refused = run(host, *arguments)
        assert refused.returncode == 1
        assert words in refused.stderr
        assert refused.stderr.count("\n") == 1
    assert json.loads(run(host, "restore", "x.db", "--json").stdout)["ok"] is False


def test_books_that_do_not_agree_are_told(host: Path) -> None:
    """The backup is made, and its status says that something is wrong in it."""
    change(host / "data" / "colloquy.db", "UPDATE usage_sums SET requests = 7 WHERE kind = 'day'")

    made = run(host, "backup", "x.db")

    assert made.returncode == 1
    assert "FAIL  Ledger and roll-up (day) differ" in made.stdout
    assert (host / "x.db").exists()


def test_export_to_a_file_and_to_standard_output(host: Path) -> None:
    """Both hold the same lines; the file is whole before it has its name, and its owner's alone."""
    to_file, to_output = run(host, "export", "all.jsonl"), run(host, "export")

    assert (to_file.returncode, to_output.returncode, to_output.stderr) == (0, 0, "")
    lines = (host / "all.jsonl").read_text().splitlines()
    assert lines[1:] == to_output.stdout.splitlines()[1:]  # the first says when
    assert json.loads(lines[-1]) == {"end": True, "rows": len(lines) - 2}
    assert (host / "all.jsonl").stat().st_mode & 0o777 == 0o600


def test_exports_that_nobody_can_write_are_told(host: Path) -> None:
    """Without a database, or where the disk is full, the export says so; half of it is nowhere."""
    if Path("/dev/full").exists():
        full = run(host, "export", stdout="/dev/full")
        assert (full.returncode, full.stderr.count("\n")) == (1, 1)
        assert "disk is full" in full.stderr
    for left in (host / "data").iterdir():
        left.unlink()

    missing = run(host, "export", "all.jsonl")

    assert missing.returncode == 78
    assert "no database at" in missing.stderr
    assert [path.name for path in host.iterdir() if "jsonl" in path.name] == []
