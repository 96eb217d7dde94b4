"""Settings: secret files, environment, `.env` and `colloquy.toml`, read and checked together."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from dotenv import dotenv_values
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as SourceError

HOW_TO_GET_A_TOKEN = (
    "DISCORD_TOKEN is missing. Create an application at https://discord.com/developers/applications, "
    "copy the token from its page Bot, and put the line DISCORD_TOKEN=... into the file .env."
)
# Some editors begin a file with a mark that plain UTF-8 would take for a letter of the first name.
ENCODING = "utf-8-sig"
# A file of preferences gets passed around and shown to people: it shall hold no secret.
NEVER_IN_TOML = ("discord_token", "database_url")
# These are tables there, and nowhere else: a variable that happens to be called CHAT is none.
TABLES = ("backup", "chat", "limits", "patience", "providers")


Amount = Annotated[int | None, Field(ge=0, le=10**15)]
Dollars = Annotated[float | None, Field(ge=0, le=10**9, allow_inf_nan=False)]


class Chat(BaseModel):
    """How conversations are led."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    system_prompt: str = (
        "You are Colloquy, a helpful assistant in a Discord server. Answer briefly and clearly, "
        "in the language of the question. You may use Discord's Markdown."
    )
    history_tokens: int = Field(3000, ge=0, le=1_000_000)
    footer: bool = True  # a last line under each answer: who gave it, and what it used
    answer_mentions: bool = False  # whether messages that mention the bot are answered too
    cooldown_seconds: float = Field(0, ge=0, le=86_400)  # between two questions of a member
    answers_per_channel: int = Field(3, ge=1, le=1000)  # at a time; the others wait


class Limits(BaseModel):
    """What the whole bot, each server and each member may use in a day or month (UTC). None: no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens_per_day: Amount = None
    tokens_per_month: Amount = None
    pictures_per_day: Amount = None
    pictures_per_month: Amount = None
    dollars_per_day: Dollars = None
    dollars_per_month: Dollars = None
    server_tokens_per_day: Amount = None
    server_tokens_per_month: Amount = None
    server_pictures_per_day: Amount = None
    server_pictures_per_month: Amount = None
    server_dollars_per_day: Dollars = None
    server_dollars_per_month: Dollars = None
    member_tokens_per_day: Amount = None
    member_tokens_per_month: Amount = None
    member_pictures_per_day: Amount = None
    member_pictures_per_month: Amount = None
    member_dollars_per_day: Dollars = None
    member_dollars_per_month: Dollars = None


class Patience(BaseModel):
    """How far the bot goes for one question."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: int = Field(8, ge=1, le=50)  # to vendors, at most
    seconds: float = Field(20, ge=0, le=60)  # of waiting until a key may be asked again


