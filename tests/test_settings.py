"""Settings: which source decides, and how mistakes are told."""

from pathlib import Path

import pytest

from providers.keys import collect_keys
from settings import Settings, SettingsError
from sources import HOW_TO_GET_A_TOKEN, Variables, read_settings, read_toml, secret_folders

CANARY = "canary-of-a-secret"


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    return folder


def read(folder: Path, dotenv: str = "", toml: str = "", *, token: bool = True) -> Settings:
    """Read the settings of a folder with these files, and with the secrets that stand in `secrets`."""
    (folder / ".env").write_text(("DISCORD_TOKEN=some-token\n" if token else "") + dotenv, encoding="utf-8")
    (folder / "colloquy.toml").write_text(toml, encoding="utf-8")
    folders = secret_folders({"CREDENTIALS_DIRECTORY": str(folder / "secrets")})
    return read_settings(read_toml(folder / "colloquy.toml"), folder / ".env", folders)


def mistakes(folder: Path, dotenv: str = "", toml: str = "", *, token: bool = True) -> list[str]:
    with pytest.raises(SettingsError) as error:
        read(folder, dotenv, toml, token=token)
    assert str(error.value) == "; ".join(error.value.problems)
    return error.value.problems


def variables(folder: Path, dotenv: str = "", environ: dict[str, str] | None = None) -> Variables:
    (folder / ".env").write_text(dotenv, encoding="utf-8")
    folders = secret_folders({"CREDENTIALS_DIRECTORY": str(folder / "secrets")})
    return Variables(environ or {}, folder / ".env", folders)


def found(variables: Variables, name: str) -> list[tuple[str, str]]:
    return [(variable, value.get_secret_value()) for variable, value in variables.find(name)]


