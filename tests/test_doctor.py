"""The doctor: what is well, what is not, and what to do about it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from commands.doctor import REMEDIES, Check, check_chat, examine
from db.engine import open_database
from settings import Settings
from sources import HOW_TO_GET_A_TOKEN
from tests.fake_discord import FakeDiscord, point_discord_py_at
from tests.fake_vendors import FakeVendor, Reply, chunk, events, json_reply, openai_stream, slowly, usage
from tests.fakes import ScriptedChat, chat_route, key, small_png

ROOT = Path(__file__).parent.parent
CANARY = "canary-of-a-secret"
SPENT = json_reply({"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}, 429)
PICTURE = json_reply({"data": [{"b64_json": base64.b64encode(small_png(64, 32)).decode()}]})


def refused(number: int) -> Reply:
    """A refusal that quotes the key that was sent."""
    error = {"message": f"Incorrect API key provided: {CANARY}-{number}", "code": "invalid_api_key"}
    return json_reply({"error": error}, 401)


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = tuple(name.upper() for name in Settings.model_fields)
    for name in list(os.environ):
        if name in ours or name.startswith(("HF_TOKEN", "OPENAI_API_KEY")):
            monkeypatch.delenv(name)


@pytest.fixture
async def discord() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord() as fake:
        yield fake


@pytest.fixture
async def vendor() -> AsyncIterator[FakeVendor]:
    async with FakeVendor() as vendor:
        yield vendor


class Host:
    """A folder with a host's settings, and the doctor in it."""

    def __init__(self, folder: Path, discord: FakeDiscord, vendor: FakeVendor) -> None:
        self.folder = folder
        self.discord = discord
        self.environment = {"DISCORD_TOKEN": discord.token}
        self.write_keys(1)
        chain = 'chat_chain = ["openai"]\nimage_chain = ["hf-nscale"]\n'
        tables = [
            f'[providers.{name}]\nbase_url = "{vendor.url}/v1"\n'
            for name in ("openai", "hf-nscale", "mistral")
        ]
        (folder / "colloquy.toml").write_text("\n".join([chain, *tables]))

    def write_keys(self, openai_keys: int) -> None:
        """So many keys for answers, and one for pictures."""
        lines = [f"OPENAI_API_KEY{number}={CANARY}-{number}" for number in range(1, openai_keys + 1)]
        database = f"DATABASE_URL=sqlite+aiosqlite:///{self.folder}/colloquy.db"
        (self.folder / ".env").write_text("\n".join([database, f"HF_TOKEN={CANARY}-9", *lines]) + "\n")

    def set(self, provider: str, line: str) -> None:
        """Add to a provider's table."""
        path, head = self.folder / "colloquy.toml", f"[providers.{provider}]\n"
        text = path.read_text()
        path.write_text(text.replace(head, f"{head}{line}\n") if head in text else f"{text}{head}{line}\n")

    async def examine(self, monkeypatch: pytest.MonkeyPatch, *, pictures: bool = False) -> dict[str, Check]:
        """The checks by their names, made in this process."""
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)
        with point_discord_py_at(self.discord.url):
            checks = [check async for check in examine(self.folder, pictures=pictures)]
        assert CANARY not in str(checks)
        assert self.discord.token not in str(checks)
        assert all(check.ok or check.remedy for check in checks)
        return {check.name: check for check in checks}

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """The command's exit status, output and errors, from a process of its own."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.run_doctor", self.discord.url, *arguments),
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **self.environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 30)
        output, errors = out.decode(), err.decode()
        assert process.returncode is not None
        assert "Traceback" not in errors, errors
        for text in (output, errors):
            assert CANARY not in text
            assert self.discord.token not in text
        return process.returncode, output, errors


@pytest.fixture
def host(tmp_path: Path, discord: FakeDiscord, vendor: FakeVendor) -> Host:
    return Host(tmp_path, discord, vendor)


OPENAI = "OpenAI (gpt-6-luna) OPENAI_API_KEY"


async def examine_well(
    host: Host, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch, *, pictures: bool = False
) -> dict[str, Check]:
    """The checks where the one key for answers is good."""
    vendor.reply(openai_stream("ok"), key=f"{CANARY}-1")
    return await host.examine(monkeypatch, pictures=pictures)


async def test_each_key_is_tried_and_gets_its_own_remedy(
    host: Host, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A good key, a refused one, one that is used up: every one is asked, in words without its value."""
    host.write_keys(3)
    vendor.reply(openai_stream("ok", used=usage(9, 1)), key=f"{CANARY}-1")
    vendor.reply(refused(2), key=f"{CANARY}-2")
    vendor.reply(SPENT, key=f"{CANARY}-3")
    checks = await host.examine(monkeypatch)

    assert [name for name, check in checks.items() if not check.ok] == [f"{OPENAI}2", f"{OPENAI}3"]
    assert checks[f"{OPENAI}1"].detail == "answered (9 + 1 tokens)"
    assert checks[f"{OPENAI}2"].detail.startswith("auth: HTTP 401")
    assert checks[f"{OPENAI}2"].remedy == REMEDIES["auth"]
    assert checks[f"{OPENAI}3"].detail == "exhausted: HTTP 429: You exceeded your quota"
    assert checks[f"{OPENAI}3"].remedy == REMEDIES["exhausted"]
    assert checks["Discord"].detail.startswith("logged in as ")
    assert {"settings", "database"} <= checks.keys()


