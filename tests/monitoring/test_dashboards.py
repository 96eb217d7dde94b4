"""The dashboard and the alert rules ask for nothing that /metrics does not show."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from tests.fake_discord import FakeDiscord
from tests.fake_vendors import FakeVendor, json_reply, openai_stream
from tests.fakes import small_png
from tests.living_bot import until_done
from tests.monitoring.test_metrics import priced
from tests.monitoring.watched import Samples, read_metrics, watched_bot

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
DASHBOARD = DEPLOY / "grafana" / "colloquy.json"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"

# What Prometheus adds to everything that it reads.
ADDED = {"instance", "job"}
NAME = re.compile(r"\b(?:colloquy|process)_\w+")
SELECTOR = re.compile(r"((?:colloquy|process)_\w+)\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)\s*(=~|!=|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|on) \(([^)]*)\)")


def expressions() -> list[str]:
    """Every query of the dashboard and of the rules."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    rules = re.findall(r"^ +expr: (.+)$", ALERTS.read_text(), re.MULTILINE)
    assert len(rules) == ALERTS.read_text().count("- alert:")
    assert len(queries) > 20
    return queries + rules


def complaints(expression: str, samples: Samples) -> list[str]:
    """What an expression names that there is not: figures, labels, values of labels."""
    values: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name, labels in samples:
        for label, content in [*labels, *((added, "") for added in ADDED)]:
            values[name][label].add(content)
    found = [name for name in NAME.findall(expression) if name not in values]
    for name, matchers in SELECTOR.findall(expression):
        for label, _, content in MATCHER.findall(matchers):
            known = values[name].get(label, set())
            if label not in ADDED and not set(content.split("|")) <= known:
                found.append(f"{name}: {label}={content}")
    everywhere = {label for name in NAME.findall(expression) for label in values[name]}
    for grouping in GROUPING.findall(expression):
        found += [label for label in grouping.split(", ") if label not in everywhere]
    return found


@pytest.fixture
async def samples(fake: FakeDiscord, vendor: FakeVendor, database_url: str) -> Samples:
    """What /metrics shows once there was an answer and a picture."""
    encoded = base64.b64encode(small_png(64, 64)).decode()
    vendor.reply(openai_stream("Hello."), json_reply({"data": [{"b64_json": encoded}]}))
    async with watched_bot(fake, database_url, vendor.url, providers=priced(vendor)) as (bot, watcher):
        await until_done(bot, await fake.slash("ask", {"prompt": "Hi"}))
        await until_done(bot, await fake.slash("imagine", {"prompt": "a fox"}))
        return await read_metrics(watcher)


async def test_what_they_ask_for_is_there(samples: Samples) -> None:
    """Every figure, label and value of a label that they name is one that /metrics shows."""
    assert {query: complaints(query, samples) for query in expressions() if complaints(query, samples)} == {}


async def test_what_is_there_is_asked_for(samples: Samples) -> None:
    """No figure of the bot is collected that the dashboard does not draw."""
    drawn = " ".join(expressions())
    names = {re.sub(r"_(bucket|count|sum)$", "", name) for name, _ in samples if name.startswith("colloquy")}

    assert sorted(name for name in names if name not in drawn) == []


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ("colloquy_redy == 0", "colloquy_redy"),
        ('colloquy_key_state{state="asleep"}', "colloquy_key_state: state=asleep"),
        ("sum by (instance, comand) (colloquy_queue_waiting)", "comand"),
        ('colloquy_answers_total{outcome=~"failed|lost"}', "colloquy_answers_total: outcome=failed|lost"),
    ],
)
async def test_a_mistake_in_them_would_be_found(wrong: str, complaint: str, samples: Samples) -> None:
    """The check itself sees misspelt figures, labels and values."""
    assert complaints(wrong, samples) == [complaint]


def test_the_dashboard_fits_any_grafana() -> None:
    """Data source and bot are chosen in it, every panel has a number and a place of its own."""
    dashboard = json.loads(DASHBOARD.read_text())
    panels = dashboard["panels"]
    squares = [
        (column, row)
        for panel in panels
        for place in [panel["gridPos"]]
        for column in range(place["x"], place["x"] + place["w"])
        for row in range(place["y"], place["y"] + place["h"])
    ]

    assert [variable["name"] for variable in dashboard["templating"]["list"]] == ["datasource", "instance"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(squares)) == len(squares)
    assert max(column for column, _ in squares) < 24
    assert {source["uid"] for panel in panels for source in [panel["datasource"]]} == {"${datasource}"}
    assert all("$instance" in target["expr"] for panel in panels for target in panel["targets"])


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus is not there")
def test_prometheus_takes_the_rules_and_the_queries(tmp_path: Path) -> None:
    """Prometheus's own tool finds nothing wrong with the rules, nor with the dashboard's queries as rules."""
    queries = [query.replace("$__rate_interval", "5m") for query in expressions()]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "queries.yml").write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    checked = subprocess.run(
        ["promtool", "check", "rules", "--lint=none", ALERTS, tmp_path / "queries.yml"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert checked.returncode == 0, checked.stderr