def test_nearest_source_decides(tmp_path: Path, secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secret files are asked first, then the environment, .env, colloquy.toml, and at last the default."""
    toml = 'log_level = "ERROR"'
    (secrets / "log_level").write_text("WARNING\n")
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    assert read(tmp_path, "LOG_LEVEL=INFO", toml).log_level == "WARNING"
    (secrets / "log_level").write_text("\n")
    assert read(tmp_path, "LOG_LEVEL=INFO", toml).log_level == "DEBUG"
    (secrets / "log_level").unlink()
    assert read(tmp_path, "LOG_LEVEL=INFO", toml).log_level == "DEBUG"
    monkeypatch.delenv("LOG_LEVEL")
    assert read(tmp_path, "LOG_LEVEL=INFO", toml).log_level == "INFO"
    assert read(tmp_path, "", toml).log_level == "ERROR"
    assert read(tmp_path).log_level == "INFO"


def test_blank_value_decides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is set to nothing leaves the choice to the next source."""
    monkeypatch.setenv("LOG_LEVEL", "")

    assert read(tmp_path, "LOG_LEVEL=DEBUG").log_level == "DEBUG"
    assert read(tmp_path, "LOG_LEVEL=", 'log_level = "ERROR"').log_level == "ERROR"


def test_tables_come_from_the_toml_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that happens to be called CHAT, LIMITS or PROVIDERS is none of our settings."""
    for name in ("CHAT", "LIMITS", "PROVIDERS", "chat"):
        monkeypatch.setenv(name, "canary")
    settings = read(tmp_path, "LIMITS=canary\nCHAT={}", "[limits]\ntokens_per_day = 5")

    assert settings.limits.tokens_per_day == 5
    assert settings.chat == Settings.model_fields["chat"].default
    assert settings.providers == {}


def test_toml_holds_preferences(tmp_path: Path) -> None:
    """Chains, tables and numbers are read from colloquy.toml as they stand there."""
    settings = read(
        tmp_path,
        toml="""
            development_guild_id = 123456789012345678
            chat_chain = ["groq", "mistral"]
            image_chain = []
            [chat]
            system_prompt = "Speak in rhymes."
            history_tokens = 0
            [limits]
            member_pictures_per_day = 3
            [providers.groq]
            model = "another"
        """,
    )

    assert settings.development_guild_id == 123456789012345678
    assert settings.chat_chain == ("groq", "mistral")
    assert settings.image_chain == ()
    assert (settings.chat.system_prompt, settings.chat.history_tokens) == ("Speak in rhymes.", 0)
    assert settings.limits.model_dump(exclude_none=True) == {"member_pictures_per_day": 3}
    assert settings.providers == {"groq": {"model": "another"}}


def test_chain_in_a_variable_is_split_at_commas(tmp_path: Path) -> None:
    """A chain in the environment or .env is a list of names with commas between them."""
    settings = read(tmp_path, "CHAT_CHAIN= groq , mistral,,\nIMAGE_CHAIN=")

    assert settings.chat_chain == ("groq", "mistral")
    assert settings.image_chain is None


def test_level_may_be_written_small(tmp_path: Path) -> None:
    """The log level is read whatever its case."""
    assert read(tmp_path, "LOG_LEVEL=debug").log_level == "DEBUG"


def test_log_and_watching_can_be_set_anywhere(tmp_path: Path) -> None:
    """The log's form and the place to watch at stand in .env or colloquy.toml; blank, there is none."""
    settings = read(tmp_path, "LOG_FORMAT=JSON\nWATCH_PORT=8081", 'watch_host = "0.0.0.0"')
    blank = read(tmp_path, "WATCH_PORT=\nLOG_FORMAT=")

    assert (settings.log_format, settings.watch_host, settings.watch_port) == ("json", "0.0.0.0", 8081)
    assert (blank.log_format, blank.watch_host, blank.watch_port) == ("text", "127.0.0.1", None)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("LOG_FORMAT=yaml", "LOG_FORMAT must be text or json."),
        ("WATCH_PORT=0", "WATCH_PORT: Input should be greater than or equal to 1."),
        ("WATCH_PORT=65536", "WATCH_PORT: Input should be less than or equal to 65535."),
        (
            "WATCH_PORT=http",
            "WATCH_PORT: Input should be a valid integer, unable to parse string as an integer.",
        ),
    ],
)
def test_mistakes_in_log_and_watching_are_told(tmp_path: Path, line: str, sentence: str) -> None:
    """A form that there is not, and a port that cannot be one."""
    assert mistakes(tmp_path, line) == [sentence]


def test_missing_token_is_explained(tmp_path: Path) -> None:
    """Without a token, or with a blank one, there is one sentence: where to get it and where to put it."""
    assert mistakes(tmp_path, token=False) == [HOW_TO_GET_A_TOKEN]
    assert mistakes(tmp_path, "DISCORD_TOKEN=\n", token=False) == [HOW_TO_GET_A_TOKEN]


def test_all_mistakes_are_told_at_once_without_their_values(tmp_path: Path, secrets: Path) -> None:
    """Every mistake of every source has its sentence in one list, and no sentence quotes a value."""
    (secrets / "database_url").write_text(f"mysql://user:{CANARY}@host/name")
    problems = mistakes(
        tmp_path,
        f'DISCORD_TOKEN="{CANARY} {CANARY}"\nLOG_LEVEL={CANARY}\nDEVELOPMENT_GUILD_ID={CANARY}',
        f"""
            chat_chain = 5
            image_chain = ["{CANARY}", 7]
            chats = "{CANARY}"
            [chat]
            history_tokens = "{CANARY}"
            system = "{CANARY}"
            [limits]
            tokens_per_day = -1
            [providers]
            groq = "{CANARY}"
        """,
        token=False,
    )

    assert len(problems) == 11
    for beginning in (
        "DISCORD_TOKEN is empty, or has a space",
        "DATABASE_URL must begin with sqlite+aiosqlite:/// or postgresql+asyncpg://",
        "LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR",
        "DEVELOPMENT_GUILD_ID: Input should be a valid integer",
        "CHAT_CHAIN: Input should be a valid tuple",
        "image_chain.1: Input should be a valid string",
        "colloquy.toml: there is no setting 'chats'. Is chat meant?",
        "chat.history_tokens: Input should be a valid integer",
        "chat.system: there is no such setting",
        "limits.tokens_per_day: Input should be greater than or equal to 0",
        "providers.groq: Input should be a valid dictionary",
    ):
        assert len([problem for problem in problems if problem.startswith(beginning)]) == 1, beginning
    assert CANARY not in str(problems)


