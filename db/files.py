"""SQLite's file: whose it is, what may lie beside it, putting one in place, and what its errors mean."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

if sys.platform != "win32":  # there is no flock on Windows: two bots on one file are not noticed there
    import fcntl

log = logging.getLogger(__name__)

# What SQLite keeps beside a file. It belongs to that file alone: beside another it would ruin that one.
SIDECARS = ("-wal", "-shm", "-journal")
# A backup that is about to be put in place.
RESTORING = ".restoring"

# Told how far a long task is: how much is done, of how much in all.
Advance = Callable[[int, int], None]

# Where SQLite's write-ahead log does not work: it needs memory that all processes share.
NETWORK = ("nfs", "cifs", "smb", "fuse.sshfs")

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
DENIED = {errno.EROFS, errno.EACCES, errno.EPERM}


class DatabaseUnusable(Exception):
    """The database cannot be opened; the text says why and what to do, and holds no password.

    `may_pass` says that another try may go better without anybody touching the settings.
    """

    def __init__(self, sentence: str, *, may_pass: bool = False) -> None:
        super().__init__(sentence)
        self.may_pass = may_pass


def read_address(address: str) -> URL:
    """The parts of DATABASE_URL. Raises DatabaseUnusable, without a part of its password."""
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        # Not told what is wrong with it: that could be a part of the password.
        raise DatabaseUnusable(
            "DATABASE_URL cannot be read. It has the form sqlite+aiosqlite:///path/to/file.db or "
            "postgresql+asyncpg://user:password@host:5432/name, where a password with @ : / or % in it "
            "is written with %40 %3A %2F and %25."
        ) from None
    # Neither a database in memory, which would be lost at the end, nor SQLite's own kind of address.
    path = url.database or ""
    if url.get_backend_name() == "sqlite" and (path in ("", ":memory:") or path.startswith("file:")):
        raise DatabaseUnusable(
            "DATABASE_URL names no file. It has the form sqlite+aiosqlite:///path/to/file.db."
        )
    if path.startswith("~"):
        return url.set(database=str(Path(path).expanduser()))
    return url


class Trouble(NamedTuple):
    """What an error of a file means: "it is damaged", and what to do about that."""

    reason: str
    remedy: str
    may_pass: bool = False


def explain(error: BaseException) -> Trouble:
    """What an error of a database or of the operating system means, in plain words."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
    name = getattr(error, "sqlite_errorname", "")
    number = error.errno if isinstance(error, OSError) else None
    if name == "SQLITE_FULL" or number in FULL:
        return Trouble(f"the disk is full ({error})", "Make room on it, then start again.", True)
    if name.startswith("SQLITE_IOERR") or number == errno.EIO:
        return Trouble(
            f"the disk could not be written or read ({error})", "See whether it is full or failing.", True
        )
    if name in ("SQLITE_CORRUPT", "SQLITE_NOTADB"):
        return damaged(str(error))
    if name.startswith("SQLITE_READONLY") or number in DENIED:
        return Trouble(f"it cannot be written ({error})", "Check the disk and who may write there.")
    if name == "SQLITE_CANTOPEN":
        return Trouble(f"it is not there, or cannot be opened ({error})", "Check DATABASE_URL and the disk.")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Trouble(f"another program keeps it locked ({error})", "Stop that program first.", True)
    reason = str(error) or type(error).__name__
    return Trouble(reason, "Check DATABASE_URL, the disk and who may write there.")


def unusable(shown: str, trouble: Trouble) -> DatabaseUnusable:
    """The error to raise for a database with that trouble, told by what is shown of its address."""
    reason, remedy, may_pass = trouble
    sentence = f"The database {shown} cannot be used: {reason}. Nothing in it was changed. {remedy}"
    return DatabaseUnusable(sentence, may_pass=may_pass)


def damaged(finding: str) -> Trouble:
    """What it means that a file holds something that no database holds."""
    return Trouble(
        f"it is damaged, or is no database of Colloquy ({' '.join(finding.split())})",
        "`bot.py restore` lists the backups, and `bot.py restore FILE --force` puts one in its place.",
    )


def sidecars(path: Path) -> list[Path]:
    """What SQLite has left beside a file."""
    return [found for suffix in SIDECARS if (found := Path(f"{path}{suffix}")).exists()]


