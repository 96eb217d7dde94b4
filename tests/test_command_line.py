"""The command line as a whole: what it lists, what it teaches, and what it loads."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from commands import COMMANDS

ROOT = Path(__file__).parent.parent


def run(folder: Path, *arguments: str, stdout: str = "") -> subprocess.CompletedProcess[str]:
    """The command as a host types it, in a folder with settings; its output may go to a file."""
    with open(stdout, "w") if stdout else nullcontext(subprocess.PIPE) as output:
        return subprocess.run(
            [sys.executable, ROOT / "bot.py", *arguments],
            cwd=folder,
            env={"PATH": os.environ["PATH"]},
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )


def test_every_command_has_its_module() -> None:
    """All subcommands but `run` are modules of `commands`, and every module with a `main` is a subcommand."""
    modules = {path.stem for path in (ROOT / "commands").glob("*.py") if "\ndef main(" in path.read_text()}

    assert modules - {"__init__"} == set(COMMANDS) - {"run"}


def test_help_lists_every_command(tmp_path: Path) -> None:
    """Without settings too, `--help` names all commands and what the exit status means."""
    told = run(tmp_path, "--help")

    assert (told.returncode, told.stderr) == (0, "")
    for name, line in COMMANDS.items():
        assert name in told.stdout
        assert line in " ".join(told.stdout.split())
    assert "78" in told.stdout


@pytest.mark.parametrize("command", ["backup", "restore x", "export", "verify", "migrate --to x"])
def test_an_address_that_cannot_be_read_is_not_repeated(tmp_path: Path, command: str) -> None:
    """A password with a sign that should be written otherwise is a sentence, and no part of it is told."""
    (tmp_path / ".env").write_text("DATABASE_URL=postgresql+asyncpg://me:pass:w0rd@host:w0rd/name\n")

    refused = run(tmp_path, *command.split())

    assert refused.returncode == 78
    assert "DATABASE_URL cannot be read" in refused.stderr
    assert "w0rd" not in refused.stderr + refused.stdout
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_teaches(tmp_path: Path, name: str) -> None:
    """Each command says what its exit status means, and all but `run` show an example of themselves."""
    told = run(tmp_path, name, "--help")

    assert (told.returncode, told.stderr) == (0, "")
    assert "exit status" in told.stdout
    assert name == "run" or f"python bot.py {name}" in told.stdout
    assert max(map(len, told.stdout.splitlines())) <= 115


def test_wrong_usage_has_its_own_status(tmp_path: Path) -> None:
    """A command that there is not, or an option that it has not, ends with status 2 and a sentence."""
    for arguments in (("backpu",), ("verify", "--jsno"), ("run", "now")):
        told = run(tmp_path, *arguments)
        assert told.returncode == 2
        assert "Traceback" not in told.stderr
        assert arguments[-1] in told.stderr


def test_what_has_nothing_to_do_with_discord_needs_no_token(tmp_path: Path) -> None:
    """The bot does not start without a token; a command that only wants the database looks for that."""
    assert "DISCORD_TOKEN is missing" in run(tmp_path, "run").stderr

    for name, words in (("verify", "no database at"), ("export", "no database at"), ("backup", "not there")):
        told = run(tmp_path, name)
        assert words in told.stderr
        assert "DISCORD_TOKEN" not in told.stderr


def test_settings_with_mistakes_are_told_by_every_command(tmp_path: Path) -> None:
    """A command that needs settings lists what is wrong with them, with status 78."""
    (tmp_path / ".env").write_text("DISCORD_TOKEN=some-token\nLOG_LEVEL=LOUD\n")

    told = run(tmp_path, "verify")

    assert told.returncode == 78
    assert told.stderr == ("Please put this right:\n  - LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR.\n")
