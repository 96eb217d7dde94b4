"""A report as a file: CSV for spreadsheets, JSON for programs."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from assistant.periods import find_zone
from assistant.usage import Report
from db.rollup import SUMS
from db.usage import Line

# A cell that begins so may be taken for a formula, also after white space and in its wide forms.
FORMULA_SIGNS = "=+-@\t\r\n＝＋－＠"
IDS = ("member", "channel", "server")
LINES_AT_ONCE, PAUSE = 100, 0.001  # seconds


class TooLarge(ValueError):
    """The files of a report are larger than Discord takes, even packed."""


async def as_files(report: Report, most_bytes: int) -> dict[str, bytes]:
    """Both kinds by their endings or, where they are larger than that together, a zip of both.

    Of a large server they take a moment, so a thread writes them. Raises TooLarge.
    """
    return await asyncio.to_thread(_fitting, report, most_bytes)


def _fitting(report: Report, most_bytes: int) -> dict[str, bytes]:
    files = {"csv": as_csv(report), "json": as_json(report)}
    if sum(map(len, files.values())) > most_bytes:
        files = {"zip": _packed(files)}
        if len(files["zip"]) > most_bytes:
            raise TooLarge
    return files


def _packed(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for kind, content in files.items():
            archive.writestr(f"usage.{kind}", content)
    return packed.getvalue()


def as_csv(report: Report) -> bytes:
    """The lines of a report as CSV in UTF-8 with its mark, every text safe to open in a spreadsheet.

    An id has an apostrophe before it, since spreadsheets round numbers of more than fifteen digits.
    """
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerow([report.by, *SUMS])
    for line in _unhurried(report.lines):
        key = _key(report, line)
        writer.writerow([f"'{key}" if report.by in IDS else safe_cell(key), *line.totals])
    return file.getvalue().encode("utf-8-sig", "replace")


def as_json(report: Report) -> bytes:
    """The lines of a report, its totals and its days as JSON. Ids are texts: many programs round them."""

    def line(of: Line) -> dict[str, object]:
        return {report.by: _key(report, of), **of.totals._asdict()}

    content = {
        "from": report.days.first.isoformat(),
        "to": report.days.last.isoformat(),
        "time_zone": report.time_zone,
        "totals": report.totals._asdict(),
        "days": [{"day": day.isoformat(), **totals._asdict()} for day, totals in report.daily],
    }
    lines = ",\n".join(json.dumps(line(of)) for of in _unhurried(report.lines))
    return f'{json.dumps(content)[:-1]}, "lines": [\n{lines}\n]}}'.encode("ascii")


def _unhurried(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines, with a pause after every few: else the other threads would wait for each of their steps."""
    for number, line in enumerate(lines, 1):
        yield line
        if number % LINES_AT_ONCE == 0:
            time.sleep(PAUSE)


def safe_cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula: an apostrophe goes before what may be one."""
    begins = text.lstrip(" \u00a0\ufeff")[:1] or text[:1]
    return f"'{text}" if begins and begins in FORMULA_SIGNS else text


def _key(report: Report, line: Line) -> str:
    if report.by == "day":
        moment = datetime.fromtimestamp(int(line.key), find_zone(report.time_zone))
        return moment.date().isoformat()
    return str(line.key)
