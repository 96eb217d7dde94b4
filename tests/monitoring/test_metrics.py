"""/metrics says what happened: every figure against what a fake Discord and fake vendors saw."""

from __future__ import annotations

import asyncio
import base64
import time
from collections import Counter

import pytest
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from assistant.figures import Histogram
from monitoring.server import LOOK_SECONDS
from providers.base import ContentRefused
from providers.router import ImageRouter
from tests.fake_discord import FakeDiscord, FakeUser
from tests.fake_vendors import FakeVendor, json_reply, openai_stream, slowly, usage
from tests.fakes import ScriptedImages, image_route, small_png
from tests.living_bot import answered, until_done
from tests.monitoring.watched import open_watcher, read_metrics, value, watched_bot

MODEL = {"provider": "openai", "model": "gpt-6-luna"}
PRICES = {"gpt-6-luna": {"prompt": 10, "completion": 100, "date": "2026-11-01"}}


def priced(vendor: FakeVendor) -> dict[str, object]:
    address = f"{vendor.url}/v1"
    return {
        "openai": {"base_url": address, "prices": PRICES},
        **{name: {"base_url": address} for name in ("mistral", "hf-nscale")},
    }


async def test_an_answer_is_counted_with_all_that_it_used(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Outcome, tokens, cost and times of a question appear once it is answered, and at its vendor's name."""
    vendor.reply(slowly(openai_stream("One. ", "Two.", used=usage(1000, 50)), 0.2))
    async with watched_bot(fake, database_url, vendor.url, providers=priced(vendor)) as (bot, watcher):
        before = await read_metrics(watcher)
        await until_done(bot, await fake.slash("ask", {"prompt": "Count."}))
        after = await read_metrics(watcher)

    answer = {"command": "ask", "outcome": "answered"}
    assert (value(before, "answers_total", **answer), value(after, "answers_total", **answer)) == (0, 1)
    assert value(after, "provider_requests_total", **MODEL, outcome="answered") == 1
    assert value(after, "tokens_total", **MODEL, kind="prompt") == 1000
    assert value(after, "tokens_total", **MODEL, kind="completion") == 50
    assert value(after, "cost_dollars_total", **MODEL) == pytest.approx((1000 * 10 + 50 * 100) / 1e6)
    for name, labels in (
        ("first_text_seconds", {}),
        ("answer_seconds", {"command": "ask"}),
        ("provider_first_text_seconds", {"provider": "openai"}),
        ("provider_request_seconds", {"provider": "openai"}),
    ):
        assert value(after, f"{name}_count", **labels) == 1
        assert value(after, f"{name}_bucket", **labels, le="+Inf") == 1
        assert value(after, f"{name}_bucket", **labels, le="300.0") == 1
    assert (
        0.1 < value(after, "first_text_seconds_sum") < value(after, "answer_seconds_sum", command="ask") < 10
    )


async def test_requests_that_fail_are_counted_by_class_and_provider(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """A fallback's answer counts as one answer, and each attempt at its provider with what became of it."""
    refusal = json_reply({"error": {"message": "slow down"}}, 429, {"Retry-After": "60"})
    vendor.reply(refusal, openai_stream("From the second.", used=usage(7, 3)))
    chain = ("openai", "mistral")
    async with watched_bot(fake, database_url, vendor.url, chat_chain=chain) as (bot, watcher):
        await until_done(bot, await fake.slash("ask", {"prompt": "Anyone?"}))
        figures = await read_metrics(watcher)

    assert value(figures, "provider_requests_total", **MODEL, outcome="rate") == 1
    second = next(
        labels for name, labels in figures if ("provider", "mistral") in labels and "tokens" in name
    )
    mistral = {"provider": "mistral", "model": dict(second)["model"]}
    assert value(figures, "provider_requests_total", **mistral, outcome="answered") == 1
    assert value(figures, "tokens_total", **MODEL, kind="prompt") == 0
    assert value(figures, "tokens_total", **mistral, kind="prompt") == 7
    assert value(figures, "answers_total", command="ask", outcome="answered") == 1
    assert value(figures, "ready_providers", command="ask") == 1
    key = {"command": "ask", **MODEL, "key": "OPENAI_API_KEY"}
    states = {name: value(figures, "key_state", **key, state=name) for name in ("ready", "resting", "dead")}
    assert states == {"ready": 0, "resting": 1, "dead": 0}


@pytest.mark.parametrize("outcome", ["partial", "stopped", "failed", "refused", "abandoned"])
async def test_every_end_of_a_question_has_its_outcome(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str, outcome: str
) -> None:
    """Stopped with and without text, failed, refused by a limit, or ended by a deleted message."""
    limits = {"tokens_per_day": 1} if outcome == "refused" else {}
    async with watched_bot(fake, database_url, vendor.url, limits=limits) as (bot, watcher):
        if outcome == "failed":
            vendor.reply(*[json_reply({"error": {"message": "no"}}, 400)] * 2)
        elif outcome != "refused":
            vendor.reply(slowly(openai_stream(*["more "] * 100), 30.0 if outcome == "stopped" else 0.1))
        if outcome == "abandoned":
            gone = {"message": "Unknown Message", "code": 10008}
            fake.fail("PATCH", "*/messages/@original", status=404, body=gone)
        interaction = await fake.slash("ask", {"prompt": "Go on."})
        if outcome == "partial":
            await interaction.until(lambda it: answered(it, "more"))
        elif outcome == "stopped":
            await vendor.asked()
        if outcome in ("partial", "stopped"):
            await interaction.until(lambda it: it.original is not None)
            bot.answers.stops._running[interaction.id].stop.stop()
        await until_done(bot, interaction)
        figures = await read_metrics(watcher)

    ends = {
        dict(labels)["outcome"]: number
        for (name, labels), number in figures.items()
        if name == "colloquy_answers_total" and ("command", "ask") in labels
    }
    assert {name for name, number in ends.items() if number} == {outcome}
    assert ends[outcome] == 1


async def test_pictures_are_counted(fake: FakeDiscord, vendor: FakeVendor, database_url: str) -> None:
    """Two pictures of one order are one answer, two requests and two pictures."""
    encoded = base64.b64encode(small_png(64, 64)).decode()
    vendor.reply(*[json_reply({"data": [{"b64_json": encoded}]})] * 2)
    async with watched_bot(fake, database_url, vendor.url) as (bot, watcher):
        await until_done(bot, await fake.slash("imagine", {"prompt": "a fox", "count": 2}))
        figures = await read_metrics(watcher)

    [(_, place)] = [key for key in figures if key[0] == "colloquy_pictures_total"]
    model = dict(place)
    assert model["provider"] == "hf-nscale"
    assert value(figures, "pictures_total", **model) == 2
    assert value(figures, "provider_requests_total", **model, outcome="answered") == 2
    assert value(figures, "answers_total", command="imagine", outcome="answered") == 1
    assert value(figures, "answer_seconds_count", command="imagine") == 1


async def test_an_order_of_which_some_pictures_failed_is_partial(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """What came of it is delivered, and counted as what it is."""
    images = ScriptedImages(0.0, ContentRefused())
    router = ImageRouter([image_route(images)])
    async with watched_bot(fake, database_url, vendor.url, image_router=router) as (bot, watcher):
        await until_done(bot, await fake.slash("imagine", {"prompt": "a fox", "count": 2}))
        figures = await read_metrics(watcher)

    place = {"provider": "scripted-images", "model": "scripted-image-model"}
    assert value(figures, "answers_total", command="imagine", outcome="partial") == 1
    assert value(figures, "provider_requests_total", **place, outcome="content") == 1
    assert value(figures, "provider_requests_total", **place, outcome="answered") == 1


async def test_who_waits_and_who_is_answered_is_seen_while_it_is_so(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Of three questions where one answer is written at a time, two wait; afterwards nobody does."""
    vendor.reply(*[slowly(openai_stream("a", "b", "c"), 0.3)] * 3)
    chat = {"answers_per_channel": 1}
    async with watched_bot(fake, database_url, vendor.url, chat=chat) as (bot, watcher):
        asked = [
            await fake.slash("ask", {"prompt": "Go."}, user=FakeUser(7_000 + number, f"m{number}", "M"))
            for number in range(3)
        ]
        await vendor.asked()
        during = await read_metrics(watcher)
        for interaction in asked:
            await interaction.until(lambda it: answered(it, "abc"), timeout=20)
        await until_done(bot, asked[-1])
        after = await read_metrics(watcher)

    assert value(during, "queue_waiting", command="ask") == 2
    assert value(during, "queue_answered", command="ask") == 1
    assert value(during, "queue_waiting", command="imagine") == 0
    assert value(during, "interactions_running") == 3
    assert value(after, "queue_waiting", command="ask") == 0
    assert value(after, "queue_answered", command="ask") == 0
    assert value(after, "interactions_running") == 0


async def test_requests_to_discord_are_counted_by_status(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """As many of each status as Discord has sent, 429s among them, and those to which no reply came as 0."""
    vendor.reply(openai_stream("Hello."))
    async with watched_bot(fake, database_url, vendor.url) as (bot, watcher):
        fake.fail("PATCH", "*/messages/@original", reset=True)
        limited = {"message": "You are being rate limited.", "retry_after": 0.1, "global": False}
        headers = {"Retry-After": "0.1", "Via": "1.1 google"}
        fake.fail("PATCH", "*/messages/@original", status=429, body=limited, headers=headers)
        await until_done(bot, await fake.slash("ask", {"prompt": "Hi"}))
        figures = await read_metrics(watcher)

    sent = Counter(str(request.status or 0) for request in fake.requests if request.path != "/gateway")
    counted = {
        dict(labels)["status"]: number
        for (name, labels), number in figures.items()
        if name == "colloquy_discord_requests_total"
    }
    assert counted.pop("101") == 1  # the gateway
    assert counted == sent
    assert (sent["429"], sent["0"]) == (1, 1)
    assert value(figures, "discord_invalid_requests") == 1
    assert value(figures, "discord_resting_seconds") == 0


async def test_a_loop_that_is_held_up_shows_as_lag(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """Half a second in which nothing else could happen is counted where it belongs."""
    async with watched_bot(fake, database_url, vendor.url) as (_, watcher):
        before = await read_metrics(watcher)
        await asyncio.sleep(0)
        time.sleep(LOOK_SECONDS + 0.5)  # noqa: ASYNC251 (that is the point)
        await asyncio.sleep(0.1)
        after = await read_metrics(watcher)

    late = [
        value(figures, "loop_lag_seconds_count") - value(figures, "loop_lag_seconds_bucket", le="0.25")
        for figures in (before, after)
    ]
    assert late[1] - late[0] >= 1


async def test_checks_and_connection_are_figures_too(
    fake: FakeDiscord, vendor: FakeVendor, database_url: str
) -> None:
    """What /readyz says can be drawn and alerted on; the heartbeat's way is measured for each shard."""
    fake.heartbeat_interval = 0.2
    vendor.reply(json_reply({"error": {"message": "bad key"}}, 401))
    async with watched_bot(fake, database_url, vendor.url) as (bot, watcher):
        await fake.until(lambda: fake.gateway.heartbeats >= 2)
        await until_done(bot, await fake.slash("ask", {"prompt": "Anyone?"}))
        figures = await read_metrics(watcher)

    checks = {
        name: value(figures, "ready", check=name) for name in ("process", "discord", "database", "chat")
    }
    assert checks == {"process": 1, "discord": 1, "database": 1, "chat": 0}
    assert 0 < value(figures, "gateway_latency_seconds", shard="0") < 1
    assert value(figures, "owed_writes") == 0
    dead = {"command": "ask", **MODEL, "key": "OPENAI_API_KEY", "state": "dead"}
    assert value(figures, "key_state", **dead) == 1


async def test_before_the_bot_is_open_there_are_the_process_and_the_checks() -> None:
    """Scraping never fails, however early."""
    async with open_watcher() as watcher:
        figures = await read_metrics(watcher)

    assert value(figures, "ready", check="process") == 0
    assert figures["process_resident_memory_bytes", frozenset()] > 0


async def test_both_forms_that_prometheus_asks_for_are_given() -> None:
    """OpenMetrics where it is asked for, and correct by the reference parser, else the older text."""
    async with open_watcher() as watcher:
        _, text = await watcher.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
        families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]  # theirs
        names = {family.name for family in families}

    assert "colloquy_loop_lag_seconds" in names


async def test_bots_in_one_process_have_figures_of_their_own() -> None:
    """Nothing is kept in the registry that prometheus_client shares among all."""
    async with open_watcher() as first, open_watcher() as second:
        first.watch._metrics.lag.observe(4.0)
        figures = [await read_metrics(watcher) for watcher in (first, second)]

    assert [value(one, "loop_lag_seconds_sum") >= 4 for one in figures] == [True, False]
    assert not [family for family in REGISTRY.collect() if family.name.startswith("colloquy")]


def test_a_value_on_a_bound_belongs_below_it() -> None:
    """As Prometheus has it: a bucket holds what is less than or equal to its bound."""
    histogram = Histogram((1, 2))
    for number in (0.5, 1, 1.5, 2, 2.5):
        histogram.observe(number)

    assert histogram.counts == [2, 2, 1]
    assert histogram.sum == 7.5
