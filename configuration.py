"""The configuration of a host: settings, catalogue and keys, checked together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pydantic import SecretStr

from providers.catalog import CatalogError, load_catalog
from providers.chains import chain_problems
from settings import Settings, SettingsError
from sources import TABLES, Variables, read_settings, read_toml, secret_folders


def configure(
    environ: Mapping[str, str], folder: Path, *, token_needed: bool = True
) -> tuple[Settings, Variables]:
    """Read and check the settings of a host. Raises SettingsError with all that is wrong, in one list.

    Who has nothing to do with Discord needs no token.
    """
    problems: list[str] = []
    toml: dict[str, Any] = {}
    settings = None
    try:
        toml = read_toml(folder / "colloquy.toml")
    except SettingsError as error:
        problems += error.problems
    env_file, folders = folder / ".env", secret_folders(environ)
    try:
        variables = Variables(environ, env_file, folders)
    except SettingsError as error:
        raise SettingsError([*problems, *error.problems]) from None
    try:
        settings = read_settings(toml, env_file, folders, token_needed=token_needed)
    except SettingsError as error:
        problems += error.problems
    overrides = toml.get("providers")
    if not isinstance(overrides, dict):
        overrides = {}
    try:
        # What is no table has been found by `read_settings`.
        entries = load_catalog({name: table for name, table in overrides.items() if isinstance(table, dict)})
    except CatalogError as error:
        problems += error.problems
        entries = load_catalog()
    else:
        chains = [_chain(name, settings, toml) for name in ("chat_chain", "image_chain")]
        problems += chain_problems(entries, *chains)
    known = dict.fromkeys(key for entry in entries.values() for key in entry.keys)
    for variable in variables.malformed(known):
        problems.append(
            f"{variable} has a space, a quotation mark or another character in it that no key has. "
            "Copy it again."
        )
    if settings is not None and _has_no_place_for_backups(settings):
        problems.append("[backup] every_hours needs a folder as well, where PostgreSQL is used.")
    ours = [name.upper() for name in Settings.model_fields if name not in TABLES]
    for wrong, right in variables.misspelt([*known, *ours]):
        problems.append(f".env: nothing reads {wrong}. Is {right} meant?")
    if problems or settings is None:
        raise SettingsError(problems)
    return settings, variables


def _has_no_place_for_backups(settings: Settings) -> bool:
    """Whether backups are to be made by the clock, and there is no file to put them beside."""
    is_file = settings.database_url.get_secret_value().startswith("sqlite")
    return settings.backup.every_hours > 0 and settings.backup.folder is None and not is_file


def _chain(name: str, settings: Settings | None, toml: Mapping[str, Any]) -> list[str]:
    """The names in a chain, also when the settings do not fit in other places."""
    value = toml.get(name) if settings is None else getattr(settings, name)
    return [item for item in value if isinstance(item, str)] if isinstance(value, (list, tuple)) else []


def all_secrets(settings: Settings, variables: Variables) -> list[SecretStr]:
    """Every secret that must not be logged."""
    names = {key for entry in load_catalog(settings.providers).values() for key in entry.keys}
    keys = [value for name in names for _, value in variables.find(name)]
    # The password by itself as well: a driver may quote it apart from its address.
    password = re.search(r"://[^:/]*:(.+)@", settings.database_url.get_secret_value())
    passwords = {password[1], unquote(password[1])} if password else set()
    return [settings.discord_token, settings.database_url, *map(SecretStr, passwords), *keys]
