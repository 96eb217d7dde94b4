"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from db.engine import Database, open_database
from db.verify import find_discrepancies
from tests.fake_discord import FakeDiscord
from tests.fake_vendors import FakeVendor


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of the newest schema: to copy it is faster than to migrate one for each test."""
    path = tmp_path_factory.mktemp("migrated") / "colloquy.db"

    async def migrate() -> None:
        async with open_database(f"sqlite+aiosqlite:///{path}"):
            pass

    asyncio.run(migrate())
    return path


@pytest.fixture
def database_url(tmp_path: Path, migrated_file: Path) -> str:
    shutil.copyfile(migrated_file, tmp_path / "colloquy.db")
    return f"sqlite+aiosqlite:///{tmp_path / 'colloquy.db'}"


@pytest.fixture
def new_database_url(tmp_path: Path) -> str:
    """The address of a file that is not there yet."""
    return f"sqlite+aiosqlite:///{tmp_path / 'new.db'}"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A migrated database in a real file. After the test its books must agree."""
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
