"""SIGHUP: settings, keys and catalogue are read again while the bot answers, over a fake Discord."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fake_discord import FakeDiscord, FakeUser
from tests.fake_vendors import FakeVendor, Reply, json_reply, openai_stream
from tests.hosted_bot import ROOT, TOML, Host
from tests.living_bot import answered

OWNER_CHANNEL = 500_000_000_000_000_001
ANOTHER = FakeUser(200_000_000_000_000_002, "grace", "Grace")
SECOND_KEY = "canary-of-the-second-key"

# Makes standard error the terminal of its session, then becomes another program.
IN_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(2, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
async def vendor() -> AsyncIterator[FakeVendor]:
    async with FakeVendor() as vendor:
        yield vendor


@pytest.fixture
async def host(tmp_path: Path, vendor: FakeVendor) -> AsyncIterator[Host]:
    async with FakeDiscord() as fake:
        host = Host(tmp_path, fake, vendor.url)
        host.write(env=host.read(".env") + f"OWNER_CHANNEL_ID={OWNER_CHANNEL}\n")
        yield host


def slowly(reply: Reply) -> Reply:
    pieces = [part for piece in reply.pieces for part in (piece, 0.2)]
    return Reply(tuple(pieces), headers=reply.headers)


def notices(host: Host) -> list[str]:
    return [message.content for message in host.fake.messages if message.channel_id == OWNER_CHANNEL]


async def test_new_key_and_provider_are_used_and_no_answer_is_dropped(host: Host, vendor: FakeVendor) -> None:
    """What is being answered ends as it began; the next question goes to the new address with the new key."""
    vendor.reply(slowly(openai_stream(*["old "] * 20)))
    async with FakeVendor() as other, host.start() as process:
        other.reply(openai_stream("new"))
        await host.fake.ready(timeout=20)
        first = await host.fake.slash("ask", {"prompt": "First?"}, channel_id=1)
        await first.until(lambda it: answered(it, "old"), timeout=10)
        host.write(
            host.read(".env").replace("key-of-the-test", SECOND_KEY) + "LOG_LEVEL=DEBUG\n",
            TOML.format(vendor_url=other.url) + '\n[chat]\nsystem_prompt = "Be kind."\n',
        )
        process.send_signal(signal.SIGHUP)
        await host.until_logged("the settings were read again")
        second = await host.fake.slash("ask", {"prompt": "Second?"}, channel_id=2, user=ANOTHER)
        await second.until(lambda it: answered(it, "new"), timeout=10)
        assert not answered(first, " ".join(["old"] * 20))
        await first.until(lambda it: answered(it, " ".join(["old"] * 20)), timeout=10)
        assert process.returncode is None

    assert vendor.keys == ["key-of-the-test"]
    assert other.keys == [SECOND_KEY]
    system = other.requests[0].body["messages"][0]["content"]
    assert system.startswith("Be kind.\n\n")
    assert len(host.fake.gateway.identifies) == 1
    assert "DEBUG" in host.log
    assert SECOND_KEY not in host.log
    assert notices(host) == []


async def test_settings_with_mistakes_change_nothing(host: Host, vendor: FakeVendor) -> None:
    """Every mistake is in the log, the owner is told, and answers come by the old settings until then."""
    vendor.reply(openai_stream("as before"))
    good = host.read("colloquy.toml")
    async with host.start() as process:
        await host.until_logged("connected to Discord")
        host.write(toml='chat_chain = ["nobody"]\n[limits]\ntokens = 5\n' + good)
        process.send_signal(signal.SIGHUP)
        await host.until_logged("goes on with its old settings")
        interaction = await host.fake.slash("ask", {"prompt": "Still there?"})
        await interaction.until(lambda it: answered(it, "as before"), timeout=10)
        await host.fake.until(lambda: notices(host))
        host.write(toml=good)
        process.send_signal(signal.SIGHUP)
        await host.until_logged("the settings were read again")

    assert notices(host) == [
        "The new settings have mistakes, which the log lists: the old ones stay in force."
    ]
    assert "the new settings have a mistake: limits.tokens: there is no such setting." in host.log


async def test_a_refused_key_is_tried_again_with_its_old_value(host: Host, vendor: FakeVendor) -> None:
    """The host gave it a permission at its vendor; at SIGHUP, and at a start, one request tries it."""
    refusal = json_reply({"error": {"message": "no permission", "code": "invalid_api_key"}}, status=401)
    vendor.reply(refusal, refusal, openai_stream("at last"))
    async with host.start() as process:
        await host.fake.ready(timeout=20)
        await host.fake.slash("ask", {"prompt": "First?"}, channel_id=1)
        await host.until_logged("was refused by")
        process.send_signal(signal.SIGHUP)
        await host.until_logged("the settings were read again")
        await host.fake.slash("ask", {"prompt": "Second?"}, channel_id=2, user=ANOTHER)
        async with asyncio.timeout(10):
            while len(vendor.requests) < 2:  # noqa: ASYNC110 (a list that the vendor fills)
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)  # for the refusal to be remembered
    async with host.start():
        await host.until_logged("connected to Discord")
        third = await host.fake.slash("ask", {"prompt": "Third?"}, channel_id=3)
        await third.until(lambda it: answered(it, "at last"), timeout=10)


async def test_what_only_a_restart_can_change_is_said(host: Host) -> None:
    """Another token or database, or mentions turned on, take a restart, and the owner reads so."""
    async with host.start() as process:
        await host.until_logged("connected to Discord")
        host.write(
            host.read(".env").replace(host.fake.token, "another.token"),
            host.read("colloquy.toml") + "\n[chat]\nanswer_mentions = true\n",
        )
        process.send_signal(signal.SIGHUP)
        await host.fake.until(lambda: len(notices(host)) == 2)

    assert notices(host) == [
        "DISCORD_TOKEN has changed in the settings. The bot has to be restarted for that.",
        "[chat] answer_mentions has changed in the settings. The bot has to be restarted for that.",
    ]


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no terminals of this kind")
async def test_terminal_that_is_closed_ends_the_bot(host: Host) -> None:
    """A bot that was started in a terminal does not outlive it: that SIGHUP means the end."""
    ours, its = os.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", IN_A_TERMINAL),
        *(sys.executable, "-m", "tests.run_main", host.fake.url),
        stderr=its,
        cwd=host.folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    try:
        await host.fake.ready(timeout=20)
        os.close(its)
        os.close(ours)
        status = await asyncio.wait_for(process.wait(), 10)
        assert status in (0, 120)  # the latter from Python, whose last lines had no terminal to go to
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
