"""Settings under arbitrary input: they are read, or refused in sentences, and nothing else happens."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from configuration import all_secrets, configure
from providers.catalog import load_catalog
from settings import Settings, SettingsError

CANARY = "canary0of0a0secret"
NAMES = [name.upper() for name in Settings.model_fields] + [
    "HF_TOKEN",
    "HF_TOKEN1",
    "HF_TOKNE",
    "OPENAI_API_KEY",
]

# What an environment variable can hold.
VALUES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30),
    st.sampled_from(["groq", "DEBUG", "{}", "[1]", "null", "-1", "1e9", "postgresql+asyncpg://a:b@c:d/e"]),
)
# What a file of settings can hold, in places where something is expected, and in others.
PLAIN = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(max_size=20)
)
ANYTHING = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
)
PROVIDERS = st.dictionaries(
    st.sampled_from(["groq", "sketch", "mine"]),
    st.one_of(
        ANYTHING,
        st.dictionaries(st.sampled_from(["model", "wire", "base_url", "keys", "sizes", "name"]), ANYTHING),
    ),
    max_size=2,
)
TABLES = st.fixed_dictionaries(
    {}, optional=dict.fromkeys([*Settings.model_fields, "chats"], ANYTHING) | {"providers": PROVIDERS}
)


def as_toml(value: Any) -> str:
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{json.dumps(name)} = {as_toml(inner)}" for name, inner in value.items()) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value).replace("\x7f", "\\u007f")


def check(environ: dict[str, str], dotenv: bytes, toml: str) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        (folder / ".env").write_bytes(dotenv)
        (folder / "colloquy.toml").write_bytes(toml.encode("utf-8", "surrogatepass"))
        for setting in NAMES:
            patch.delenv(setting, raising=False)
        for variable, value in environ.items():
            patch.setenv(variable, value)
        try:
            settings, variables = configure(os.environ, folder)
        except SettingsError as error:
            problems = error.problems
        else:
            problems = ["none"]
            assert isinstance(settings, Settings)
            load_catalog(settings.providers)
            assert all_secrets(settings, variables)
    assert problems
    assert all(problem and "\n" not in problem for problem in problems)
    assert CANARY not in str(problems)


moderately = hypothesis.settings(deadline=None, max_examples=60, database=None)


@moderately
@hypothesis.given(st.dictionaries(st.sampled_from(NAMES), VALUES), st.booleans())
def test_any_environment_is_read_or_refused(environ: dict[str, str], with_token: bool) -> None:
    """Whatever the variables hold, there are settings, or a list of sentences."""
    check(environ | ({"DISCORD_TOKEN": "some-token"} if with_token else {}), b"", "")


@moderately
@hypothesis.given(
    st.one_of(
        st.binary(max_size=60),
        st.lists(st.tuples(st.sampled_from(NAMES), VALUES)).map(
            lambda lines: "\n".join(f"{name}={value}" for name, value in lines).encode()
        ),
    )
)
def test_any_dotenv_is_read_or_refused(dotenv: bytes) -> None:
    """Whatever stands in .env, text or not, there are settings, or a list of sentences."""
    check({"DISCORD_TOKEN": "some-token"}, dotenv, "")


@moderately
@hypothesis.given(TABLES)
@hypothesis.example({"backup": {"\n": False}})
def test_any_toml_is_read_or_refused(tables: dict[str, Any]) -> None:
    """Whatever stands in colloquy.toml, there are settings, or a list of sentences."""
    toml = "\n".join(f"{name} = {as_toml(value)}" for name, value in tables.items())
    check({"DISCORD_TOKEN": "some-token"}, b"", toml)


@moderately
@hypothesis.given(st.text(max_size=40))
def test_any_text_for_a_toml_is_read_or_refused(text: str) -> None:
    """Whatever text stands in for colloquy.toml, there are settings, or a list of sentences."""
    check({"DISCORD_TOKEN": "some-token"}, b"", text)


@moderately
@hypothesis.given(
    st.sampled_from([name for name in NAMES if name not in ("CHAT", "LIMITS", "PROVIDERS")]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10),
    st.booleans(),
)
def test_no_sentence_quotes_a_value(name: str, junk: str, in_toml: bool) -> None:
    """A secret that stands in the wrong place or form is never part of a sentence about it."""
    value = f"{junk} {CANARY} {junk}"
    if in_toml:
        check({}, b"", f"{name.lower()} = {as_toml(value)}")
    else:
        check({name: value}, f"{name}1={CANARY}".encode(), "")