@pytest.mark.parametrize("name", ["discord_token", "database_url"])
def test_secret_in_the_toml_is_refused(tmp_path: Path, name: str) -> None:
    """A secret in colloquy.toml is not used: the host is told to move it, without its being repeated."""
    [problem] = mistakes(tmp_path, toml=f'{name} = "{CANARY}"')

    assert problem == f"colloquy.toml: {name} is a secret and belongs into .env, as {name.upper()}=..."


def test_broken_toml_is_told_by_line(tmp_path: Path) -> None:
    """A colloquy.toml that cannot be read is told with the place of the mistake."""
    [problem] = mistakes(tmp_path, toml='log_level = "INFO"\nchat_chain = [')

    assert problem.startswith("colloquy.toml cannot be read: ")
    assert "line 2" in problem or "end of document" in problem


def test_files_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """The mark with which some editors begin a file does not hide its first line."""
    (tmp_path / ".env").write_text("DISCORD_TOKEN=some-token", encoding="utf-8-sig")
    (tmp_path / "colloquy.toml").write_text('log_level = "ERROR"', encoding="utf-8-sig")
    settings = read_settings(read_toml(tmp_path / "colloquy.toml"), tmp_path / ".env", [])

    assert settings.discord_token.get_secret_value() == "some-token"
    assert settings.log_level == "ERROR"
    assert found(Variables({}, tmp_path / ".env", []), "DISCORD_TOKEN") == [("DISCORD_TOKEN", "some-token")]


def test_secret_files_may_begin_with_it_too(tmp_path: Path, secrets: Path) -> None:
    """The mark is no part of a token or a key."""
    (secrets / "discord_token").write_text("some-token\n", encoding="utf-8-sig")
    (secrets / "hf_token").write_text("some-key", encoding="utf-8-sig")
    settings = read_settings({}, tmp_path / ".env", [secrets])

    assert settings.discord_token.get_secret_value() == "some-token"
    assert found(Variables({}, tmp_path / ".env", [secrets]), "HF_TOKEN") == [("HF_TOKEN", "some-key")]


def test_names_as_the_environment_has_them_get_a_hint(tmp_path: Path) -> None:
    """In colloquy.toml they are written small, and whoever writes them large is told so."""
    [problem] = mistakes(tmp_path, toml="WATCH_PORT = 8081")

    assert problem == "colloquy.toml: there is no setting 'WATCH_PORT'. Is watch_port meant?"


def test_files_that_are_no_text_are_told(tmp_path: Path, secrets: Path) -> None:
    """A file in another encoding is told in a sentence, whichever of the three it is."""
    (tmp_path / "colloquy.toml").write_bytes(b'log_level = "\xff"')
    with pytest.raises(SettingsError, match=r"colloquy\.toml cannot be read"):
        read_toml(tmp_path / "colloquy.toml")
    (secrets / "discord_token").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="secret file cannot be read"):
        read_settings({}, tmp_path / "no such file", [secrets])
    (tmp_path / ".env").write_bytes(b"DISCORD_TOKEN=\xff")
    with pytest.raises(SettingsError, match=r"\.env cannot be read.* saved as UTF-8"):
        Variables({}, tmp_path / ".env", [])


