"""The log: it says what happened, and no secret."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from logs import LIBRARIES, SecretFilter, request_id, set_up_logging

CANARY = "canary-of-a-secret"
LONGER = "canary-of-a-secret-and-more"
INTERACTION_TOKEN = "aW50ZXJhY3Rpb246MTIzNDU2Nzg5.Ab_c-d"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in LIBRARIES}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


class Log:
    """A logger with the filter, and what it wrote."""

    def __init__(self, *secrets: str) -> None:
        self._stream = io.StringIO()
        handler = logging.StreamHandler(self._stream)
        handler.addFilter(SecretFilter(SecretStr(secret) for secret in secrets))
        self.logger = logging.Logger("test", logging.DEBUG)
        self.logger.addHandler(handler)

    @property
    def text(self) -> str:
        return self._stream.getvalue()


@pytest.fixture
def log() -> Log:
    return Log(CANARY, LONGER, "short", "")


def fail(secret: str) -> None:
    raise LookupError(f"nothing at https://host/?key={secret}")


def test_secret_in_a_message_is_struck_out(log: Log) -> None:
    """A secret is struck out wherever it stands in a line; the rest of the line stays."""
    log.logger.debug("asked with %s, %r and {%s}", CANARY, {"key": CANARY}, "x")
    log.logger.info(f"Bearer {CANARY}")

    assert log.text == "asked with [secret], {'key': '[secret]'} and {x}\nBearer [secret]\n"


def test_longer_secret_is_struck_out_whole(log: Log) -> None:
    """Of two secrets, one of which begins like the other, the longer one leaves no rest behind."""
    log.logger.info("it is %s", LONGER)

    assert log.text == "it is [secret]\n"


def test_short_values_are_left_alone(log: Log) -> None:
    """A value too short to be a secret is not struck out of every word it is part of."""
    log.logger.info("shortly after")

    assert log.text == "shortly after\n"


def test_secret_in_a_traceback_is_struck_out(log: Log) -> None:
    """A traceback is kept, with its chain and without the secret in its exceptions' texts."""
    try:
        try:
            fail(CANARY)
        except LookupError as error:
            raise RuntimeError(CANARY) from error
    except RuntimeError:
        log.logger.exception("failed")

    assert CANARY not in log.text
    assert "LookupError: nothing at https://host/?key=[secret]" in log.text
    assert "RuntimeError: [secret]" in log.text
    assert 'in fail\n    raise LookupError(f"nothing at' in log.text


def test_traceback_that_another_handler_wrote_first_is_cleaned_too() -> None:
    """The text of a traceback that logging keeps from an earlier handler is no way around the filter."""
    log = Log(CANARY)
    first = logging.StreamHandler(io.StringIO())
    log.logger.handlers.insert(0, first)
    try:
        fail(CANARY)
    except LookupError:
        log.logger.exception("failed")

    assert CANARY not in log.text
    assert "[secret]" in log.text


def test_secret_in_a_stack_is_struck_out(log: Log) -> None:
    """A stack that is logged without an exception is cleaned as well."""
    log.logger.info("here", stack_info=True)  # canary-of-a-secret

    assert CANARY not in log.text
    assert "stack_info=True)  # [secret]" in log.text


def test_call_that_does_not_fit_its_arguments_is_logged_all_the_same(log: Log) -> None:
    """A log call with the wrong arguments neither fails where it is made nor shows a secret."""
    log.logger.info("%d and %s", CANARY)

    assert "'%d and %s' with ('[secret]',)" in log.text


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            f"PATCH https://discord.com/api/v10/webhooks/123/{INTERACTION_TOKEN}/messages/@original has 200",
            "PATCH https://discord.com/api/v10/webhooks/123/[token]/messages/@original has 200",
        ),
        (
            f"POST https://discord.com/api/v10/interactions/9/{INTERACTION_TOKEN}/callback",
            "POST https://discord.com/api/v10/interactions/9/[token]/callback",
        ),
        (
            f"webhooks rate limited at /webhooks/1/{INTERACTION_TOKEN}",
            "webhooks rate limited at /webhooks/1/[token]",
        ),
        (
            f"Event: {{'t': 'INTERACTION_CREATE', 'd': {{'token': '{INTERACTION_TOKEN}', 'id': '9'}}}}",
            "Event: {'t': 'INTERACTION_CREATE', 'd': {'token': '[token]', 'id': '9'}}",
        ),
        (f'{{"token":"{INTERACTION_TOKEN}"}}', '{"token":"[token]"}'),
        ("/channels/1/messages/2", "/channels/1/messages/2"),
    ],
)
def test_interaction_tokens_are_struck_out(log: Log, message: str, expected: str) -> None:
    """The token of an interaction, with which anybody could answer it, is struck out of the log."""
    log.logger.debug("%s", message)

    assert log.text == expected + "\n"


