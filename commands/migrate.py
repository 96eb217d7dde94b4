"""Move this host from its SQLite file to PostgreSQL. Stop the bot first; the file is only read.

Every table is copied in batches and its rows are counted on both sides. A move that was interrupted goes on
where it was when the same command is given again; until it is complete no bot starts on the target.

The target is an empty database. Without a password in its address, PGPASSWORD or ~/.pgpass is used, as psql
does: what stands on a command line can be read by everybody on this machine.

examples:
  createdb --owner colloquy colloquy
  python bot.py migrate --to postgresql+asyncpg://colloquy@localhost/colloquy
  python bot.py migrate --to postgresql+asyncpg://colloquy@localhost/colloquy --json

exit status: 0 everything is there, 1 it is not, and it says why, 78 the settings cannot be used
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from pathlib import Path

from commands.output import fail, print_table, progress
from configuration import configure
from db.transfer import TransferError, transfer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line's options."""
    parser.add_argument(
        "--to",
        required=True,
        metavar="URL",
        help="postgresql+asyncpg://user@host:5432/name, an empty database",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def main(options: argparse.Namespace) -> int:
    """Move the database that the settings of this folder name; return the exit status."""
    settings, _ = configure(os.environ, Path(), token_needed=False)
    source = settings.database_url.get_secret_value()
    try:
        with progress("Moving", quiet=options.json) as advance:
            rows = asyncio.run(transfer(source, options.to, advance))
    except TransferError as error:
        return fail(error, as_json=options.json)
    if options.json:
        print(json.dumps({"ok": True, "rows": rows}))
        return 0
    print_table(("table", "rows"), list(rows.items()))
    print("Everything is there. Set DATABASE_URL to the new address, and start the bot.")
    return 0
