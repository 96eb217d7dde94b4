"""A benchmark's own processes: started as modules, told line by line what to do, ended with their input."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

DEADLINE_SECONDS = 60.0


class Child:
    """A child process as its parent sees it: a line in, a line of JSON out."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    async def ask(self, line: str) -> Any:
        """Send a line, unless it is empty, and return the value of the line that comes back."""
        assert self._process.stdin is not None
        if line:
            self._process.stdin.write(f"{line}\n".encode())
        return await self._listen()

    async def last_words(self) -> Any:
        """End its input and return what it says before it leaves."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return await self._listen()

    async def _listen(self) -> Any:
        assert self._process.stdout is not None
        async with asyncio.timeout(DEADLINE_SECONDS):
            answer = await self._process.stdout.readline()
        if not answer:
            raise RuntimeError("a process of the benchmark has ended before its time")
        return json.loads(answer)


@asynccontextmanager
async def open_child(module: str, *arguments: str) -> AsyncIterator[Child]:
    """Run `python -m module` and end it by closing its input."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", module, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    assert process.stdin is not None
    try:
        yield Child(process)
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def say(value: object) -> None:
    """In the child: hand a value to the parent."""
    print(json.dumps(value), flush=True)


async def obey(commands: dict[str, Callable[[], object]]) -> None:
    """In the child: answer each line with what its command returns, until the input ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while line := (await reader.readline()).decode().strip():
            say(commands[line]())
    finally:
        transport.close()
