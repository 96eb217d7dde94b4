"""The keys of a provider, as its settings name them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from pydantic import SecretStr

from providers.base import Key

log = logging.getLogger(__name__)

# Given the name of a setting, all its values: NAME, NAME1, NAME2, ... with the variable each came from.
FindSecrets = Callable[[str], Iterable[tuple[str, SecretStr]]]


def collect_keys(
    names: Iterable[str], find: FindSecrets, accounts: Mapping[str, str] | None = None
) -> tuple[Key, ...]:
    """All keys that the settings in `names` hold, in order, without blanks and repeats.

    `accounts` labels those that share an account, by the name of the setting.

    A key that stands twice would be asked twice and make its statistics lie: it is dropped with a warning.
    """
    keys: dict[str, Key] = {}
    for name in names:
        for variable, value in find(name):
            secret = value.get_secret_value().strip()
            if not secret:
                log.warning("%s is empty and is left out", variable)
            elif secret in keys:
                log.warning("%s repeats the key in %s and is left out", variable, keys[secret].variable)
            else:
                keys[secret] = Key(variable, SecretStr(secret), (accounts or {}).get(variable, ""))
    return tuple(keys.values())
