"""PostgreSQL for the tests: a server of their own in a temporary folder, or one that is given.

COLLOQUY_TEST_POSTGRESQL may hold the address of a server where databases may be made and dropped, or the word
"required": then the tests do not begin unless a server's programs are found.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
from sqlalchemy.engine import URL, make_url

T = TypeVar("T")

# Makes a migrated database of either kind that is there for a block, and yields its address.
MakeDatabase = Callable[[], AbstractContextManager[str]]

GIVEN = os.environ.get("COLLOQUY_TEST_POSTGRESQL", "")
REQUIRED = GIVEN == "required"
# Runs a server until the other end of its standard input is closed, also by the death of whoever holds it.
# SIGINT is what the server calls a fast stop: nobody is waited for.
UNTIL_LEFT = 'exec 3<&0 </dev/null; (cat <&3 >/dev/null; kill -INT $$) & exec 3<&-; exec "$0" "$@"'
# A user of this name has to give a password, all others are taken at their word.
NEEDS_PASSWORD = "guarded"
# Nothing is lost that anybody would miss when the machine goes down.
IN_A_HURRY = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off")


def find_programs() -> Path | None:
    """The folder of `initdb` and `postgres`, if this machine has them."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if found := shutil.which("initdb"):
        folders.insert(0, Path(found).parent)
    return next((folder for folder in folders if (folder / "postgres").exists()), None)


PROGRAMS = find_programs()
AVAILABLE = PROGRAMS is not None or not (REQUIRED or GIVEN == "")


class Cluster:
    """A server over a folder of its own, reached by a socket in that folder alone."""

    def __init__(self, folder: Path) -> None:
        assert PROGRAMS is not None
        self.folder = folder
        self.url = URL.create("postgresql+asyncpg", "colloquy", query={"host": str(folder)})
        self._postgres = str(PROGRAMS / "postgres")
        self._user: dict[str, Any] = {"cwd": folder}
        if os.geteuid() == 0:  # as whom it refuses to run
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            self._user |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        subprocess.run(
            [
                *(str(PROGRAMS / "initdb"), "--pgdata=data", "--username=colloquy", "--auth=trust"),
                *("--encoding=UTF8", "--locale=C", "--no-sync"),
            ],
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            **self._user,
        )
        access = folder / "data" / "pg_hba.conf"
        access.write_text(f"local all {NEEDS_PASSWORD} scram-sha-256\n{access.read_text()}")
        self._process: subprocess.Popen[bytes] | None = None

    def execute(self, statement: str) -> None:
        """Carry out one statement as the server's owner."""
        asyncio.run(_execute(self.url, statement))

    def start(self) -> None:
        """Start the server and wait until it can be used."""
        options = [f"-c{option}" for option in (*IN_A_HURRY, "listen_addresses=", "max_connections=200")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", UNTIL_LEFT, self._postgres, "-D", "data", "-k", str(self.folder), *options],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                **self._user,
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                self.execute("SELECT 1")
                return
            except (OSError, asyncpg.PostgresError):
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop the server at once, whoever is connected."""
        if self._process is not None:
            self._process.communicate(timeout=30)
            self._process = None


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A server that is there for as long as the block lasts, and its folder too."""
    # In the system's own folder for these: the path of a socket may have 107 characters, pytest's are longer.
    with tempfile.TemporaryDirectory(prefix="colloquy-pg-") as folder:
        cluster = Cluster(Path(folder))
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


class Databases:
    """Makes databases on a server, and drops them."""

    def __init__(self, server: URL) -> None:
        self._server = server
        self._made = 0
        # One connection for the whole session, in a loop of its own: each test has another loop.
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._connection: asyncpg.Connection[Any] = self._wait(_connect(server))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def create(self, template: str = "template0") -> str:
        """Make a database like another one and return its address."""
        self._made += 1
        name = f"colloquy_test_{os.getpid()}_{self._made}"
        # FILE_COPY: twice as fast as the default where nothing is synchronised.
        self._wait(
            self._connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        )
        return self._server.set(database=name).render_as_string(hide_password=False)

    def drop(self, address: str) -> None:
        """Drop a database, whoever is connected to it."""
        self._wait(self._connection.execute(f'DROP DATABASE "{make_url(address).database}" WITH (FORCE)'))

    def close(self) -> None:
        """End the connection."""
        self._wait(self._connection.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def open_databases() -> Iterator[Databases]:
    """Databases on the server that is given, or on one that is started for them."""
    if PROGRAMS is not None and GIVEN in ("", "required"):
        with running_cluster() as cluster, open_databases_on(cluster.url) as databases:
            yield databases
    else:
        with open_databases_on(make_url(GIVEN)) as databases:
            yield databases


@contextmanager
def open_databases_on(server: URL) -> Iterator[Databases]:
    """Databases on this server."""
    databases = Databases(server)
    try:
        yield databases
    finally:
        databases.close()


async def _connect(url: URL) -> asyncpg.Connection[Any]:
    return await asyncpg.connect(
        host=url.query.get("host", url.host),
        port=url.port,
        user=url.username,
        password=url.password,
        database=url.database or "postgres",
    )


async def _execute(url: URL, statement: str) -> None:
    connection = await _connect(url)
    await connection.execute(statement)
    await connection.close()
