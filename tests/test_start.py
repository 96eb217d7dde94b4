"""The start: what the command line says when something is wrong, and what it reads when nothing is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from commands import EXIT_CONFIGURATION
from configuration import all_secrets, configure
from settings import Settings, SettingsError
from sources import HOW_TO_GET_A_TOKEN

BOT = Path(__file__).parent.parent / "bot.py"
CANARY = "canary-of-a-secret"

# Opens the bot and prints which modules that took.
OPENING = """
import asyncio, sys
from pydantic import SecretStr
from bot import EXTENSIONS, open_bot
from settings import Settings

async def start():
    settings = Settings(discord_token=SecretStr("some-token"), database_url=SecretStr(sys.argv[1]))
    async with open_bot(settings) as bot:
        for extension in EXTENSIONS:
            await bot.load_extension(extension)

asyncio.run(start())
print(*sys.modules, sep="\\n")
"""


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def start(folder: Path, **environ: str) -> tuple[int, str]:
    """Run the bot in a folder; give its exit status and what it wrote."""
    ended = subprocess.run(
        [sys.executable, BOT],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONWARNINGS": "error,ignore:'audioop':DeprecationWarning"}
        | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=30,
        check=False,
    )
    assert "Traceback" not in ended.stdout, ended.stdout
    assert CANARY not in ended.stdout
    return ended.returncode, ended.stdout


def problems_of(folder: Path, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as error:
        configure(environ or {}, folder)
    return error.value.problems


def test_first_start_tells_what_to_do(tmp_path: Path) -> None:
    """In an empty folder the bot says where to get a token, ends with status 78 and leaves nothing."""
    assert start(tmp_path) == (
        EXIT_CONFIGURATION,
        f"Colloquy cannot start. Please put this right:\n  - {HOW_TO_GET_A_TOKEN}\n",
    )
    assert EXIT_CONFIGURATION == 78
    assert list(tmp_path.iterdir()) == []


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Mistakes of all kinds, in all files, are one list; no secret is in it, and no traceback."""
    (tmp_path / ".env").write_text(f"LOG_LEVEL=LOUD\nHF_TOKNE={CANARY}\nHF_TOKEN='{CANARY} {CANARY}'\n")
    (tmp_path / "colloquy.toml").write_text(
        f"""
            discord_token = "{CANARY}"
            chat_chains = []
            image_chain = ["paintbrush"]
            [limits]
            tokens = 5
        """
    )
    status, text = start(tmp_path)

    assert status == EXIT_CONFIGURATION
    lines = text.splitlines()[1:]
    assert [line[:4] for line in lines] == ["  - "] * len(lines)
    for part in (
        "discord_token is a secret and belongs into .env",
        "DISCORD_TOKEN is missing",
        "there is no setting 'chat_chains'. Is chat_chain meant?",
        "LOG_LEVEL must be",
        "limits.tokens: there is no such setting",
        "image_chain: there is no provider 'paintbrush'",
        "HF_TOKEN has a space",
        "nothing reads HF_TOKNE. Is HF_TOKEN meant?",
    ):
        assert len([line for line in lines if part in line]) == 1, part


def test_unusable_database_ends_the_start(tmp_path: Path) -> None:
    """A database that cannot be opened is told in a sentence before Discord is asked, with status 78."""
    (tmp_path / "file").write_text("something")
    address = f"sqlite+aiosqlite:///{tmp_path}/file/x.db"

    status, text = start(tmp_path, DISCORD_TOKEN=CANARY, DATABASE_URL=address)

    assert status == EXIT_CONFIGURATION
    assert "Colloquy cannot start. The folder of" in text


