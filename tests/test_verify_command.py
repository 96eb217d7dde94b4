"""`python bot.py verify`: the books of a bot that stands still, and of one that is at work."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from commands import verify
from db.engine import Database, DatabaseUnusable, open_database
from db.ledger import admit, begin_attempt
from tests.assistant.scene import GatedChat, Scene
from tests.db.entries import attempt, book, request
from tests.fakes import ScriptedChat

BOT = Path(__file__).parent.parent / "bot.py"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a host types it, in a folder with settings."""
    (folder / ".env").write_text(
        f"DISCORD_TOKEN={'x' * 30}\nDATABASE_URL=sqlite+aiosqlite:///{folder / 'colloquy.db'}\n"
    )
    command = [sys.executable, str(BOT), "verify", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


async def test_books_are_checked_while_the_bot_is_at_work(database: Database, database_url: str) -> None:
    """Requests that are being answered are counted and are no fault; the bot goes on undisturbed."""
    chat = GatedChat()
    scene = Scene(database, [ScriptedChat()])
    await scene.ask(1)
    busy = Scene(database, [chat])
    asking = asyncio.create_task(busy.ask(2))
    await chat.asked.wait()
    assert await verify.examine(database_url) == ([], 1)
    chat.gate.set()
    await asking

    assert await verify.examine(database_url) == ([], 0)


async def test_a_reader_sees_one_moment(database: Database, database_url: str) -> None:
    """Answers that are booked while the books are being read neither wait for that nor look like faults."""
    scene = Scene(database, [ScriptedChat()])
    for number in range(5):
        checking = asyncio.create_task(verify.examine(database_url))
        await asyncio.gather(*(scene.ask(10 * number + one) for one in range(10)))
        problems, _ = await checking
        assert problems == []


async def test_an_attempt_that_outlived_its_request_is_a_fault(database: Database, database_url: str) -> None:
    """An attempt without an end is a fault once its request is closed, also in a running bot."""
    scene = Scene(database)
    async with database.transaction() as connection:
        await admit(connection, request(1))
        await begin_attempt(connection, attempt(request(1)))
    await scene.execute("UPDATE requests SET open = false, reserved_tokens = 0, outcome = 'failed'")
    assert await verify.examine(database_url) == (["1 attempts have no final state."], 0)
    await scene.execute("DELETE FROM attempts")


async def test_a_database_of_another_release_is_not_judged(new_database_url: str, tmp_path: Path) -> None:
    """A schema that is not this release's, or no database at all, is said in a sentence."""
    with pytest.raises(DatabaseUnusable, match="no database at"):
        await verify.examine(new_database_url)
    assert list(tmp_path.iterdir()) == []
    async with open_database(new_database_url) as database:
        await Scene(database).execute("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(DatabaseUnusable, match="schema 0001"):
        await verify.examine(new_database_url)


def test_the_command_tells_and_its_status_too(tmp_path: Path) -> None:
    """0 when the books agree, 1 when they do not, 78 when they cannot be read; `--json` for machines."""
    assert run(tmp_path).returncode == 78

    async def prepare(statement: str) -> None:
        async with open_database(f"sqlite+aiosqlite:///{tmp_path / 'colloquy.db'}") as database:
            async with database.transaction() as connection:
                await book(connection, request(1))
            await Scene(database).execute(statement)

    asyncio.run(prepare("DELETE FROM history"))
    good = run(tmp_path)
    assert (good.returncode, good.stdout) == (0, "ok    ledger, roll-up, reservations and history agree\n")
    assert json.loads(run(tmp_path, "--json").stdout) == {"ok": True, "problems": [], "open_requests": 0}

    (tmp_path / "colloquy.db").unlink()
    asyncio.run(prepare("UPDATE usage_sums SET requests = 2 WHERE kind = 'channel'"))
    bad = run(tmp_path)
    assert bad.returncode == 1
    assert bad.stdout.startswith("FAIL  Ledger and roll-up (channel) differ")
    assert json.loads(run(tmp_path, "--json").stdout)["ok"] is False
