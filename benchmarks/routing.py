"""The cost of the machinery: an answer of 300 pieces through chain, key pool and ledger, and without them.

The vendor is scripted, sits in a process of its own and sends each piece on its own, as vendors do. Asked
directly and through the chain, every other time in the other order; what is compared is the CPU time of this
process. Nothing is stored or booked. Beside the share stands what the machinery adds for each piece.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import aiohttp
from pydantic import SecretStr

from benchmarks.key_policies import NoLedger
from providers.base import ChatEvent, ChatProvider, ChatRequest, Delta, Key, Message
from providers.catalog import Entry
from providers.chat_completions import ChatCompletions
from providers.route import Route
from providers.router import ChatRouter
from providers.transport import Transport

PIECES = 300
TEXTS = [f"piece {number} " for number in range(PIECES)]
TEXT = "".join(TEXTS)
PAUSE_SECONDS = 0.0005
ROUNDS = 150
WARM_UP = 3
AIM_PERCENT = 5.0

QUESTION = ChatRequest((Message("system", "Answer briefly."), Message("user", "What is a colloquy?")))
KEYS = [Key(f"KEY{number}", SecretStr(f"key {number}")) for number in range(1, 7)]


async def be_a_vendor() -> None:
    """In the child: answer as often as it is needed, until the parent closes the line."""
    from tests.fake_vendors import FakeVendor, Reply, mistral_stream

    stream = mistral_stream(*TEXTS)
    pieces: list[bytes | float] = []
    for piece in stream.pieces:
        pieces += [piece, PAUSE_SECONDS]
    async with FakeVendor() as vendor:
        vendor.reply(*[Reply(tuple(pieces), headers=stream.headers)] * (ROUNDS + WARM_UP) * 2)
        print(vendor.url, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


@asynccontextmanager
async def open_vendor() -> AsyncIterator[str]:
    """The child's address."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "benchmarks.routing", "--child"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        yield (await child.stdout.readline()).decode().strip()
    finally:
        child.stdin.close()
        await child.wait()


async def cpu_seconds(answer: AsyncGenerator[ChatEvent]) -> float:
    """What it costs this process to take an answer to its end."""
    began_at = time.process_time()
    async with aclosing(answer) as events:
        text = "".join([event.text async for event in events if isinstance(event, Delta)])
    assert text == TEXT
    return time.process_time() - began_at


async def compare() -> dict[str, float]:
    """The median of the bare call, and of what the machinery adds to it in the same round.

    A round's two calls are a moment apart, so what else the machine does falls upon both.
    """
    async with open_vendor() as url, aiohttp.ClientSession() as session:
        entry = Entry(name="scripted", wire="chat-completions", base_url=f"{url}/v1", model="scripted-model")
        provider: ChatProvider = ChatCompletions(entry, Transport(session))
        router = ChatRouter([Route(provider, "scripted", KEYS)])
        ledger = NoLedger()
        # As in every bot that runs. Without it the loop's only timer would be that of routing's deadline, and
        # what it costs to wait with a timer, for each piece, would be charged to routing.
        standing = asyncio.get_running_loop().call_later(3600, lambda: None)
        rounds: list[tuple[float, float]] = []
        for _ in range(WARM_UP + ROUNDS):
            if len(rounds) % 2:  # neither way always has what the other has just warmed up
                bare = await cpu_seconds(provider.stream(QUESTION, KEYS[0]))
                routed = await cpu_seconds(router.stream(QUESTION, ledger))
            else:
                routed = await cpu_seconds(router.stream(QUESTION, ledger))
                bare = await cpu_seconds(provider.stream(QUESTION, KEYS[0]))
            rounds.append((bare, routed))
        standing.cancel()
    measured = rounds[WARM_UP:]
    without = statistics.median(bare for bare, _ in measured)
    added = statistics.median(routed - bare for bare, routed in measured)
    return {
        "overhead_percent": round(100 * added / without, 2),
        "bare_ms": round(1000 * without, 3),
        "routed_ms": round(1000 * (without + added), 3),
        "added_us_per_piece": round(1e6 * added / PIECES, 2),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        asyncio.run(be_a_vendor())
        return
    result = asyncio.run(compare())
    if arguments.json:
        print(json.dumps(result))
        return
    print(f"CPU time of an answer of {PIECES} pieces, median of {ROUNDS}")
    print(f"{'bare call':24}{result['bare_ms']:8.2f} ms")
    print(f"{'chain, pool and ledger':24}{result['routed_ms']:8.2f} ms")
    print(f"{'overhead':24}{result['overhead_percent']:8.1f} %   (aim: under {AIM_PERCENT:.0f} %)")
    print(f"{'for each piece':24}{result['added_us_per_piece']:8.2f} us")


if __name__ == "__main__":
    main()