async def test_a_picture_is_made_only_when_asked_for(
    host: Host, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture may cost: without `--pictures` its key is named and not tried."""
    (name,) = [name for name in await examine_well(host, vendor, monkeypatch) if "HF_TOKEN" in name]
    assert [request.path for request in vendor.requests] == ["/v1/chat/completions"]
    vendor.reply(PICTURE, key=f"{CANARY}-9")
    checks = await examine_well(host, vendor, monkeypatch, pictures=True)
    assert (checks[name].ok, checks[name].detail) == (True, "made a picture of 64 x 32")
    vendor.reply(SPENT, key=f"{CANARY}-9")
    checks = await examine_well(host, vendor, monkeypatch, pictures=True)
    assert (checks[name].ok, checks[name].remedy) == (False, REMEDIES["exhausted"])


async def test_settings_that_do_not_fit_are_all_told_and_nothing_else_is_tried(
    host: Host, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without settings there is nothing to examine: no login, no database, no call."""
    host.environment = {"LOG_LEVEL": "LOUD"}
    for name, value in host.environment.items():
        monkeypatch.setenv(name, value)
    checks = [check async for check in examine(host.folder, pictures=True)]
    assert {(check.name, check.ok) for check in checks} == {("settings", False)}
    assert HOW_TO_GET_A_TOKEN in [check.detail for check in checks]
    assert any("LOG_LEVEL" in check.detail for check in checks)
    assert vendor.requests == []
    assert host.discord.requests == []
    assert not (host.folder / "colloquy.db").exists()


async def test_a_bot_without_any_key_is_not_well(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both commands have nobody to ask, and the host reads where keys go."""
    (host.folder / ".env").write_text(f"DATABASE_URL=sqlite+aiosqlite:///{host.folder}/colloquy.db\n")
    checks = await host.examine(monkeypatch)
    for command in ("/ask", "/imagine"):
        assert checks[command] == Check(command, False, "nobody can be asked", "Set a key, see .env.example.")


async def test_a_refused_token_is_told(
    host: Host, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Discord's word, where to copy the token from, and all else is examined nevertheless."""
    host.environment["DISCORD_TOKEN"] = f"{CANARY}-token"
    checks = await examine_well(host, vendor, monkeypatch)
    assert (checks["Discord"].ok, checks["Discord"].detail) == (False, "DISCORD_TOKEN was refused")
    assert "discord.com/developers" in checks["Discord"].remedy
    assert checks[f"{OPENAI}1"].ok


async def test_a_database_that_cannot_be_used_is_told(
    host: Host, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why, and what to do; a file that is no database stays what it was."""
    (host.folder / "colloquy.db").write_text("a shopping list, and by far no database " * 100)
    before = (host.folder / "colloquy.db").read_bytes()
    checks = await examine_well(host, vendor, monkeypatch)
    assert not checks["database"].ok
    assert "is not a database" in checks["database"].detail
    assert (host.folder / "colloquy.db").read_bytes() == before


async def test_a_vendor_that_cannot_be_reached_is_told(
    host: Host, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong address is one failed check with the advice to look at it."""
    settings = (host.folder / "colloquy.toml").read_text().replace(vendor.url, "http://127.0.0.1:1")
    (host.folder / "colloquy.toml").write_text(settings)
    checks = await host.examine(monkeypatch)
    assert checks[f"{OPENAI}1"].remedy == REMEDIES["transient"]


async def test_a_server_gets_the_time_that_its_entry_gives_it(
    host: Host, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the first text, and then between pieces: as long as a question would wait, and no longer."""
    host.set("openai", "first_text_seconds = 1\nidle_seconds = 1")
    vendor.reply(slowly(openai_stream(*"okay, okay"), 0.2))
    checks = await host.examine(monkeypatch)
    assert checks[f"{OPENAI}1"].ok
    vendor.reply(replace(openai_stream("ok"), delay=30))
    checks = await host.examine(monkeypatch)
    assert checks[f"{OPENAI}1"].detail == "transient: no answer in time"
    assert checks[f"{OPENAI}1"].remedy == REMEDIES["transient"]


async def test_tokens_that_nobody_has_counted_are_not_told(
    host: Host, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server without figures has answered, and that is all."""
    vendor.reply(events(chunk("ok"), chunk(finish_reason="stop")))
    checks = await host.examine(monkeypatch)
    assert checks[f"{OPENAI}1"].detail == "answered"


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ('base_url = "https://name:secret@example.com/v1"', "must not hold a password"),
        ('base_url = "http://a..b/v1"', "is no address that can be called"),
        ("extra_body = { since = 2026-01-01 }", "holds what JSON does not know"),
    ],
)
async def test_what_could_never_be_sent_is_told_with_the_settings(
    host: Host, monkeypatch: pytest.MonkeyPatch, setting: str, problem: str
) -> None:
    """It is a mistake in the settings, found before anything is tried; a password is not repeated."""
    host.set("groq", setting)
    checks = await host.examine(monkeypatch)
    assert list(checks) == ["settings"]
    assert problem in checks["settings"].detail
    assert "secret" not in checks["settings"].detail


async def test_a_fault_of_our_own_is_a_failed_check(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a provider raises, the others are examined all the same; the log has all of it."""
    chat = ScriptedChat([TypeError("unhashable")])
    check = await check_chat(chat_route(chat), key())
    assert (check.ok, check.detail) == (False, "transient: unexpected TypeError")
    assert "a provider failed in a way it should not" in caplog.text


async def test_the_command_says_line_by_line_what_it_found(host: Host, vendor: FakeVendor) -> None:
    """All well: status 0. Something is not: status 1, and the remedy stands below."""
    vendor.reply(openai_stream("ok"), refused(1))
    status, output, errors = await host.run()
    assert (status, errors) == (0, "")
    assert [line[:4] for line in output.splitlines()] == ["ok  "] * 5

    status, output, errors = await host.run()
    assert (status, errors) == (1, "")
    (number,) = [n for n, line in enumerate(output.splitlines()) if line.startswith("FAIL")]
    assert output.splitlines()[number + 1].strip() == REMEDIES["auth"]


async def test_the_command_can_speak_json(host: Host, vendor: FakeVendor) -> None:
    """One object with every check; its `ok` and the exit status agree."""
    vendor.reply(openai_stream("ok"), SPENT)
    for expected in (0, 1):
        status, output, errors = await host.run("--json")
        report = json.loads(output)
        assert (status, errors) == (expected, "")
        assert report["ok"] is (expected == 0)
        assert [check["ok"] for check in report["checks"]].count(False) == expected
        assert {tuple(check) for check in report["checks"]} == {("name", "ok", "detail", "remedy")}


async def test_the_doctor_may_look_at_a_bot_that_runs(
    host: Host, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database of a running bot is in use, which is no fault."""
    async with open_database(f"sqlite+aiosqlite:///{host.folder}/colloquy.db"):
        checks = await examine_well(host, vendor, monkeypatch)
    assert (checks["database"].ok, checks["database"].detail) == (True, "in use by a running bot")
