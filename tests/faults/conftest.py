"""What the tests of faults share: a fake Discord, a fake vendor, and books that agree in the end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from db.engine import open_database
from db.verify import find_discrepancies
from tests.fake_discord import FakeDiscord
from tests.fake_vendors import FakeVendor


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
