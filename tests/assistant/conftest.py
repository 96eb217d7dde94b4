"""Fixtures for the tests of the assistant."""

import pytest


@pytest.fixture
def _needs_sqlite(database_url: str) -> None:
    if not database_url.startswith("sqlite"):
        pytest.skip("the faults are SQLite's own: its lock, its triggers, its page count")