def test_debug_log_of_the_whole_bot_is_clean(capsys: pytest.CaptureFixture[str]) -> None:
    """Set up at DEBUG, every logger's lines go through the filter, whatever library writes them."""
    set_up_logging("DEBUG", [SecretStr(CANARY)])
    for name in ("colloquy", "discord.gateway", "aiohttp.client", "aiosqlite", "some.library"):
        logging.getLogger(name).info("%s at /webhooks/1/%s", CANARY, INTERACTION_TOKEN)

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert all(line.endswith("[secret] at /webhooks/1/[token]") for line in lines)


def test_libraries_that_write_what_passes_through_them_are_not_heard_at_debug(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """At DEBUG the lines in which discord.py and the database's driver quote whole messages stay out."""
    set_up_logging("INFO")
    set_up_logging("DEBUG")
    for name in (
        "discord.gateway",
        "discord.http",
        "discord.webhook.async_",
        "PIL.TiffImagePlugin",
        "aiosqlite",
    ):
        logging.getLogger(name).debug("a prompt and its answer")
        logging.getLogger(name).info("of %s", name)
    logging.getLogger("cogs.discord_calls").debug("ours")

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 6
    assert all("a prompt" not in line for line in lines)
    assert lines[-1].endswith("ours")


def test_level_holds_for_libraries_too(capsys: pytest.CaptureFixture[str]) -> None:
    """At ERROR warnings stay out, whoever gives them."""
    set_up_logging("ERROR")
    logging.getLogger("discord.gateway").warning("stay out")
    logging.getLogger("discord.gateway").error("come in")

    assert [line.split(": ")[-1] for line in capsys.readouterr().err.splitlines()] == ["come in"]


def test_message_is_one_line_whatever_stands_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Line ends and control characters that somebody else wrote cannot make lines of their own."""
    set_up_logging("INFO")
    logging.getLogger("colloquy").info("it said %s", "a\nb\r\x1b[31m\u2028\x85c, d\u00e9j\u00e0")

    [line] = capsys.readouterr().err.split("\n")[:-1]
    assert line.endswith("it said a\\nb\\r\\x1b[31m\\u2028\\x85c, d\u00e9j\u00e0")


async def test_lines_name_the_request_that_they_belong_to(capsys: pytest.CaptureFixture[str]) -> None:
    """Each task's lines, and those of the tasks and threads it starts, have its request's id; others none."""
    set_up_logging("INFO")
    log = logging.getLogger("colloquy")

    async def answer(number: int) -> None:
        request_id.set(number)
        await asyncio.sleep(0)
        await asyncio.create_task(asyncio.to_thread(log.info, "%d", number))

    await asyncio.gather(answer(11), answer(22))
    log.info("nobody")

    lines = [line.split("INFO    ")[1] for line in capsys.readouterr().err.splitlines()]
    assert sorted(lines) == ["colloquy [11]: 11", "colloquy [22]: 22", "colloquy: nobody"]


def test_log_for_machines_is_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON: time in UTC, level, logger, message, the request's id as text, and the traceback, all clean."""
    set_up_logging("INFO", [SecretStr(CANARY)], "json")
    log = logging.getLogger("colloquy")
    before = request_id.set(2**62)
    try:
        log.info("it has %s\nand 100 %%", CANARY)
        try:
            fail(CANARY)
        except LookupError:
            log.exception("failed", stack_info=True)
    finally:
        request_id.reset(before)
    log.warning("nobody \u2028")

    first, second, third = map(json.loads, capsys.readouterr().err.splitlines())
    assert datetime.fromisoformat(first.pop("time")).tzinfo is UTC
    assert first == {
        "level": "INFO",
        "logger": "colloquy",
        "message": "it has [secret]\nand 100 %",
        "request_id": str(2**62),
    }
    assert second["exception"].endswith("LookupError: nothing at https://host/?key=[secret]")
    assert "log.exception" in second["stack"]
    assert third["level"] == "WARNING"
    assert "request_id" not in third


def test_libraries_are_quiet_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """At INFO the bot's own lines are there, and those of libraries only from WARNING up."""
    set_up_logging("INFO")
    logging.getLogger("colloquy").info("ours")
    logging.getLogger("colloquy").debug("too much")
    logging.getLogger("discord.gateway").info("theirs")
    logging.getLogger("discord.gateway").warning("important")
    logging.getLogger("alembic.runtime.migration").info("theirs")
    logging.getLogger("discord.client").warning("no voice")

    assert [line.split(": ")[-1] for line in capsys.readouterr().err.splitlines()] == ["ours", "important"]


def test_setting_up_again_writes_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Set up a second time, now with the secrets known, a line is written once and clean."""
    set_up_logging("INFO")
    set_up_logging("INFO", [SecretStr(CANARY)])
    logging.getLogger("colloquy").info(CANARY)

    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith("INFO    colloquy: [secret]")
