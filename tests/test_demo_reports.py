"""What an admin does with a report in the demo's page: chart, menus, files, and the weekly one."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from assistant.charts import PROMPT
from tests.chromium import Tab
from tests.test_demo import IDLE, LATEST, demo, needs_chromium, needs_demo, page, send

pytestmark = [needs_demo, needs_chromium, pytest.mark.timeout(240)]

# The message of the report; files and replies come below it.
REPORT = (
    "[...document.querySelectorAll('.channel-message')].findLast(m => m.querySelector('.select-trigger'))"
)
PRIVATE = "[...document.querySelectorAll('.channel-message:has(.message-ephemeral-note)')]"
CHART = f"{REPORT}?.querySelector('img.embed-image')"
PERIOD, BY = 0, 1
LINE = re.compile(r"([\d,]+) \+ ([\d,]+) tokens")


async def open_report(tab: Tab) -> None:
    await tab.resize(1280, 2000)  # all of it is to be seen: nothing scrolls as the charts come in
    await send(tab, "usage")
    await see_chart(tab)


async def see_chart(tab: Tab) -> None:
    """Wait until the chart is there: the first one takes long where much else runs.

    A browser loads a picture late that is out of sight.
    """
    shown = f"({CHART}?.scrollIntoView({{block: 'nearest'}}), {CHART}?.naturalWidth === 900)"
    await tab.until(shown, seconds=120)


async def text_of_report(tab: Tab) -> str:
    text: str = await tab.evaluate(f"{REPORT}.querySelector('.embed-description').textContent")
    return text


async def click(tab: Tab, element: str) -> None:
    """Click on what a JavaScript expression finds."""
    await tab.until(element)
    await tab.evaluate("document.querySelector('[data-here]')?.removeAttribute('data-here')")
    await tab.evaluate(f"{element}.setAttribute('data-here', '')")
    await tab.click("[data-here]")


async def choose(tab: Tab, menu: int, value: str, shown: str) -> None:
    """Choose something in one of the two menus, and wait until the report says so, with its chart."""
    before = await tab.evaluate(f"{REPORT}.dataset.messageId + {CHART}.src")
    await tab.until(IDLE)
    await click(tab, f"{REPORT}.querySelectorAll('.select-trigger')[{menu}]")
    options = "[...document.querySelectorAll('.select-option')]"
    await click(tab, f"{options}.find(one => one.dataset.value === {value!r} && one.checkVisibility())")
    await tab.until(f"{REPORT}.querySelector('.embed-description').textContent.includes({shown!r})")
    await tab.until(f"{REPORT}.dataset.messageId + {CHART}.src !== {before!r}")
    await see_chart(tab)


async def press(tab: Tab, label: str) -> str:
    """Press a button below the report, and give what the bot replies."""
    before = await tab.evaluate(f"{PRIVATE}.length")
    button = f"[...{REPORT}.querySelectorAll('.component-button')].find(b => b.textContent === {label!r})"
    await tab.until(IDLE)
    await click(tab, button)
    await tab.until(f"{PRIVATE}.length > {before} && !document.querySelector('.message-loading')")
    reply: str = await tab.evaluate(f"{PRIVATE}.at(-1).querySelector('.message-content').textContent")
    return reply


async def save_files(tab: Tab, folder: Path) -> dict[str, bytes]:
    """Save the files of the latest message as a person would."""
    folder.mkdir()
    await tab.save_downloads_in(folder)
    for place in range(2):
        await tab.evaluate(f"{LATEST}.querySelectorAll('.file-download')[{place}].click()")
        async with asyncio.timeout(30):
            while len(list(folder.glob("usage-*[nv]"))) <= place:  # noqa: ASYNC110 (another process writes)
                await asyncio.sleep(0.1)
    return {file.suffix: file.read_bytes() for file in folder.iterdir()}


def numbers(text: str) -> list[tuple[int, int]]:
    """Prompt and completion tokens of each line."""
    return [(int(a.replace(",", "")), int(b.replace(",", ""))) for a, b in LINE.findall(text)]


async def test_a_report_is_switched_and_saved_in_the_page(tmp_path: Path) -> None:
    """The chart is to be seen; both menus change it in place; CSV and JSON hold what the report says."""
    async with demo(tmp_path / "data") as address, page(address, tmp_path / "browser") as tab:
        await open_report(tab)
        message = await tab.evaluate(f"{REPORT}.dataset.messageId")
        month = await text_of_report(tab)
        assert "by member" in month
        assert "@sam" in month
        with Image.open(io.BytesIO(await tab.screenshot())) as seen:
            colours = {colour: count for count, colour in seen.convert("RGB").getcolors(2**24) or []}
        assert colours[tuple(bytes.fromhex(PROMPT[1:]))] > 2000

        await choose(tab, PERIOD, "7 days", "by member")
        week = await text_of_report(tab)
        assert numbers(week)[0] < numbers(month)[0]
        await choose(tab, BY, "model", "by model")
        models = await text_of_report(tab)
        assert "mistral-small-latest" in models
        assert models.split(",")[0] == week.split(",")[0]  # the same days
        await choose(tab, PERIOD, "30 days", "by model")
        await choose(tab, BY, "channel", "by channel")
        channels = await text_of_report(tab)
        assert "general" in channels
        assert await tab.evaluate(f"{REPORT}.dataset.messageId") == message

        reply = await press(tab, "As files")
        assert reply.endswith("by channel: all lines, for a spreadsheet and for programs.")
        saved = await save_files(tab, tmp_path / "saved")

    table = list(csv.DictReader(io.StringIO(saved[".csv"].decode("utf-8-sig"))))
    data = json.loads(saved[".json"])
    assert saved[".csv"].startswith(b"\xef\xbb\xbf")
    shown = [(int(line["prompt_tokens"]), int(line["completion_tokens"])) for line in table]
    assert shown == numbers(channels)
    assert all(re.fullmatch(r"'\d{15,20}", line["channel"]) for line in table)
    assert [line["channel"] for line in data["lines"]] == [line["channel"][1:] for line in table]
    for name in ("requests", "prompt_tokens", "completion_tokens", "pictures", "cost_micros"):
        assert data["totals"][name] == sum(int(line[name]) for line in table)
        assert data["totals"][name] == sum(day[name] for day in data["days"])
    assert len(data["days"]) == 30


async def test_a_weekly_report_is_asked_for_and_ended_in_the_page(tmp_path: Path) -> None:
    """The channel reads that it comes; pressed again, the button ends it."""
    async with demo(tmp_path / "data") as address, page(address, tmp_path / "browser") as tab:
        await open_report(tab)
        began = await press(tab, "Weekly report")
        ended = await press(tab, "Weekly report")
        channel = await tab.evaluate("document.body.textContent")

    assert began.startswith("From Monday, ")
    assert (
        "Every Monday a report of what this server used in the week before, by member, will be posted"
        in channel
    )
    assert ended == "Ended: no weekly report is posted in this server any more."
