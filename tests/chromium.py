"""A headless Chromium driven over its DevTools protocol: as much as the demo's test needs."""

import asyncio
import base64
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

BINARY = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

OPTIONS = (
    "--headless=new",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-port=0",
    "--window-size=1280,900",
)

# Where an element is, and whether nothing lies over it.
MIDDLE = """(() => {{
  const element = {element}
  element.scrollIntoView({{block: 'nearest'}})
  const box = element.getBoundingClientRect()
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2]
  return {{x, y, free: element.contains(document.elementFromPoint(x, y))}}
}})()"""
KEYS = {"Enter": (13, "\r"), "Tab": (9, "\t"), "Escape": (27, ""), "Backspace": (8, "")}


class Tab:
    """One browser tab. Every wait has its end: a page that never gets there is a TimeoutError."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._calls = 0

    async def _call(self, method: str, **parameters: Any) -> Any:
        self._calls += 1
        await self._socket.send_json({"id": self._calls, "method": method, "params": parameters})
        while (reply := await self._socket.receive_json(timeout=30)).get("id") != self._calls:
            pass  # an event, or nothing of ours
        if "error" in reply:
            raise RuntimeError(f"{method}: {reply['error']['message']}")
        return reply["result"]

    async def navigate(self, address: str) -> None:
        await self._call("Page.navigate", url=address)

    async def evaluate(self, expression: str) -> Any:
        """Give the value of a JavaScript expression, awaited when it is a promise."""
        reply = await self._call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in reply:
            raise RuntimeError(f"{expression}: {reply['result'].get('description')}")
        return reply["result"].get("value")

    async def until(self, expression: str, *, seconds: float = 30) -> None:
        """Wait until a JavaScript expression is truthy."""
        try:
            async with asyncio.timeout(seconds):
                while not await self.evaluate(f"Boolean({expression})"):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise TimeoutError(f"not within {seconds} s: {expression}") from None

    async def click(self, selector: str) -> None:
        """Click in the middle of the first element that matches, once it stands still."""
        element = f"document.querySelector({json.dumps(selector)})"
        await self.until(f"{element}?.checkVisibility()")
        middle: dict[str, float] = {}
        for _ in range(100):
            before, middle = middle, await self.evaluate(MIDDLE.format(element=element))
            if middle.pop("free") and middle == before:
                break
            await asyncio.sleep(0.05)
        for kind in ("mousePressed", "mouseReleased"):
            await self._call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **middle)

    async def type(self, text: str) -> None:
        """Type into whatever has the focus."""
        await self._call("Input.insertText", text=text)

    async def choose(self, selector: str, *files: Path) -> None:
        """Choose files as the dialog of a file input would."""
        found = await self._call(
            "Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})"
        )
        await self._call(
            "DOM.setFileInputFiles", files=list(map(str, files)), objectId=found["result"]["objectId"]
        )

    async def press(self, key: str) -> None:
        code, text = KEYS[key]
        event = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        await self._call("Input.dispatchKeyEvent", type="keyDown", text=text, **event)
        await self._call("Input.dispatchKeyEvent", type="keyUp", **event)

    async def save_downloads_in(self, folder: Path) -> None:
        """Have files that the page lets one save end up in this folder."""
        await self._call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    async def resize(self, width: int, height: int, scale: float = 1) -> None:
        """Make the window so large, in CSS pixels; `scale` is how many dots each has on the screen."""
        await self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=False,
        )

    async def screenshot(self) -> bytes:
        """Give what is to be seen as PNG."""
        return base64.b64decode((await self._call("Page.captureScreenshot", format="png"))["data"])


async def _debugger_port(profile: Path) -> int:
    """Read the port that Chromium chose from the file it writes when it listens."""
    file = profile / "DevToolsActivePort"
    async with asyncio.timeout(30):
        while True:
            with suppress(FileNotFoundError, ValueError):
                return int(file.read_text().splitlines()[0])
            await asyncio.sleep(0.05)


@asynccontextmanager
async def open_tab(profile: Path) -> AsyncIterator[Tab]:
    """Start Chromium with a profile of its own, and end that process again."""
    assert BINARY is not None
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()  # root cannot have Chromium's sandbox
    process = await asyncio.create_subprocess_exec(
        BINARY,
        *OPTIONS,
        *sandbox,
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        port = await _debugger_port(profile)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            async with http.get("/json/list") as reply:
                targets = await reply.json()
            address = next(target["webSocketDebuggerUrl"] for target in targets if target["type"] == "page")
            async with http.ws_connect(address, max_msg_size=0) as socket:
                yield Tab(socket)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
