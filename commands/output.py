"""What the commands show: tables, failures, and how far a long task is.

Plain text where nobody looks at a terminal: rich is loaded only where there is one.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from db.files import Advance

# Seconds between two lines about how far a task is, where there is no terminal to draw a bar in.
LINE_SECONDS = 10.0


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table on standard output; columns of numbers (int) are aligned at the right."""
    texts = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    numeric = [bool(rows) and all(isinstance(row[n], int) for row in rows) for n in range(len(columns))]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table()
        for column, right in zip(columns, numeric, strict=True):
            table.add_column(column, justify="right" if right else "left", overflow="fold")
        for row in texts:
            table.add_row(*map(Text, row))
        Console().print(table)
        return
    widths = [max(map(len, cells)) for cells in zip(columns, *texts, strict=True)]
    for row in ([*columns], *texts):
        cells = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        )
        print("  ".join(cells).rstrip())


def fail(error: Exception, *, as_json: bool) -> int:
    """Say what could not be done; return the exit status."""
    if as_json:
        print(json.dumps({"ok": False, "problem": str(error)}))
    else:
        print(error, file=sys.stderr)
    return 1


@contextmanager
def progress(task: str, *, quiet: bool = False, seconds: float = LINE_SECONDS) -> Iterator[Advance]:
    """Show on standard error how far a task is: a bar in a terminal, else a line every so many seconds.

    Yields the function to call with what is done and what there is in all, as often as one likes.
    """
    if quiet:
        yield lambda done, total: None
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bars:
            bar = bars.add_task(task, total=None)
            yield lambda done, total: bars.update(bar, completed=done, total=total)
    else:
        yield _lines(task, seconds)


def _lines(task: str, seconds: float) -> Advance:
    told = time.monotonic()

    def advance(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= seconds:
            told = time.monotonic()
            print(f"{task}: {done:,} of {total:,}", file=sys.stderr, flush=True)

    return advance
