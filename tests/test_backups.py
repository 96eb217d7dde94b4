"""Backups by the clock: made while the bot answers, the oldest deleted, and failures told once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from backups import back_up_if_due, keep_backups
from configuration import configure
from db.engine import Database, open_database
from providers.notices import Notices
from settings import Backup, Settings, SettingsError
from tests.db.entries import book, request
from tests.db.files import address
from tests.fake_discord import FakeDiscord
from tests.fake_vendors import FakeVendor, openai_stream
from tests.hosted_bot import Host
from tests.living_bot import answered

# Seconds between two looks. Names tell seconds apart.
SOON = 0.05


def settings_with(url: str, **backup: Any) -> Settings:
    return Settings(
        discord_token=SecretStr("some-token"), database_url=SecretStr(url), backup=Backup(**backup)
    )


async def until(condition: Callable[[], object], timeout: float = 10) -> None:
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110 (files that threads write)
            await asyncio.sleep(0.01)


@asynccontextmanager
async def keeping(settings: Callable[[], Settings]) -> AsyncIterator[list[str]]:
    """Backups are kept meanwhile; gives what the host is told."""
    told: list[str] = []
    task = asyncio.create_task(keep_backups(settings, told.append))
    try:
        yield told
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*")) if folder.exists() else []


def named(age: timedelta) -> str:
    """The name of a backup of that age."""
    return f"colloquy-{datetime.now(UTC) - age:%Y%m%dT%H%M%S}Z.db"


@pytest.mark.sqlite_only
async def test_backups_are_made_of_a_database_in_use(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    """One is made when the newest is old enough, the oldest go, and what is booked is in it."""
    await database.run(lambda connection: book(connection, request(1)))
    place = tmp_path / "backups"
    place.mkdir()
    old = [named(timedelta(days=days)) for days in (1, 2, 3)]
    for name in old:
        (place / name).touch()
    settings = settings_with(database_url, every_hours=1.1 / 3600, keep=2)

    async with keeping(lambda: settings) as told:
        await until(lambda: len(names(place)) == 2 and not set(old[1:]) & set(names(place)))

    [*_, newest] = names(place)
    async with open_database(address(place / newest)) as copy:
        await copy.run(lambda connection: book(connection, request(2)))
    assert told == []


@pytest.mark.sqlite_only
async def test_nothing_is_made_before_its_time(database_url: str, tmp_path: Path) -> None:
    """Not while the newest backup is young; one that a wrong clock has named does not count."""
    place = tmp_path / "backups"
    place.mkdir()
    recent, future = named(timedelta(hours=5)), named(timedelta(hours=-30))
    (place / recent).touch()
    (place / future).touch()
    settings = settings_with(database_url, every_hours=6)

    await back_up_if_due(settings, Notices())
    assert names(place) == sorted([recent, future])
    (place / recent).unlink()
    await back_up_if_due(settings, Notices())
    assert len(names(place)) == 2


@pytest.mark.sqlite_only
async def test_a_schedule_that_is_taken_away_makes_no_more(database_url: str, tmp_path: Path) -> None:
    """Also where that happens while the bot sleeps until the first."""
    settings = settings_with(database_url, every_hours=SOON / 3600)

    async with keeping(lambda: settings) as told:
        await asyncio.sleep(SOON / 2)
        settings = settings_with(database_url, every_hours=0)
        await asyncio.sleep(4 * SOON)

    assert told == []
    assert not (tmp_path / "backups").exists()


async def test_failure_is_told_once_and_so_is_its_end(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    """A folder that cannot be made is one notice; the bot goes on, and tries again later."""
    (tmp_path / "file").write_text("something")
    settings = settings_with(database_url, every_hours=SOON / 3600, folder=tmp_path / "file")

    async with keeping(lambda: settings) as told:
        await until(lambda: told)
        await asyncio.sleep(4 * SOON)
        await database.run(lambda connection: book(connection, request(1)))

    [sentence] = told
    assert "cannot be written" in sentence
    assert "every hour" in sentence


def test_schedule_for_postgresql_needs_a_folder(tmp_path: Path) -> None:
    """Beside a database that is elsewhere is no place for backups: that is a mistake in the settings."""
    (tmp_path / ".env").write_text(
        "DISCORD_TOKEN=some-token\nDATABASE_URL=postgresql+asyncpg://me@localhost/name\n"
    )
    (tmp_path / "colloquy.toml").write_text("[backup]\nevery_hours = 24\n")
    with pytest.raises(SettingsError, match="needs a folder"):
        configure({}, tmp_path)

    (tmp_path / "colloquy.toml").write_text('[backup]\nevery_hours = 24\nfolder = "backups"\n')
    assert configure({}, tmp_path)[0].backup == Backup(every_hours=24, folder=Path("backups"))


@pytest.mark.sqlite_only
async def test_running_bot_keeps_backups(fake: FakeDiscord, vendor: FakeVendor, tmp_path: Path) -> None:
    """A bot whose settings say so makes them beside its database while it answers, and stops as ever."""
    vendor.reply(openai_stream("There."))
    host = Host(tmp_path, fake, vendor.url)
    host.write(toml=host.read("colloquy.toml") + "[backup]\nevery_hours = 0.0003\nkeep = 1\n")
    async with host.start() as process:
        await fake.ready()
        interaction = await fake.slash("ask", {"prompt": "Are you there?"})
        await interaction.until(lambda it: answered(it, "There."))
        await host.until_logged("old backup")
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0

    assert {Path(name).suffix for name in names(tmp_path / "backups")} == {".db"}
