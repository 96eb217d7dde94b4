"""Keys: in the order of their settings, without blanks and repeats, and never shown."""

from __future__ import annotations

import pytest

from providers.keys import collect_keys
from tests.fakes import key
from tests.providers.helpers import secrets


def values(*names: str, **variables: str) -> list[tuple[str, str]]:
    return [(key.variable, key.value.get_secret_value()) for key in collect_keys(names, secrets(**variables))]


def test_keys_come_in_the_order_of_their_settings() -> None:
    """First all of the first setting, in the order in which they are found, then those of the next."""
    keys = values("FIRST", "SECOND", SECOND="d", FIRST="a", FIRST1="b", FIRST2="c", OTHER="x", FIRSTLY="x")

    assert keys == [("FIRST", "a"), ("FIRST1", "b"), ("FIRST2", "c"), ("SECOND", "d")]


def test_spaces_around_a_key_do_not_count() -> None:
    """What a copy brings along at either end is no part of the key."""
    assert values("KEY", KEY=" \ta-key\r\n") == [("KEY", "a-key")]


def test_blank_keys_are_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A setting without a value is no key, and the host is told which."""
    assert values("KEY", KEY1="", KEY2="  \n", KEY3="a-key") == [("KEY3", "a-key")]
    assert [record.getMessage() for record in caplog.records] == [
        "KEY1 is empty and is left out",
        "KEY2 is empty and is left out",
    ]


def test_repeated_keys_are_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A key that stands twice, also under another setting, is asked once; the warning does not show it."""
    keys = values("KEY", "OLD_KEY", KEY1="secret-1", KEY2="secret-2", KEY3=" secret-1 ", OLD_KEY="secret-2")

    assert keys == [("KEY1", "secret-1"), ("KEY2", "secret-2")]
    assert [record.getMessage() for record in caplog.records] == [
        "KEY3 repeats the key in KEY1 and is left out",
        "OLD_KEY repeats the key in KEY2 and is left out",
    ]


def test_without_settings_there_are_no_keys() -> None:
    """Nothing set is an empty list and no warning."""
    assert values("KEY", OTHER="x") == []
    assert values(KEY="x") == []


def test_a_key_does_not_show_its_value() -> None:
    """Neither the text nor the representation of a key holds the secret; its variable is there."""
    shown = key("SOME_KEY", "CANARY-value")

    assert "CANARY" not in f"{shown} {shown!r} {[shown]}"
    assert "SOME_KEY" in repr(shown)
