"""What a member sees of answers in the demo's page: a scripted model in place of the small one."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import discord
import pytest
from PIL import Image

from bot import open_bot
from providers.base import Completion, FinishReason, Usage
from providers.router import ChatRouter, ImageRouter
from settings import Settings
from tests.chromium import Tab, open_tab
from tests.fakes import ScriptedChat, ScriptedImages, Step, answer, chat_route, image_route
from tests.test_demo import LATEST, needs_chromium, needs_demo, offers, send

pytestmark = [needs_demo, needs_chromium, pytest.mark.timeout(240)]

INTRODUCTION = "Here is a **small** program. It counts, and it says what it does:\n\n"
CODE = "```python\n" + "\n".join(f'print("line {number} of a program")' for number in range(70)) + "\n```\n"
CLOSING = "\nIt ends here. See [the manual](https://docs.example/print) for more."
ANSWER = INTRODUCTION + CODE + CLOSING


@dataclass
class Stage:
    """The page, and everything behind it."""

    tab: Tab
    folder: Path
    page: Any  # demo.LivePage, which cannot be imported everywhere
    server: Any
    chat: ScriptedChat

    async def keep(self, name: str) -> None:
        """Keep what is to be seen, for people."""
        (self.folder / f"{name}.png").write_bytes(await self.tab.screenshot())

    async def press(self, label: str) -> None:
        """Press the last button of this name that is to be seen."""
        buttons = (
            f"[...document.querySelectorAll('.component-button')].filter(b => b.textContent === {label!r})"
        )
        await self.tab.until(f"{buttons}.length")
        await self.tab.evaluate(f"{buttons}.at(-1).setAttribute('data-pressed', {label!r})")
        await self.tab.click(f".component-button[data-pressed={label!r}]")

    async def open_form(self, menu: str, message: discord.Message) -> None:
        """Choose a command of a message's menu, which the page does not have, and show its form there."""
        robin = self.server.members[0]
        opened = await robin.context_menu(self.server.channel, menu, message)
        for page in self.page._pages.values():
            page.modal, page.modal_handle = opened, "m_of_the_test"
            self.page._publish(page, reason="navigation")

    async def until_said(self, text: str) -> None:
        """Wait until the latest message says so."""
        await self.tab.until(f"{LATEST}?.textContent.includes({text!r})")


@asynccontextmanager
async def stage(folder: Path, *scripts: Sequence[Step]) -> AsyncIterator[Stage]:
    """The demo's own world and page around the real bot, in a browser."""
    import demo  # here, for without its packages it ends the process

    chat = ScriptedChat(*scripts)
    settings = Settings(
        discord_token="simulated", database_url=f"sqlite+aiosqlite:///{folder / 'c.db'}", shard_count=1
    )
    async with open_bot(
        settings,
        chat_router=ChatRouter([chat_route(chat, sees=True)]),
        image_router=ImageRouter([image_route(ScriptedImages())]),
    ) as bot:
        demo.draw_like_discord()
        world = demo.LiveDiscord(bot)
        server = demo.build_server(world)
        await world.start()
        try:
            await bot.get_partial_messageable(server.channel.id).send(demo.WELCOME)
            async with demo.LivePage(world, server, 0) as page, open_tab(folder / "browser") as tab:
                await tab.navigate(page.url)
                await tab.until("window.simcordPreview?.ready")
                yield Stage(tab, folder, page, server, chat)
        finally:
            await world.shutdown()


def slowly(text: str, finish_reason: FinishReason = "stop", pieces: int = 40) -> list[Step]:
    """A script: the text in pieces over some seconds."""
    size = len(text) // pieces + 1
    steps: list[Step] = []
    for start in range(0, len(text), size):
        steps += [text[start : start + size], 0.1]
    return [*steps, Completion(text, Usage(120, 450), finish_reason, "scripted-model")]


async def test_a_long_answer_with_code_stop_regenerate_and_continue(tmp_path: Path) -> None:
    """Each does in the page what its button says, and the code stays code in every message."""
    scripts = [slowly(ANSWER), slowly(ANSWER), slowly("Once upon a", "length", 3), answer(" time.")]
    async with stage(tmp_path, *scripts) as scene:
        tab = scene.tab
        await send(tab, "ask", prompt="Write a program.")
        await scene.until_said("line 20")
        await scene.keep("growing")
        await scene.press("Stop")
        await scene.until_said("The answer was stopped here.")
        await scene.keep("stopped")

        await scene.press("Regenerate")
        await tab.until("document.body.textContent.includes('line 69')")
        await scene.until_said("completion tokens")
        await scene.keep("regenerated")
        both = "[...document.querySelectorAll('.channel-message')].slice(-2)"
        first, second = await tab.evaluate(f"{both}.map(message => message.querySelector('pre').textContent)")
        assert [*first.splitlines(), *second.splitlines()] == CODE.splitlines()[1:-1]

        await send(tab, "ask", prompt="Tell me a tale.")
        await scene.until_said("reached its length limit")
        await scene.keep("length")
        await scene.press("Continue")
        await scene.until_said("time.")
        await scene.keep("continued")
    asked = [[message.content for message in request.messages] for request, _ in scene.chat.calls]
    assert asked[0][-1] == asked[1][-1] == "robin: Write a program."
    assert asked[3][-2] == "Once upon a"


async def test_a_picture_is_asked_about(tmp_path: Path) -> None:
    """A photo goes along with /ask; a message with a picture is asked about in a form from its menu."""
    photo = tmp_path / "photo.png"
    Image.new("RGB", (2000, 1000), "teal").save(photo)
    async with stage(tmp_path, answer("All of it is teal."), answer("She means the sea.")) as scene:
        tab = scene.tab
        await offers(tab, "/ask")
        await tab.click(".command-entry[data-entry-key$=':ask']")
        await tab.click(".command-option-input[data-option='prompt']")
        await tab.type("Which colour is it?")
        await tab.click(".command-chip")
        await tab.click(".command-suggestion[data-value='attachment']")
        await tab.choose(".command-file-input[data-option='attachment']", photo)
        await scene.keep("asking")
        await tab.click("#send-message")
        await scene.until_said("All of it is teal.")
        await scene.keep("seen")

        sam = scene.server.members[1]
        message = await sam.send(
            scene.server.channel, "Look at *this*!", attachments=[("sea.png", photo.read_bytes())]
        )
        await scene.open_form("Ask about this", message)
        await tab.until("document.querySelector('.modal-input')?.checkVisibility()")
        await tab.click(".modal-input")
        await tab.type("What does sam mean?")
        await scene.keep("form")
        await tab.click("#modal-root .button-primary")
        await scene.until_said("She means the sea.")
        await scene.keep("asked_about")

    for request, _ in scene.chat.calls:
        [picture] = request.messages[-1].pictures
        assert Image.open(io.BytesIO(picture.data)).size == (1280, 640)
    assert "Look at *this*!" in scene.chat.calls[1][0].messages[-1].content
