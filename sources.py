"""Where a host's settings come from: secret files, environment, `.env` and `colloquy.toml`."""

from __future__ import annotations

import difflib
import logging
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as SourceError

from settings import Settings, SettingsError

log = logging.getLogger(__name__)

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
                value = path.read_text(encoding=ENCODING, errors="replace").strip()
            except OSError as error:
                raise SettingsError([f"The secret file {path} cannot be read: {error.strerror}."]) from None
        return value or (self._environ.get(variable) or self._dotenv.get(variable) or "").strip()


def secret_folders(environ: Mapping[str, str]) -> list[Path]:
    """The folders that hold one secret a file: containers' and systemd's."""
    folders = [Path("/run/secrets"), Path(environ.get("CREDENTIALS_DIRECTORY") or "/nonexistent")]
    there = [folder for folder in folders if folder.is_dir()]
    for folder in there:
        if not os.access(folder, os.R_OK | os.X_OK):  # a folder of somebody else's secrets, for one
            log.warning("%s cannot be read by this user, and is passed over", folder)
    return [folder for folder in there if os.access(folder, os.R_OK | os.X_OK)]


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
    except UnicodeDecodeError as error:
        raise SettingsError([f"{path.name} cannot be read: {error}. It has to be saved as UTF-8."]) from None
    except OSError as error:
        raise SettingsError([f"{path.name} cannot be read: {error.strerror}."]) from None


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
            close = difflib.get_close_matches(name.lower(), fields, 1)
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
