"""The books of a running bot, looked through once a night."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from providers.notices import Notices
from settings import Settings

log = logging.getLogger("colloquy")

# By this machine's clock: when little is asked, as the disk is read through.
HOUR = 4
# Seconds after which the clock is looked at again: it may be put right, or jump for the summer.
LOOK_SECONDS = 3600.0


async def check_books(
    settings: Settings, tell: Callable[[str], None], now: Callable[[], datetime] = datetime.now
) -> None:
    """Check the books every night; never ends.

    What is wrong goes to the log, and is told to the host until it is right again. Of processes that share
    the shards, the one with the first does it.
    """
    if 0 not in (settings.shard_ids or (0,)):
        return
    notices = Notices()
    notices.listeners.append(tell)
    due = _next_night(now())
    while True:
        await asyncio.sleep(min(max((due - now()).total_seconds(), 0), LOOK_SECONDS))
        if now() >= due:
            await _check(settings.database_url.get_secret_value(), notices)
            due = _next_night(now())


def _next_night(after: datetime) -> datetime:
    night = after.replace(hour=HOUR, minute=0, second=0, microsecond=0)
    return night if night > after else night + timedelta(days=1)


async def _check(address: str, notices: Notices) -> None:
    # Here, so that a bot starts without them.
    from db.reading import open_reader
    from db.verify import find_discrepancies

    try:
        # Over a connection of its own: neither an answer nor a report waits for it.
        async with open_reader(address) as connection:
            problems = await find_discrepancies(connection, running=True)
    except Exception as error:  # whatever it is, the bot goes on, and looks again the next night
        log.warning("the books could not be checked: %s", error)
        return
    for problem in problems:
        log.error("the books do not agree: %s", problem)
    if problems:
        notices.begin("books", "The books do not agree; `python bot.py verify` says where.")
    else:
        log.info("the books agree")
        notices.end("books", "The books agree again.")
