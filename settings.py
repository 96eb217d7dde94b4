"""What a host can set, as plain values; `sources` reads them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

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

    @field_validator("folder")
    @classmethod
    def _find_home(cls, value: Path | None) -> Path | None:
        return value.expanduser() if value is not None else None


class Settings(BaseSettings):
    """Everything that a host can set, as a plain value. Building one reads nothing; `sources` does."""

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
        token = value.get_secret_value().strip("\ufeff \t\r\n")  # some editors begin a file with that mark
        if not token or re.search(r"[^!-~]|[\"']", token):
            raise ValueError(
                "is empty, or has a space or another character in it that no token has. Copy it again"
            )
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


class SettingsError(Exception):
    """The settings do not fit; `problems` has a sentence for each mistake, without a secret in it.

    `may_pass` says that another try may go better without anybody touching them.
    """

    def __init__(self, problems: list[str], *, may_pass: bool = False) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems
        self.may_pass = may_pass
