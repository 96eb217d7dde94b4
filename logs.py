"""Logging: one line an event, without secrets."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

from pydantic import SecretStr

# discord.py writes the addresses of its calls at DEBUG; those of webhooks hold the interaction's token.
WEBHOOK_TOKEN = re.compile(r"(/(?:webhooks|interactions)/\d+/)[\w.-]+")
# Its gateway writes whole events, with that token as a field.
TOKEN_FIELD = re.compile(r"""(["']token["']: ?["'])[^"']+""")


class SecretFilter(logging.Filter):
    """Strikes known secrets and interaction tokens out of every record, tracebacks included."""

    def __init__(self, secrets: Iterable[SecretStr]) -> None:
        super().__init__()
        values = {secret.get_secret_value() for secret in secrets}
        self._secrets = sorted((value for value in values if len(value) >= 6), key=len, reverse=True)

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place; nothing is dropped."""
        try:
            message = record.getMessage()
        except Exception:  # a call whose arguments do not fit: its caller's work shall not end by that
            message = f"{record.msg!r} with {record.args!r}"
        record.msg = self.clean(message)
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:  # perhaps another handler's
            record.exc_text = self.clean(record.exc_text)
        if record.stack_info:
            record.stack_info = self.clean(record.stack_info)
        return True

    def clean(self, text: str) -> str:
        """The text without a secret in it."""
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return TOKEN_FIELD.sub(r"\1[token]", WEBHOOK_TOKEN.sub(r"\1[token]", text))


def set_up_logging(level: str, secrets: Iterable[SecretStr] = ()) -> None:
    """Log to standard error, one line an event, from `level` up."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    handler.addFilter(SecretFilter(secrets))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    if level != "DEBUG":
        # These speak at INFO of things that only their developers want to know.
        for name in ("discord", "alembic"):
            logging.getLogger(name).setLevel("WARNING")
        # They warn of missing voice libraries and intents, which this bot does without on purpose.
        for name in ("discord.client", "discord.state"):
            logging.getLogger(name).setLevel("ERROR")