class Backup(BaseModel):
    """When copies of the database are made by themselves, and how many of them are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    every_hours: float = Field(0, ge=0, le=8784)  # 0: never
    keep: int = Field(7, ge=1, le=1000)
    folder: Path | None = None  # None: `backups` beside an SQLite file


class Settings(BaseSettings):
    """Everything that a host can set, as a plain value. Building one reads nothing; see `read_settings`."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    discord_token: SecretStr
    database_url: SecretStr = SecretStr("sqlite+aiosqlite:///data/colloquy.db")  # may hold a password
    owner_channel_id: int | None = None  # where the host is told of keys that died and the like
    development_guild_id: int | None = None
    log_level: str = "INFO"
    log_format: str = "text"
    # Where health and figures are served; no port: nowhere.
    watch_host: str = "127.0.0.1"
    watch_port: int | None = Field(None, ge=1, le=65535)
    # What is being answered when the bot is told to stop gets so long: less than the 10 s of `docker stop`.
    stop_seconds: float = Field(8, ge=0, le=600)
    # Into how many shards the bot's servers are split (None: as many as Discord advises), and which of them
    # this process connects (None: all).
    shard_count: int | None = Field(None, ge=1, le=16384)
    shard_ids: Annotated[tuple[int, ...] | None, NoDecode] = None
    # A chain is a list of provider names; None leaves the choice to the providers' own default.
    chat_chain: Annotated[tuple[str, ...] | None, NoDecode] = None
    image_chain: Annotated[tuple[str, ...] | None, NoDecode] = None
    chat: Annotated[Chat, NoDecode] = Chat()
    limits: Annotated[Limits, NoDecode] = Limits()
    patience: Annotated[Patience, NoDecode] = Patience()
    backup: Annotated[Backup, NoDecode] = Backup()
    providers: Annotated[dict[str, dict[str, Any]], NoDecode] = {}

    @field_validator("chat_chain", "image_chain", mode="before")
    @classmethod
    def _split_at_commas(cls, value: Any) -> Any:
        return (
            [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value
        )

    @field_validator("shard_ids", mode="before")
    @classmethod
    def _read_shards(cls, value: Any) -> Any:
        """Numbers and ranges: "0,1" or "0-3, 8"."""
        if not isinstance(value, str):
            return value
        shards: list[int] = []
        for part in value.split(","):
            found = re.fullmatch(r"\s*(\d{1,5})\s*(?:-\s*(\d{1,5})\s*)?", part)
            if found is None:
                raise ValueError("must be numbers and ranges with commas between, as in 0-3, 8")
            shards += range(int(found[1]), int(found[2] or found[1]) + 1)
        return shards

    @model_validator(mode="after")
    def _shards_fit(self) -> Self:
        if self.shard_ids is None:
            return self
        count, wanted = self.shard_count, set(self.shard_ids)
        if count is None:
            raise ValueError("SHARD_IDS needs SHARD_COUNT, the number of shards of all processes together")
        if not wanted or len(wanted) < len(self.shard_ids) or not wanted <= set(range(count)):
            raise ValueError(f"SHARD_IDS must name each shard once; of {count} they are 0 to {count - 1}")
        if len(wanted) < count and self.database_url.get_secret_value().startswith("sqlite"):
            raise ValueError(
                "SHARD_IDS leaves shards to other processes, and an SQLite file can have only one. Set "
                "DATABASE_URL to a PostgreSQL that they share, or take SHARD_IDS away"
            )
        return self

    @field_validator("log_level")
    @classmethod
    def _is_a_level(cls, value: str) -> str:
        if value.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
        return value.upper()

    @field_validator("log_format")
    @classmethod
    def _is_a_format(cls, value: str) -> str:
        if value.lower() not in ("text", "json"):
            raise ValueError("must be text or json")
        return value.lower()

    @field_validator("discord_token")
    @classmethod
    def _is_one_word(cls, value: SecretStr) -> SecretStr:
        token = value.get_secret_value().strip()
        if not token or re.search(r"[\s\"']", token):
            raise ValueError("is empty, or has a space or a quotation mark in it. Copy it again")
        return SecretStr(token)

    @field_validator("database_url")
    @classmethod
    def _is_a_known_database(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("sqlite+aiosqlite:///", "postgresql+asyncpg://")):
            raise ValueError("must begin with sqlite+aiosqlite:/// or postgresql+asyncpg://")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take arguments only."""
        return (init_settings,)


class HostSettings(Settings):
    """Settings as a host's machine has them. The first source that knows a value decides."""

    # Environment and `.env` hold many things that are none of ours.
    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Secret files, environment, `.env`; then what was given, which is the content of `colloquy.toml`.

        A secret that was handed over as a file was handed over on purpose; environments are inherited.
        """
        outer = (file_secret_settings, env_settings, dotenv_settings)
        return (*(WithoutTables(settings_cls, source) for source in outer), init_settings)


class WithoutTables(InitSettingsSource):
    """A source less the tables of `colloquy.toml`, and less what is blank."""

    def __init__(self, settings_cls: type[BaseSettings], source: PydanticBaseSettingsSource) -> None:
        values = {name: value for name, value in source().items() if name not in TABLES and value != ""}
        super().__init__(settings_cls, values)


class Variables:
    """Secret files, environment and `.env` as one list of values; the first that has a name decides."""

    def __init__(self, environ: Mapping[str, str], env_file: Path, secret_folders: Iterable[Path]) -> None:
        self._dotenv = _read_dotenv(env_file)
        self._secret_files = {
            path.name.upper(): path
            for folder in secret_folders
            for path in sorted(folder.iterdir())
            if path.is_file()
        }
        self._environ = environ

    def find(self, name: str) -> Iterator[tuple[str, SecretStr]]:
        """Yield NAME, NAME1, NAME2, ... with their values, as far as they are set, in order of number.

        Raises SettingsError when the file of one cannot be read.
        """
        pattern = re.compile(re.escape(name) + r"(\d{0,4})")
        names = {*self._environ, *self._dotenv, *self._secret_files}
        numbered = ((match[1], variable) for variable in names if (match := pattern.fullmatch(variable)))
        for _, variable in sorted(numbered, key=lambda pair: (int(pair[0] or -1), pair[1])):
            yield variable, SecretStr(self._value(variable))

    def misspelt(self, known: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yield each name in `.env` that nothing reads although it is close to one that is, and that one."""
        names = list(known)
        for variable in self._dotenv:
            stem = variable.rstrip("0123456789")
            if stem not in names and (close := difflib.get_close_matches(stem, names, 1, 0.87)):
                yield variable, close[0]

    def malformed(self, names: Iterable[str]) -> Iterator[str]:
        """Yield each variable that should hold a key and holds something that no key can be."""
        for name in names:
            for variable, value in self.find(name):
                if re.search(r"[^!-~]|[\"']", value.get_secret_value()):
                    yield variable

    def _value(self, variable: str) -> str:
        value, path = "", self._secret_files.get(variable)
        if path is not None:
            try:
                value = path.read_text(encoding="utf-8", errors="replace").strip()
            except OSError as error:
                raise SettingsError([f"The secret file {path} cannot be read: {error.strerror}."]) from None
        return value or (self._environ.get(variable) or self._dotenv.get(variable) or "").strip()


class SettingsError(Exception):
    """The settings do not fit; `problems` has a sentence for each mistake, without a secret in it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def secret_folders(environ: Mapping[str, str]) -> list[Path]:
    """The folders that hold one secret a file: containers' and systemd's."""
    folders = [Path("/run/secrets"), Path(environ.get("CREDENTIALS_DIRECTORY") or "/nonexistent")]
    return [folder for folder in folders if folder.is_dir()]


def read_toml(path: Path) -> dict[str, Any]:
    """The content of `colloquy.toml`; empty when there is none. Raises SettingsError."""
    try:
        return tomllib.loads(path.read_text(encoding=ENCODING))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError([f"{path.name} cannot be read: {error}."]) from None


def _read_dotenv(path: Path) -> dict[str, str]:
    try:
        return {name: value or "" for name, value in dotenv_values(path, encoding=ENCODING).items()}
    except (UnicodeDecodeError, OSError) as error:
        raise SettingsError([f"{path.name} cannot be read: {error}. It has to be saved as UTF-8."]) from None


def read_settings(
    toml: Mapping[str, Any], env_file: Path, folders: list[Path], *, token_needed: bool = True
) -> Settings:
    """Read and check everything but the keys. Raises SettingsError with all mistakes at once."""
    fields = Settings.model_fields
    problems = [
        f"colloquy.toml: {name} is a secret and belongs into .env, as {name.upper()}=..."
        for name in NEVER_IN_TOML
        if name in toml
    ]
    for name in toml:
        if name not in fields:
            close = difflib.get_close_matches(name, fields, 1)
            hint = f" Is {close[0]} meant?" if close else ""
            problems.append(f"colloquy.toml: there is no setting {name!r}.{hint}")
    given = {name: value for name, value in toml.items() if name in fields and name not in NEVER_IN_TOML}
    if not token_needed:
        given["discord_token"] = "none"  # where no other source has one
    try:
        settings = HostSettings(
            **given,
            _env_file=env_file,
            _env_file_encoding=ENCODING,
            _secrets_dir=[str(folder) for folder in folders] or None,
        )
    except ValidationError as error:
        problems += [_sentence(problem["loc"], problem["type"], problem["msg"]) for problem in error.errors()]
    except (SourceError, UnicodeDecodeError, OSError) as error:
        problems.append(f".env or a secret file cannot be read: {error}.")
    if problems:
        raise SettingsError(problems)
    return settings


def _sentence(place: tuple[int | str, ...], kind: str, message: str) -> str:
    # A name in quotation marks may have anything in it; each mistake is one line all the same.
    name = ".".join(str(part) for part in place)
    name = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in name)
    if place == ("discord_token",) and kind == "missing":
        return HOW_TO_GET_A_TOKEN
    if kind == "extra_forbidden":
        message = "there is no such setting"
    if not place:  # a sentence about several of them
        return f"{message.removeprefix('Value error, ')}."
    where = name.upper() if len(place) == 1 and place[0] not in TABLES else name
    message = message.removeprefix("Value error, ")
    return f"{where}: {message}." if not message.startswith(("is ", "must ")) else f"{where} {message}."
