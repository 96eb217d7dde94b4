"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest
from sqlalchemy.engine import make_url

from db.engine import Database, open_database
from db.verify import find_discrepancies
from tests import postgresql
from tests.fake_discord import FakeDiscord
from tests.fake_vendors import FakeVendor

# Whether a change may land is no matter of chance. People who run the tests explore on.
hypothesis.settings.register_profile("ci", derandomize=True, database=None)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")


def pytest_configure() -> None:
    if postgresql.REQUIRED and not postgresql.AVAILABLE:
        raise pytest.UsageError("PostgreSQL is required here, and no initdb and postgres were found.")


def pytest_report_header() -> str:
    if not postgresql.AVAILABLE:
        return "databases: SQLite only, since no PostgreSQL server's programs were found"
    return f"databases: SQLite and PostgreSQL ({postgresql.PROGRAMS or 'a server that was given'})"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what uses a database on each kind that there is; what is about SQLite itself, on that alone."""
    kinds = ["sqlite"]
    if postgresql.AVAILABLE and metafunc.definition.get_closest_marker("sqlite_only") is None:
        kinds.append("postgresql")
    for name in ("database_url", "new_databases"):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, kinds, indirect=True)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of the newest schema: to copy it is faster than to migrate one for each test."""
    path = tmp_path_factory.mktemp("migrated") / "colloquy.db"
    asyncio.run(migrate(f"sqlite+aiosqlite:///{path}"))
    return path


async def migrate(address: str) -> None:
    async with open_database(address):
        pass


@pytest.fixture(scope="session")
def postgresql_databases() -> Iterator[postgresql.Databases]:
    """A PostgreSQL server, on which databases can be made."""
    if not postgresql.AVAILABLE:
        pytest.skip("no PostgreSQL server's programs were found")
    with postgresql.open_databases() as databases:
        yield databases


@pytest.fixture(scope="session")
def migrated_template(postgresql_databases: postgresql.Databases) -> Iterator[str]:
    """The name of an empty PostgreSQL database of the newest schema."""
    address = postgresql_databases.create()
    asyncio.run(migrate(address))
    yield str(make_url(address).database)
    postgresql_databases.drop(address)


@pytest.fixture
def postgresql_url(postgresql_databases: postgresql.Databases, migrated_template: str) -> Iterator[str]:
    """The address of a migrated PostgreSQL database."""
    address = postgresql_databases.create(migrated_template)
    yield address
    postgresql_databases.drop(address)


@pytest.fixture
def new_postgresql_url(postgresql_databases: postgresql.Databases) -> Iterator[str]:
    """The address of a PostgreSQL database without any table."""
    address = postgresql_databases.create()
    yield address
    postgresql_databases.drop(address)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path, migrated_file: Path) -> str:
    """The address of a migrated database: `pytest_generate_tests` says of which kind."""
    if request.param == "postgresql":
        address: str = request.getfixturevalue("postgresql_url")
        return address
    shutil.copyfile(migrated_file, tmp_path / "colloquy.db")
    return f"sqlite+aiosqlite:///{tmp_path / 'colloquy.db'}"


@pytest.fixture(scope="session")
def new_databases(request: pytest.FixtureRequest, migrated_file: Path) -> postgresql.MakeDatabase:
    """Makes migrated databases, for tests that need many; of which kind is said as for `database_url`."""

    @contextmanager
    def new_file() -> Iterator[str]:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite+aiosqlite:///{shutil.copy(migrated_file, folder)}"

    @contextmanager
    def new_on_server() -> Iterator[str]:
        address = databases.create(template)
        yield address
        databases.drop(address)

    if request.param == "sqlite":
        return new_file
    databases: postgresql.Databases = request.getfixturevalue("postgresql_databases")
    template: str = request.getfixturevalue("migrated_template")
    return new_on_server


@pytest.fixture
def new_database_url(tmp_path: Path) -> str:
    """The address of a file that is not there yet."""
    return f"sqlite+aiosqlite:///{tmp_path / 'new.db'}"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A migrated database. After the test its books must agree."""
    async with open_database(database_url) as database:
        yield database
        async with database.transaction() as connection:
            discrepancies = await find_discrepancies(connection)
        assert discrepancies == []


@pytest.fixture
async def fake(database_url: str) -> AsyncIterator[FakeDiscord]:
    """A fake Discord. After the test the bot has stopped and its books must agree."""
    async with FakeDiscord() as fake:
        yield fake
    async with open_database(database_url) as database, database.transaction() as connection:
        assert await find_discrepancies(connection) == []


@pytest.fixture
async def vendor() -> AsyncIterator[FakeVendor]:
    async with FakeVendor() as vendor:
        yield vendor
