"""Backups that a running bot makes by itself, as often as its settings say."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from providers.notices import Notices
from settings import Settings

log = logging.getLogger("colloquy")

# Seconds between two looks whether a backup is due, and until one that failed is tried again.
LOOK_SECONDS = 60.0
RETRY_SECONDS = 3600.0


async def keep_backups(settings: Callable[[], Settings], tell: Callable[[str], None]) -> None:
    """Make a backup whenever one is due by the settings of that moment, and delete the oldest; never ends.

    The newest backup in the folder says when the next one is due, through restarts too. What goes wrong is
    told to the host once, until it is over. Of processes that share the shards, the one with the first
    does it.
    """
    if 0 not in (settings().shard_ids or (0,)):  # which a running bot cannot change
        return
    notices = Notices()
    notices.listeners.append(tell)
    not_before = 0.0
    while True:
        hours = settings().backup.every_hours
        await asyncio.sleep(min(LOOK_SECONDS, hours * 3600 or LOOK_SECONDS))
        current = settings()  # which may have changed meanwhile
        if not current.backup.every_hours or time.monotonic() < not_before:
            continue
        try:
            await back_up_if_due(current, notices)
        except Exception as error:  # whatever it is, the bot goes on without a backup
            log.debug("the backup failed", exc_info=error)
            notices.begin("backup", f"{error} The bot tries again every hour, until there is a backup.")
            not_before = time.monotonic() + RETRY_SECONDS


async def back_up_if_due(settings: Settings, notices: Notices) -> None:
    """Make a backup if the newest is old enough, and delete those that are too many.

    Raises BackupError, DatabaseUnusable, OSError.
    """
    # Here, so that a bot without a schedule starts without it.
    from db.backup import back_up, default_folder, delete_old, find_backups, new_name

    address, schedule = settings.database_url.get_secret_value(), settings.backup
    folder = schedule.folder or default_folder(address)
    assert folder is not None  # or the settings would not be
    made_at = [at for at, _ in await asyncio.to_thread(find_backups, folder)]
    if _is_due(made_at, schedule.every_hours):
        made = await back_up(address, Path(folder, new_name(address)))
        log.info("backup %s made: %.1f MB, read back and whole", made.path, made.size / 1e6)
        for problem in made.problems or ():
            log.error("the books do not agree: %s", problem)
        if made.problems:
            notices.begin("books", "The books do not agree; `python bot.py verify` says where.")
        else:
            notices.end("books", "The books agree again.")
        notices.end("backup", "Backups can be made again.")
    for path in await asyncio.to_thread(delete_old, folder, schedule.keep):
        log.info("old backup %s deleted", path)


def _is_due(made_at: list[datetime], hours: float) -> bool:
    """Whether the newest backup is so old; those from the future were made by a wrong clock."""
    now = datetime.now(UTC)
    return all((now - at).total_seconds() >= hours * 3600 for at in made_at if at <= now)
