"""What the commands show: to a person at a terminal, and to a file."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from commands.output import print_table, progress

ROOT = Path(__file__).parent.parent
SHOW = """
import sys
from commands.output import print_table, progress

with progress("Counting") as advance:
    for number in range(1, 5):
        advance(number, 4)
print_table(("name", "rows"), [("short", 7), ("/a/very/long/path" * 8, 1234567)])
print("rich" in sys.modules)
"""


def show_in_terminal() -> str:
    """What a person sees who runs this in a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", SHOW], stdout=theirs, stderr=theirs, env=environ)
    os.close(theirs)
    seen = b""
    while True:
        try:
            seen += (piece := os.read(ours, 65_536))
        except OSError:  # how Linux says that the other side is closed
            break
        if not piece:
            break
    os.close(ours)
    assert process.wait() == 0
    return seen.decode()


def test_terminal_has_bars_and_frames() -> None:
    """A person sees a bar, and a table in a frame in which nothing is cut off."""
    seen = show_in_terminal()

    assert "Counting" in seen
    assert "100%" in seen
    assert "│" in seen
    assert "1,234,567" in seen
    assert "…" not in seen


def test_file_has_plain_text() -> None:
    """Without a terminal there is neither frame nor colour, and rich is not even loaded."""
    shown = subprocess.run(
        [sys.executable, "-c", SHOW], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )

    assert shown.stdout.splitlines() == [
        "name".ljust(136) + "       rows",
        "short".ljust(136) + "          7",
        "/a/very/long/path" * 8 + "  1,234,567",
        "False",
    ]
    assert shown.stderr == ""


def test_long_task_says_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    """In a log one reads how far it is, at most every so many seconds; a quiet task says nothing."""
    with progress("Copying", seconds=0) as advance:
        advance(1, 2000)
        advance(2000, 2000)
    assert capsys.readouterr().err == "Copying: 1 of 2,000\nCopying: 2,000 of 2,000\n"

    with progress("Copying", seconds=60) as advance:
        advance(1, 2)
    with progress("Copying", seconds=0, quiet=True) as advance:
        advance(1, 2)
    assert capsys.readouterr().err == ""


def test_empty_table_is_its_heading(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns without rows are as wide as their names."""
    print_table(("a", "bc"), [])
    assert capsys.readouterr().out == "a  bc\n"
