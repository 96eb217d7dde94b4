"""Reports as files: safe to open, exact to read."""

import csv
import io
import json
import zipfile
from datetime import date

import hypothesis
import pytest
from hypothesis import strategies as st

from assistant.export import FORMULA_SIGNS, TooLarge, as_csv, as_files, as_json, safe_cell
from assistant.periods import Days
from assistant.usage import Report
from db.rollup import SUMS, Totals
from db.usage import Grouping, Line, View

DAYS = Days(date(2026, 3, 28), date(2026, 3, 30))
# Any text at all; in a file it is read back as it was, but for lone surrogates and line ends.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
FIGURES = st.lists(st.integers(0, 2**60), min_size=len(SUMS), max_size=len(SUMS))


def report(by: Grouping, lines: list[Line], zone: str = "Europe/Berlin") -> Report:
    days = [(day, Totals(requests=1)) for day in DAYS]
    return Report(View(10), by, DAYS, zone, Totals(3), Totals(), lines, Totals(), 0, days)


def read_csv(content: bytes) -> list[list[str]]:
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


@hypothesis.given(TEXT, FIGURES)
def test_no_cell_is_a_formula_and_none_is_lost(name: str, figures: list[int]) -> None:
    """Every cell begins with what no spreadsheet takes for a formula, and holds the whole text."""
    of = report("model", [Line(name, Totals(*figures))])
    header, [cell, *numbers] = read_csv(as_csv(of))

    assert header == ["model", *SUMS]
    assert cell[:1] not in FORMULA_SIGNS or not cell
    assert cell in (name, f"'{name}")
    assert [int(number) for number in numbers] == figures


@hypothesis.given(st.integers(2**53, 2**63 - 1))
def test_ids_are_texts(member_id: int) -> None:
    """An id is text in both files, to its last digit."""
    of = report("member", [Line(member_id, Totals(requests=1))])
    [_, [cell, *_]] = read_csv(as_csv(of))
    [line] = json.loads(as_json(of))["lines"]

    assert cell == f"'{member_id}"
    assert line["member"] == str(member_id)


def test_known_attacks_are_disarmed() -> None:
    """What is known to start a program from a spreadsheet comes out as text."""
    for text in ("=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1+1"):
        assert safe_cell(text) == f"'{text}"
    for text in ("", "plain", "a=b", "1+1"):
        assert safe_cell(text) == text


def test_names_that_are_no_unicode_are_written() -> None:
    """Half a surrogate in a name spoils neither file."""
    of = report("model", [Line("half \ud83d", Totals())])
    assert b"half ?" in as_csv(of)
    assert json.loads(as_json(of))["lines"][0]["model"] == "half \ud83d"


async def test_files_that_are_too_large_are_packed() -> None:
    """Both go into one file where Discord does not take them together; where not even that, nothing does."""
    of = report("member", [Line(number, Totals(requests=number)) for number in range(10**18, 10**18 + 500)])
    plain = await as_files(of, 10**6)
    assert set(plain) == {"csv", "json"}
    packed = await as_files(of, sum(map(len, plain.values())) - 1)
    with zipfile.ZipFile(io.BytesIO(packed["zip"])) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            f"usage.{kind}": content for kind, content in plain.items()
        }
    with pytest.raises(TooLarge):
        await as_files(of, len(packed["zip"]) - 1)


def test_days_are_dates_of_the_zone() -> None:
    """A day's line has its date, also where midnight is another day in UTC."""
    of = report("day", [Line(1774652400, Totals(requests=2))])  # 2026-03-28, 00:00 in Berlin
    assert read_csv(as_csv(of))[1][0] == "2026-03-28"
    content = json.loads(as_json(of))
    assert (content["from"], content["to"], content["time_zone"]) == (
        "2026-03-28",
        "2026-03-30",
        "Europe/Berlin",
    )
    assert [day["day"] for day in content["days"]] == ["2026-03-28", "2026-03-29", "2026-03-30"]
