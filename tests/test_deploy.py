"""What stands in deploy/ fits the bot: the image has all of it, and service managers treat it as it needs."""

from __future__ import annotations

import asyncio
import configparser
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web

from bot import DELIVERY_SECONDS
from commands import EXIT_CONFIGURATION
from settings import Settings
from sources import HOW_TO_GET_A_TOKEN

ROOT = Path(__file__).parent.parent
CONTAINERFILE = (ROOT / "deploy" / "Containerfile").read_text()
COMPOSE = (ROOT / "deploy" / "compose.yaml").read_text()
UNIT = ROOT / "deploy" / "colloquy.service"

# How many times a day a bot may identify before Discord resets its token.
IDENTIFIES_A_DAY = 1000
# How long a stop may take: answers go on, are cut off and booked, and reach Discord.
STOP_SECONDS = Settings.model_fields["stop_seconds"].default + 15 + DELIVERY_SECONDS


def copied() -> list[str]:
    """What the container file copies from the checkout, as it is written there."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", CONTAINERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def seconds(text: str, name: str) -> int:
    [found] = re.findall(rf"^\s*{name}[=:] ?(\d+)s?$", text, re.MULTILINE)
    return int(found)


def test_what_is_copied_is_let_through_to_the_builder() -> None:
    """The ignore file lets through what the container file copies, and nothing else of the checkout."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()

    assert "*" in lines
    assert sorted(line[1:] for line in lines if line.startswith("!")) == sorted(copied())


def test_image_holds_all_that_the_bot_needs(tmp_path: Path) -> None:
    """A folder with what is copied, and no more, starts the bot as far as its first question: the token."""
    app, empty = tmp_path / "app", tmp_path / "empty"
    app.mkdir()
    empty.mkdir()
    for source in copied():
        for path in ROOT.glob(source.rstrip("/")):
            if path.is_dir():
                shutil.copytree(path, app / path.name, ignore=shutil.ignore_patterns("__pycache__"))
            elif path.name != "demo.py":
                shutil.copy(path, app)

    ended = subprocess.run(
        [sys.executable, app / "bot.py", "run"],
        cwd=empty,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == EXIT_CONFIGURATION
    assert HOW_TO_GET_A_TOKEN in ended.stderr


def test_container_may_write_nothing_but_its_data() -> None:
    """The root is read-only, the user has no rights, and the stop has the time that it needs."""
    assert re.search(r"^USER 10001:10001$", CONTAINERFILE, re.MULTILINE)
    assert re.search(r"^STOPSIGNAL SIGTERM$", CONTAINERFILE, re.MULTILINE)
    for line in (
        "read_only: true",
        "cap_drop: [ALL]",
        'security_opt: ["no-new-privileges:true"]',
        "- data:/data",
    ):
        assert line in COMPOSE
    first_service = COMPOSE.partition("\n  postgresql:\n")[0]
    assert seconds(first_service, "stop_grace_period") > STOP_SECONDS


def test_compose_asks_for_health_as_the_image_does() -> None:
    """Both run the same check just as often, where the bot has been told to listen."""
    [image] = re.findall(r"^HEALTHCHECK ([^\\]+)\\\n +CMD (.+)$", CONTAINERFILE, re.MULTILINE)
    times = dict(re.findall(r"--([\w-]+)=(\w+)", image[0]))
    service = COMPOSE.partition("\n  postgresql:\n")[0]
    [check] = re.findall(r"^    healthcheck:\n((?:      .+\n)+)", service, re.MULTILINE)
    lines = dict(re.findall(r"^ +(\w+): (.+)$", check, re.MULTILINE))

    assert json.loads(lines.pop("test")) == ["CMD", *json.loads(image[1])]
    assert {name.replace("_", "-"): value for name, value in lines.items()} == times
    assert re.search(r"^ +WATCH_PORT=8081$", CONTAINERFILE, re.MULTILINE)
    assert re.search(r"^      WATCH_PORT: 8081$", service, re.MULTILINE)


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False), (404, False), (None, False)])
async def test_health_check_tells_what_the_bot_says(status: int | None, healthy: bool) -> None:
    """It succeeds if /healthz does, and fails if that says no or nothing listens; proxies are not asked."""
    asked = []

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.append(request.path)
        return web.json_response({"alive": healthy}, status=status or 200)

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = str(runner.addresses[0][1])
    if status is None:
        await runner.cleanup()
    try:
        check = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", ROOT / "deploy" / "healthcheck.py"),
            env={"WATCH_PORT": port, "http_proxy": "http://127.0.0.1:9"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        told, _ = await asyncio.wait_for(check.communicate(), 20)
    finally:
        await runner.cleanup()

    assert (check.returncode == 0) is healthy
    assert asked == (["/healthz"] if status else [])
    assert told.decode().startswith(str(status) if status else "")


def test_service_is_not_restarted_too_often_nor_when_that_is_no_use() -> None:
    """Restarts cannot use up Discord's identifies, and do not follow a mistake in the settings."""
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # its documented use
    unit.read(UNIT)
    service = unit["Service"]

    assert service["Restart"] == "always"
    assert 86_400 / int(service["RestartSec"]) < IDENTIFIES_A_DAY
    assert service["RestartPreventExitStatus"] == str(EXIT_CONFIGURATION)
    assert int(service["TimeoutStopSec"]) > STOP_SECONDS


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not there")
def test_unit_file_is_what_systemd_takes(tmp_path: Path) -> None:
    """systemd finds nothing to complain of, given a Python where the unit expects it."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/colloquy/.venv/bin/python", sys.executable))

    verified = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60, check=False
    )

    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
