"""Put a backup in the database's place. Stop the bot first. Without PATH, list the backups that there are.

A backup that cannot be read, or that a newer release made, is refused before anything is touched. Where there
is a database already, only --force goes on: it moves that aside (colloquy.db.before-restore-...), with all
that belongs to it, and deletes nothing. An older backup is brought up to date at the bot's next start.

Into PostgreSQL a dump is restored with pg_restore, and only where the database is empty.

examples:
  python bot.py restore                                        list the backups
  python bot.py restore data/backups/colloquy-20261130T040000Z.db
  python bot.py restore --force /mnt/usb/colloquy.db

exit status: 0 restored, 1 not restored, or its books do not agree, 78 the settings or place cannot be used
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

from commands.backup import tell_books
from commands.output import fail, print_table, progress
from configuration import configure
from db.backup import BackupError, default_folder, find_backups
from db.restore import restore


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line's options."""
    parser.add_argument("path", nargs="?", type=Path, metavar="PATH", help="the backup")
    parser.add_argument("--force", action="store_true", help="move what is there aside")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def main(options: argparse.Namespace) -> int:
    """Restore a backup where the settings of this folder have their database; return the exit status."""
    settings, _ = configure(os.environ, Path(), token_needed=False)
    address = settings.database_url.get_secret_value()
    if options.path is None:
        return _list(settings.backup.folder or default_folder(address), as_json=options.json)
    try:
        with progress("Restoring", quiet=options.json) as advance:
            restored = asyncio.run(restore(options.path, address, force=options.force, advance=advance))
    except BackupError as error:
        return fail(error, as_json=options.json)
    if options.json:
        print(
            json.dumps(
                {
                    "ok": not restored.problems,
                    "place": restored.place,
                    "schema": restored.schema,
                    "rows": restored.rows,
                    "problems": restored.problems,
                    "aside": [str(path) for path in restored.aside],
                }
            )
        )
    else:
        print_table(("table", "rows"), sorted(restored.rows.items()))
        print(f"{options.path} is now {restored.place}: schema {restored.schema}, read back and whole")
        for path in restored.aside:
            print(f"what was there is now {path}")
        tell_books(restored.problems)
    return 1 if restored.problems else 0


def _list(folder: Path | None, *, as_json: bool) -> int:
    """Show the backups in a folder, the newest first."""
    try:
        found = (
            [(f"{at:%Y-%m-%d %H:%M:%S}", path.stat().st_size, path) for at, path in find_backups(folder)]
            if folder
            else []
        )
    except OSError as error:
        print(f"{folder} cannot be read: {error.strerror}.", file=sys.stderr)
        return 1
    if as_json:
        names = ("at", "bytes", "path")
        print(json.dumps([dict(zip(names, (at, size, str(path)), strict=True)) for at, size, path in found]))
    elif found:
        print_table(("made (UTC)", "bytes", "backup"), found)
    else:
        print(f"There is no backup in {folder}." if folder else "There is no folder for backups.")
    return 0
