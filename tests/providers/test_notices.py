"""Notices: once when something begins, once when it is over."""

from __future__ import annotations

import pytest

from providers.notices import Notices


def test_each_topic_is_told_once_until_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    """However often it is reported, every listener and the log hear of a beginning and an end once."""
    notices = Notices()
    first: list[str] = []
    second: list[str] = []
    notices.listeners += [first.append, second.append]

    notices.end("rain", "was never there")
    for _ in range(3):
        notices.begin("rain", "it rains")
    notices.begin(("rain", "elsewhere"), "it rains elsewhere")
    for _ in range(3):
        notices.end("rain", "it is dry")
    notices.begin("rain", "it rains again")

    told = ["it rains", "it rains elsewhere", "it is dry", "it rains again"]
    assert first == told
    assert second == told
    assert [record.getMessage() for record in caplog.records] == told