def test_settings_hide_their_secrets(tmp_path: Path) -> None:
    """Printed or logged whole, the settings show no secret."""
    settings = read(tmp_path, f"DATABASE_URL=postgresql+asyncpg://me:{CANARY}@host/name")

    assert CANARY not in f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"
    assert "some-token" not in repr(settings)


def test_keys_are_found_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """NAME comes first, then NAME1, NAME2 and NAME10, and no other name that begins alike."""
    dotenv = "\n".join(f"HF_TOKEN{number}=key{number}" for number in (10, 2, "", 1, "_OLD", 123456))

    assert found(variables(tmp_path, dotenv), "HF_TOKEN") == [
        ("HF_TOKEN", "key"),
        ("HF_TOKEN1", "key1"),
        ("HF_TOKEN2", "key2"),
        ("HF_TOKEN10", "key10"),
    ]


def test_keys_come_from_all_sources(tmp_path: Path, secrets: Path) -> None:
    """Each key is taken from the first source that has its name, and less the space around it."""
    (secrets / "hf_token1").write_text("file\n")
    (secrets / "HF_TOKEN2").write_text(" \n")
    environ = {"HF_TOKEN": " environment ", "HF_TOKEN1": "hidden", "HF_TOKEN3": ""}

    assert found(
        variables(tmp_path, "HF_TOKEN=hidden\nHF_TOKEN2=dotenv\nHF_TOKEN3=x", environ), "HF_TOKEN"
    ) == [
        ("HF_TOKEN", "environment"),
        ("HF_TOKEN1", "file"),
        ("HF_TOKEN2", "dotenv"),
        ("HF_TOKEN3", "x"),
    ]


def test_secret_file_that_cannot_be_read_is_told(tmp_path: Path, secrets: Path) -> None:
    """A key's file that is gone when the key is wanted is a mistake in the settings, with its place."""
    (secrets / "hf_token").write_text("some-key")
    found_before = variables(tmp_path, "", {})
    (secrets / "hf_token").unlink()

    with pytest.raises(SettingsError, match=r"The secret file .*hf_token cannot be read: No such file"):
        list(found_before.find("HF_TOKEN"))


def test_blank_and_repeated_keys_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A key that is blank or stands there twice is left out, with a warning that names its variable only."""
    found = collect_keys(
        ["HF_TOKEN"],
        variables(tmp_path, f"HF_TOKEN={CANARY}\nHF_TOKEN1=\nHF_TOKEN2={CANARY}\nHF_TOKEN3=other").find,
    )

    assert [key.variable for key in found] == ["HF_TOKEN", "HF_TOKEN3"]
    assert "HF_TOKEN1 is empty" in caplog.text
    assert "HF_TOKEN2 repeats the key in HF_TOKEN" in caplog.text
    assert CANARY not in caplog.text


def test_misspelt_names_get_a_hint(tmp_path: Path) -> None:
    """A name in .env that nothing reads and that is close to a setting is told, with that setting."""
    dotenv = "HF_TOKNE1=x\nDISCORD_TOKEN=x\nPATH_TO_SOMETHING=x\nHF_TOKEN12=x\nMISTRAL_API_KEYS=x"
    hints = variables(tmp_path, dotenv).misspelt(["HF_TOKEN", "DISCORD_TOKEN", "MISTRAL_API_KEY"])

    assert list(hints) == [("HF_TOKNE1", "HF_TOKEN"), ("MISTRAL_API_KEYS", "MISTRAL_API_KEY")]


@pytest.mark.parametrize(
    "value", ['"quoted"', "two words", "tab\tinside", "typographic\u2019", "line\nbreak"]
)
def test_key_that_cannot_be_one_is_named(tmp_path: Path, value: str) -> None:
    """A key with quotation marks, spaces or letters that no key has is named by its variable."""
    environ = {"HF_TOKEN": "good-key_1.2/3+4=", "HF_TOKEN1": value}

    assert list(variables(tmp_path, "", environ).malformed(["HF_TOKEN"])) == ["HF_TOKEN1"]
