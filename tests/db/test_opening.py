"""Opening a database: what is refused, and in which words."""

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.engine import DatabaseUnusable, open_database
from db.files import kind_of_filesystem

ROOT = Path(__file__).parent.parent.parent
CANARY = "canary-of-a-password"

HOLDER = """
import asyncio, sys
from db.engine import open_database

async def hold():
    async with open_database(sys.argv[1]):
        print("open", flush=True)
        await asyncio.sleep(60)

asyncio.run(hold())
"""


async def refusal_of(address: str) -> str:
    with pytest.raises(DatabaseUnusable) as refusal:
        async with open_database(address):
            pass
    return str(refusal.value)


@contextlib.contextmanager
def as_ordinary_user() -> Iterator[None]:
    """Permission bits do not bind root: be nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


async def open_once(address: str) -> None:
    async with open_database(address):
        pass


@pytest.fixture
def open_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that everybody may enter, which `tmp_path` is not."""
    # Once as root, so that every module is loaded before somebody else has to read it.
    asyncio.run(open_once(f"sqlite+aiosqlite:///{tmp_path / 'first.db'}"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder
        folder.chmod(0o777)


async def test_second_handle_on_a_file_is_refused(tmp_path: Path) -> None:
    """A file that is open is not opened again, and can be once it is closed."""
    address = f"sqlite+aiosqlite:///{tmp_path / 'x.db'}"
    async with open_database(address):
        assert "Another Colloquy is already running" in await refusal_of(address)

    async with open_database(address):
        pass


async def test_second_process_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    """Another process that has the file keeps this one out; once that is killed, nothing does."""
    address = f"sqlite+aiosqlite:///{tmp_path / 'x.db'}"
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLDER, address), cwd=ROOT, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    try:
        assert await holder.stdout.readline() == b"open\n"
        assert "Another Colloquy is already running" in await refusal_of(address)
    finally:
        holder.kill()
        await holder.communicate()

    async with open_database(address):
        pass


async def test_missing_folders_are_made(tmp_path: Path) -> None:
    """A path whose folders do not exist yet is created with them."""
    path = tmp_path / "some" / "folder" / "x.db"
    async with open_database(f"sqlite+aiosqlite:///{path}"):
        pass

    assert path.exists()


async def test_path_below_a_file_is_refused(tmp_path: Path) -> None:
    """A path that leads through a regular file is told in a sentence."""
    (tmp_path / "file").write_text("something")

    refusal = await refusal_of(f"sqlite+aiosqlite:///{tmp_path}/file/x.db")

    assert refusal == f"The folder of {tmp_path}/file/x.db cannot be written to: File exists."
    assert (tmp_path / "file").read_text() == "something"


def test_folder_that_cannot_be_written_is_refused(open_folder: Path) -> None:
    """A folder in which this user may not write is told in a sentence, and stays empty."""
    open_folder.chmod(0o555)
    with as_ordinary_user():
        refusal = asyncio.run(refusal_of(f"sqlite+aiosqlite:///{open_folder}/x.db"))

    assert "cannot be written to: Permission denied" in refusal
    assert list(open_folder.iterdir()) == []


def test_file_that_cannot_be_written_is_refused(open_folder: Path) -> None:
    """A database that this user may only read is told in a sentence, and not touched."""
    file = open_folder / "x.db"
    asyncio.run(open_once(f"sqlite+aiosqlite:///{file}"))
    (open_folder / "x.db.lock").unlink()
    file.chmod(0o444)
    before = file.read_bytes()
    with as_ordinary_user():
        refusal = asyncio.run(refusal_of(f"sqlite+aiosqlite:///{file}"))

    assert "readonly database" in refusal
    assert "who may write there" in refusal
    assert file.read_bytes() == before


async def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """A file with something else in it is told in a sentence, and not touched."""
    file = tmp_path / "letter.txt"
    file.write_bytes(b"Dear all, this is a letter and not a database.\n" * 100)
    before = file.read_bytes()

    refusal = await refusal_of(f"sqlite+aiosqlite:///{file}")

    assert f"The database {file} cannot be used: it is damaged, or is no database" in refusal
    assert "restore" in refusal
    assert file.read_bytes() == before


async def test_damaged_database_is_refused(tmp_path: Path) -> None:
    """A database whose inner pages were overwritten is told in a sentence, not created anew."""
    file = tmp_path / "x.db"
    async with open_database(f"sqlite+aiosqlite:///{file}"):
        pass
    content = bytearray(file.read_bytes())
    content[100:4096] = b"\xff" * 3996
    file.write_bytes(content)

    refusal = await refusal_of(f"sqlite+aiosqlite:///{file}")

    assert "malformed" in refusal
    assert file.read_bytes() == bytes(content)


async def test_other_peoples_database_is_refused(tmp_path: Path) -> None:
    """A database that has a table of ours with other columns is told in a sentence, and not changed."""
    file = tmp_path / "x.db"
    other = sqlite3.connect(file)
    other.execute("CREATE TABLE requests (url TEXT)")
    other.close()

    assert "already exists" in await refusal_of(f"sqlite+aiosqlite:///{file}")

    other = sqlite3.connect(file)
    tables = [name for (name,) in other.execute("SELECT name FROM sqlite_master")]
    other.close()
    assert tables == ["requests"]


@pytest.mark.parametrize("path", ["", ":memory:", "file:x.db?uri=true"])
async def test_address_without_a_file_is_refused(path: str) -> None:
    """A database in memory would lose its books at the end, so none is opened."""
    assert "names no file" in await refusal_of(f"sqlite+aiosqlite:///{path}")


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql+asyncpg://colloquy:{CANARY}@127.0.0.1:1/colloquy",
        f"postgresql+asyncpg://colloquy:{CANARY}@host.invalid/colloquy",
        f"postgresql+asyncpg://colloquy:{CANARY}@127.0.0.1:port/colloquy",
        f"postgresql+asyncpg://colloquy:{CANARY}@[::1/colloquy",
        f"postgresql+asyncpg://colloquy:secret@{CANARY}@127.0.0.1:1/colloquy",
        f"postgresql+asyncpg://colloquy:secret/{CANARY}@127.0.0.1:1/colloquy",
        f"postgresql+asyncpg://127.0.0.1:1/colloquy?user=colloquy&password={CANARY}",
        f"postgresql+asyncpg://colloquy:{CANARY}@127.0.0.1:1/colloquy?no_such_option=1",
        f"postgresql+asyncpg://colloquy:{CANARY}@127.0.0.1:1/colloquy?ssl=nonsense",
        f"://{CANARY}",
    ],
)
async def test_password_is_never_told(address: str) -> None:
    """Whatever is wrong with an address, the sentence about it holds no part of its password."""
    refusal = await refusal_of(address)

    assert CANARY not in refusal
    assert "secret" not in refusal
    assert "DATABASE_URL" in refusal


MOUNTS = """\
/dev/sda1 / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
nas:/volume /srv/nas nfs4 rw,vers=4.2 0 0
//nas/share /srv/nas/my\\040share cifs rw 0 0
/dev/sdb1 /srv/nas/local ext4 rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/bot/colloquy.db", "ext4"),
        ("/srv/nas/colloquy.db", "nfs4"),
        ("/srv/nas/my share/data/colloquy.db", "cifs"),
        ("/srv/nas/local/colloquy.db", "ext4"),
    ],
)
def test_filesystem_of_a_file_is_that_of_its_nearest_mount(path: str, kind: str) -> None:
    """A share that lies inside another one, or has a space in its name, is found all the same."""
    assert kind_of_filesystem(Path(path), MOUNTS) == kind
