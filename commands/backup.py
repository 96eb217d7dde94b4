"""Copy the database, also of a running bot, which goes on undisturbed. The copy is read back before it gets
its name: its pages fit together, every table has as many rows as the database had, and the books agree.

PATH is a file that is not there yet, or a folder; without it the folder of [backup] in colloquy.toml, or
`backups` beside the database. PostgreSQL takes pg_dump and pg_restore of the server's version or newer.

A backup holds what members wrote. Only you can read the file; it has no key and no token in it.

examples:
  python bot.py backup
  python bot.py backup /mnt/usb/colloquy.db
  python bot.py backup /mnt/usb --keep 14        delete all but the newest 14 of these there
  python bot.py backup --json | jq -r .path

exit status: 0 made and well, 1 not made, or its books do not agree, 78 the settings cannot be used
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from pathlib import Path

from commands.output import fail, print_table, progress
from configuration import configure
from db.backup import BackupError, back_up, default_folder, delete_old, new_name
from settings import SettingsError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line's options."""
    parser.add_argument("path", nargs="?", type=Path, metavar="PATH", help="file or folder")
    parser.add_argument("--keep", type=_at_least_one, metavar="N", help="delete all but the newest N there")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 on")
    return int(text)


def main(options: argparse.Namespace) -> int:
    """Make a backup of the database that the settings of this folder name; return the exit status."""
    settings, _ = configure(os.environ, Path(), token_needed=False)
    address = settings.database_url.get_secret_value()
    try:
        target = _choose(options.path, settings.backup.folder, address)
        with progress("Copying", quiet=options.json) as advance:
            made = asyncio.run(back_up(address, target, advance))
        deleted = delete_old(target.parent, options.keep) if options.keep else []
    except (BackupError, OSError) as error:
        return fail(error, as_json=options.json)
    if options.json:
        print(
            json.dumps(
                {
                    "ok": not made.problems,
                    "path": str(made.path),
                    "bytes": made.size,
                    "schema": made.schema,
                    "rows": made.rows,
                    "problems": made.problems,
                    "deleted": [str(path) for path in deleted],
                }
            )
        )
    else:
        print_table(("table", "rows"), sorted(made.rows.items()))
        print(f"{made.path}: {made.size / 1e6:,.1f} MB, schema {made.schema}, read back and whole")
        tell_books(made.problems)
        for path in deleted:
            print(f"deleted {path}")
    return 1 if made.problems else 0


def tell_books(problems: list[str] | None) -> None:
    """Say what is wrong with the books of a backup, if anything is."""
    if problems is None:
        print("its books were not looked at: another release wrote it")
    for problem in problems or ():
        print(f"FAIL  {problem}")


def _choose(path: Path | None, folder: Path | None, address: str) -> Path:
    """Where the backup goes."""
    if path is not None and not path.is_dir():
        return path
    if (chosen := path or folder or default_folder(address)) is None:
        raise SettingsError(
            ["Say where the backup shall go: `backup PATH`, or folder of [backup] in colloquy.toml."]
        )
    return chosen / new_name(address)
