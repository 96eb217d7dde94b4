"""Logging: one line an event, without secrets and without what members and models write."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import UTC, datetime

from pydantic import SecretStr

# What is being answered, for every line that is logged on the way: the interaction's or message's id, or 0.
request_id: ContextVar[int] = ContextVar("request id", default=0)

# discord.py writes the addresses of its calls at DEBUG; those of webhooks hold the interaction's token.
WEBHOOK_TOKEN = re.compile(r"(/(?:webhooks|interactions)/\d+/)[\w.-]+")
# Its gateway writes whole events, with that token as a field.
TOKEN_FIELD = re.compile(r"""(["']token["']: ?["'])[^"']+""")

# What would end a line, or speak to a terminal.
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

# From which level on libraries are heard, at DEBUG and otherwise. Below that they write what passes through
# them, prompts, answers and what is in members' pictures; at INFO what only their developers want to know.
LIBRARIES = {
    "discord": ("INFO", "WARNING"),
    # They warn of missing voice libraries and intents, which this bot does without on purpose.
    "discord.client": ("INFO", "ERROR"),
    "discord.state": ("INFO", "ERROR"),
    "alembic": ("INFO", "WARNING"),
    "aiosqlite": ("INFO", "INFO"),
    "PIL": ("INFO", "INFO"),
}


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


class TextFormatter(logging.Formatter):
    """For people: one line, and a traceback below it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(place)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """One line, whatever stands in the message."""
        number = request_id.get()
        record.place = f"{record.name} [{number}]" if number else record.name
        record.message = CONTROLS.sub(lambda found: ascii(found[0])[1:-1], record.message)
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """For machines: one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Ids are strings, since not every reader keeps so large numbers exact."""
        at = datetime.fromtimestamp(record.created, UTC)
        entry = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if number := request_id.get():
            entry["request_id"] = str(number)
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            entry["exception"] = record.exc_text
        if record.stack_info:
            entry["stack"] = record.stack_info
        return json.dumps(entry)


def set_up_logging(level: str, secrets: Iterable[SecretStr] = (), form: str = "text") -> None:
    """Log to standard error, one line an event, from `level` up; `form` is text or json."""
    handler = logging.StreamHandler()
    handler.setLevel(level)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    handler.addFilter(SecretFilter(secrets))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, (debugging, usually) in LIBRARIES.items():
        logging.getLogger(name).setLevel(debugging if level == "DEBUG" else usually)