def leftovers(path: Path, *suffixes: str) -> list[Path]:
    """What lies beside a place and holds rows of a file that is, or was, there."""
    beside = [Path(f"{path}{suffix}") for suffix in ("-wal", "-journal", *suffixes)]
    return [found for found in beside if found.exists() and found.stat().st_size]


def refuse_leftovers(path: Path) -> None:
    """Raise DatabaseUnusable where a file is missing although it was there: a new one would hide that."""
    if path.exists() and path.stat().st_size:
        return
    if left := leftovers(path, RESTORING):
        raise DatabaseUnusable(
            f"The database {path} is missing or empty, but {left[0].name} is beside it. Put the file back "
            "that belongs to it, or restore a backup: `python bot.py restore` lists them. To begin anew, "
            "move that away as well."
        )


def make_folder(folder: Path) -> None:
    """Make a folder that may be there already, and those above it. Raises OSError."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        own_as_folder(folder)


def own_as_folder(path: Path) -> None:
    """Leave what root has made to whom its folder belongs: a service that is not root shall go on with it."""
    if sys.platform != "win32" and os.geteuid() == 0:
        folder = path.parent.stat()
        os.chown(path, folder.st_uid, folder.st_gid)


def kind_of_filesystem(path: Path, mounts: str) -> str:
    """The kind of filesystem that a path is on, by a list of mounts as Linux gives it; "" if it has none."""
    kinds = {}
    for line in mounts.splitlines():
        _, place, kind = line.split(" ")[:3]
        kinds[Path(place.replace("\\040", " "))] = kind  # a later one covers an earlier one
    path = path.absolute()
    return next((kinds[folder] for folder in (path, *path.parents) if folder in kinds), "")


def _refuse_network(path: Path) -> None:
    """Raise DatabaseUnusable where the file's log could not be shared between the bot's connections."""
    try:
        kind = kind_of_filesystem(path.resolve(), Path("/proc/self/mounts").read_text(errors="replace"))
    except (OSError, ValueError):  # not Linux
        return
    if kind.startswith(NETWORK):
        raise DatabaseUnusable(
            f"The database {path} is on a filesystem of a network ({kind}), where SQLite may damage it. Let "
            "DATABASE_URL name a file on a disk of this machine, or a PostgreSQL."
        )


@contextmanager
def only_process(path: Path) -> Iterator[None]:
    """Hold a lock file beside a database, so that no second process uses it. Raises DatabaseUnusable."""
    try:
        make_folder(path.parent)
        _refuse_network(path)
        lock_file = path.with_name(path.name + ".lock")
        lock = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        own_as_folder(lock_file)
    except OSError as error:
        raise DatabaseUnusable(
            f"The folder of {path} cannot be written to: {error.strerror}.", may_pass=error.errno in FULL
        ) from None
    try:
        try:
            if sys.platform != "win32":
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DatabaseUnusable(
                f"Another Colloquy is already running on {path}. Stop it first.", may_pass=True
            ) from None
        yield
    finally:
        os.close(lock)


async def look_through(driver: Any, path: Path, seconds: float) -> None:
    """See whether the pages of a file fit together, as far as one gets in so many seconds.

    `driver` is the asynchronous driver's connection to it. Raises DatabaseUnusable, sqlite3.Error.
    """
    look = asyncio.ensure_future(driver.execute_fetchall("PRAGMA quick_check(1)"))
    done, _ = await asyncio.wait([look], timeout=seconds)
    if not done:
        await driver.interrupt()
    try:
        [[finding]] = await look
    except sqlite3.OperationalError as error:
        if done or error.sqlite_errorname != "SQLITE_INTERRUPT":
            raise
        log.info("%s is too large to be looked through at the start; `bot.py backup` does so in full", path)
        return
    if finding != "ok":
        raise unusable(str(path), damaged(finding))


def put_in_place(partial: Path, final: Path) -> None:
    """Give a file that is complete its name, in a way that a loss of power leaves one or the other."""
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(partial, final)
    if sys.platform != "win32":  # where folders cannot be opened
        folder = os.open(final.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read_only(path: Path, *, timeout: float = 5) -> sqlite3.Connection:
    """A connection that can neither write nor checkpoint, for any thread, but one at a time.

    SQLite before 3.51.3 can corrupt a file when two connections do so at once. Raises sqlite3.Error.
    """
    address = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(address, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False)
