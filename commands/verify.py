"""Check that the books agree: the ledger of all requests with the sums that reports and budgets read, with
what is reserved, and with the history. A bot that is running goes on undisturbed.

examples:
  python bot.py verify
  python bot.py verify --json | jq .problems

exit status: 0 they agree, 1 they do not, 78 they cannot be read
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from pathlib import Path

from commands.output import progress
from configuration import configure
from db.reading import open_reader
from db.verify import count_open, find_discrepancies


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line's options."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def main(options: argparse.Namespace) -> int:
    """Check the books of the database that the settings of this folder name; return the exit status."""
    settings, _ = configure(os.environ, Path(), token_needed=False)
    with progress("Checking", quiet=options.json):
        problems, being_answered = asyncio.run(examine(settings.database_url.get_secret_value()))
    if options.json:
        print(json.dumps({"ok": not problems, "problems": problems, "open_requests": being_answered}))
        return 1 if problems else 0
    for problem in problems:
        print(f"FAIL  {problem}")
    if not problems:
        print("ok    ledger, roll-up, reservations and history agree")
    if being_answered:
        print(f"      {being_answered} requests are open: being answered, or left to the next start")
    return 1 if problems else 0


async def examine(address: str) -> tuple[list[str], int]:
    """What is wrong in the books, and how many requests are open. Raises DatabaseUnusable."""
    async with open_reader(address) as connection:
        return await find_discrepancies(connection, running=True), await count_open(connection)