def test_what_a_start_does_not_need_is_not_imported(new_database_url: str) -> None:
    """Alembic is there on the first start and on no other; PostgreSQL, Pillow, rich and watching on none."""
    starts = [
        subprocess.run(
            [sys.executable, "-c", OPENING, new_database_url],
            cwd=BOT.parent,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout.splitlines()
        for _ in range(2)
    ]

    for modules, migrating in zip(starts, (True, False), strict=True):
        assert ("alembic" in modules) == migrating
        assert not {"PIL", "aiohttp.web", "prometheus_client", "monitoring", "rich"} & set(modules)
        assert "db.backup" not in modules
    # Alembic itself loads it.
    assert "sqlalchemy.dialects.postgresql" not in starts[1]


def test_whole_configuration_is_read(tmp_path: Path) -> None:
    """Settings and keys come together from .env, secret files and colloquy.toml."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "groq_api_key").write_text("key-in-a-file\n")
    (tmp_path / ".env").write_text("DISCORD_TOKEN=some-token\nHF_TOKEN2=second-key\nHF_TOKEN1=first-key\n")
    (tmp_path / "colloquy.toml").write_text('chat_chain = ["groq"]\n[providers.groq]\nmodel = "another"')
    settings, variables = configure({"CREDENTIALS_DIRECTORY": str(secrets)}, tmp_path)

    assert settings.discord_token.get_secret_value() == "some-token"
    assert settings.chat_chain == ("groq",)
    assert settings.providers == {"groq": {"model": "another"}}
    assert [name for name, _ in variables.find("HF_TOKEN")] == ["HF_TOKEN1", "HF_TOKEN2"]
    assert [value.get_secret_value() for _, value in variables.find("GROQ_API_KEY")] == ["key-in-a-file"]


def test_secrets_to_keep_out_of_the_log_are_all_of_them(tmp_path: Path) -> None:
    """Token, keys, also of the host's own providers, and the database's password by itself are secrets."""
    (tmp_path / ".env").write_text(
        "DISCORD_TOKEN=some-token\nHF_TOKEN7=some-key\nMY_KEY=my-key\nOTHER=no-secret\n"
        "DATABASE_URL=postgresql+asyncpg://me:pass%40word@host/name\n"
    )
    (tmp_path / "colloquy.toml").write_text(
        '[providers.mine]\nwire = "chat-completions"\nmodel = "m"\nbase_url = "http://h"\nkeys = ["MY_KEY"]'
    )
    settings, variables = configure({}, tmp_path)
    secrets = {secret.get_secret_value() for secret in all_secrets(settings, variables)}

    assert secrets == {
        *("some-token", "some-key", "my-key", "pass%40word", "pass@word"),
        "postgresql+asyncpg://me:pass%40word@host/name",
    }


def test_names_of_chains_are_checked(tmp_path: Path) -> None:
    """A chain that names a provider there is not, or one of the wrong kind, is told with what there is."""
    (tmp_path / ".env").write_text("DISCORD_TOKEN=some-token\nCHAT_CHAIN=grok,sketch\n")
    first, second = problems_of(tmp_path)

    assert first.startswith("chat_chain: there is no provider 'grok'. There are: ")
    assert "groq" in first
    assert second == "chat_chain: the provider 'sketch' makes pictures."


@pytest.mark.parametrize("providers", ["providers = 5", "[providers]\ngroq = 5", "[providers]\ngroq = [1]"])
def test_providers_that_are_no_tables_are_told(tmp_path: Path, providers: str) -> None:
    """A value where a provider's table should be is a mistake like any other."""
    (tmp_path / ".env").write_text("DISCORD_TOKEN=some-token\n")
    (tmp_path / "colloquy.toml").write_text(providers)

    [problem] = problems_of(tmp_path)

    assert problem.startswith("providers")
    assert "should be a valid dictionary" in problem


def test_mistake_in_the_catalogue_hides_no_other(tmp_path: Path) -> None:
    """Providers that do not fit are told together with everything else that is wrong."""
    (tmp_path / ".env").write_text("HF_TOKNE=x\n")
    (tmp_path / "colloquy.toml").write_text("[providers.groq]\ntemperatur = 1\n[providers.mine]\nmodel = 'm'")

    assert problems_of(tmp_path) == [
        HOW_TO_GET_A_TOKEN,
        "[providers.groq] temperatur: there is no such setting.",
        "[providers.mine] wire: Field required.",
        ".env: nothing reads HF_TOKNE. Is HF_TOKEN meant?",
    ]


def test_misspelt_names_and_broken_keys_are_told(tmp_path: Path) -> None:
    """A name in .env that is nearly one of ours, and a key that cannot be one, stop the start."""
    (tmp_path / ".env").write_text("DISCORD_TOKEN=some-token\nGROK_API_KEY=x\nLOGLEVEL=DEBUG\n")

    assert problems_of(tmp_path, {"HF_TOKEN3": '"quoted"'}) == [
        "HF_TOKEN3 has a space, a quotation mark or another character in it that no key has. Copy it again.",
        ".env: nothing reads GROK_API_KEY. Is GROQ_API_KEY meant?",
        ".env: nothing reads LOGLEVEL. Is LOG_LEVEL meant?",
    ]


def test_names_of_tables_are_no_names_for_variables(tmp_path: Path) -> None:
    """A variable in .env that looks like one of the tables of colloquy.toml is somebody else's."""
    (tmp_path / ".env").write_text("DISCORD_TOKEN=some-token\nCHATS=1\nPROVIDER=x\nLIMIT=5\nCHAT=7\n")

    settings, _ = configure({}, tmp_path)

    assert settings.providers == {}
