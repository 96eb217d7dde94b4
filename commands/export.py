"""Write everything that the bot keeps as JSON lines, also while it is running: one object a line, a row each.

The first line says what follows, the last that this was all: {"end": true, "rows": ...}. Ids are text, as
many programs read such large numbers inexactly; pictures that were asked about are base64. No key and no
token is in it, but all that members wrote. PATH is a file that is not there yet; without it the lines go to
standard output.

examples:
  python bot.py export everything.jsonl
  python bot.py export | gzip > everything.jsonl.gz
  python bot.py export | jq -c 'select(.table == "attempts") | .row'

exit status: 0 all of it was written, 1 it was not, 78 the settings or the database cannot be used
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from contextlib import aclosing
from pathlib import Path
from typing import TextIO

from commands.output import progress
from configuration import configure
from db.backup import BackupError, begin, discard
from db.export import export_lines
from db.files import Advance, explain, put_in_place
from db.reading import open_reader


class CannotWrite(Exception):
    """The lines find no room, or nobody reads them any more; the cause says which."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line's options."""
    parser.add_argument("path", nargs="?", type=Path, metavar="PATH", help="file (default: standard output)")


def main(options: argparse.Namespace) -> int:
    """Export the database that the settings of this folder name; return the exit status."""
    settings, _ = configure(os.environ, Path(), token_needed=False)
    address = settings.database_url.get_secret_value()
    try:
        with progress("Exporting") as advance:
            if options.path is None:
                asyncio.run(write(address, sys.stdout, advance))
                sys.stdout.flush()
                return 0
            rows = _write_file(address, options.path, advance)
    except BackupError as error:
        print(error, file=sys.stderr)
        return 1
    except (CannotWrite, OSError) as error:
        cause = error.__cause__ or error
        if options.path is None:  # what is still buffered goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(cause, BrokenPipeError):  # whoever read it has enough
            print(f"Not everything was written: {explain(cause).reason}.", file=sys.stderr)
        return 1
    print(f"{options.path}: {rows:,} rows")
    return 0


def _write_file(address: str, path: Path, advance: Advance) -> int:
    partial = begin(path)
    try:
        with partial.open("w", encoding="utf-8") as file:
            rows = asyncio.run(write(address, file, advance))
        put_in_place(partial, path)
    finally:
        discard(partial)
    return rows


async def write(address: str, file: TextIO, advance: Advance) -> int:
    """Write the lines to a file; return how many rows there were. Raises DatabaseUnusable, CannotWrite."""
    rows = 0
    async with open_reader(address) as connection, aclosing(export_lines(connection, advance)) as lines:
        async for line in lines:
            try:
                file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
            except OSError as error:
                raise CannotWrite from error
            rows += "table" in line
    return rows
