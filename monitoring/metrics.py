"""The bot's figures as Prometheus reads them, made when they are asked for from what the bot knows anyway."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from assistant.figures import OUTCOMES, Figures, Histogram
from monitoring.health import CHECKS, sockets_of
from providers.healths import Status

if TYPE_CHECKING:
    from assistant import Assistant
    from bot import Colloquy
    from cogs.discord_calls import DiscordCalls

# The bounds of the event loop's lag, in seconds.
LAGS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)

MICROS = 1_000_000

W = TypeVar("W", bound=tuple[str, ...])  # the values of a figure's labels


class Metrics(Collector):
    """The figures of one bot, in a registry of its own."""

    def __init__(self) -> None:
        self.bot: Colloquy | None = None
        self.problems: Collection[str] = CHECKS  # the checks that fail
        self.lag = Histogram(LAGS)
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def encode(self, accept: str) -> tuple[bytes, str]:
        """All figures in the form that an Accept header asks for, and that form's content type."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self._registry), content_type

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance: without this the registry would collect once to learn the names."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All families; of a bot that is not open only whether it is ready, and the lag."""
        yield gauges(
            "ready",
            "Whether a check of /readyz is passed",
            ["check"],
            {(check,): check not in self.problems for check in CHECKS},
        )
        yield histograms("loop_lag_seconds", "By how much the event loop was late", [], {(): self.lag})
        if self.bot is not None:
            yield from of_requests(self.bot.assistant.figures)
            yield from of_attempts(self.bot.assistant.figures)
            yield from of_commands(self.bot.assistant)
            yield from of_discord(self.bot)
            yield from of_calls(self.bot.calls)
            owed = self.bot.assistant.database.owed
            yield gauges("owed_writes", "Bookings that the database has not taken yet", [], {(): owed})


def of_requests(figures: Figures) -> Iterator[Metric]:
    """What members asked for, and how long that took."""
    ends = Counter({(command, outcome): 0 for command in ("ask", "imagine") for outcome in OUTCOMES})
    ends.update(figures.answers)
    yield counters("answers", "Requests by how they ended", ["command", "outcome"], ends)
    yield histograms("first_text_seconds", "From a question to its first text", [], {(): figures.first_text})
    total = {(command,): histogram for command, histogram in figures.total.items()}
    yield histograms("answer_seconds", "From a request to its end", ["command"], total)


def of_attempts(figures: Figures) -> Iterator[Metric]:
    """What providers were asked for, and what that used."""
    yield counters(
        "provider_requests",
        'Requests to providers by their class of error, or "answered"',
        ["provider", "model", "outcome"],
        figures.attempts,
    )
    for name, text, histograms_of in (
        ("provider_first_text_seconds", "From a request to its first text", figures.attempt_first_text),
        ("provider_request_seconds", "From a request to its end", figures.attempt_total),
    ):
        values = {(provider,): histogram for provider, histogram in histograms_of.items()}
        yield histograms(name, text, ["provider"], values)
    tokens = {
        (*place, kind): number
        for kind, numbers in (("prompt", figures.prompt_tokens), ("completion", figures.completion_tokens))
        for place, number in numbers.items()
    }
    place = ["provider", "model"]
    yield counters("tokens", "Tokens used, also those of attempts that failed", [*place, "kind"], tokens)
    yield counters("pictures", "Pictures made", place, figures.pictures)
    dollars = {where: micros / MICROS for where, micros in figures.micros.items()}
    yield counters("cost_dollars", "What models with a known price have cost", place, dollars)


def of_commands(assistant: Assistant) -> Iterator[Metric]:
    """Who waits, and who could answer."""
    waiting, answered, ready = {}, {}, {}
    keys: dict[tuple[str, ...], bool] = {}
    for command, (router, queue) in (("ask", assistant.chat), ("imagine", assistant.pictures)):
        place = (command,)
        waiting[place], answered[place] = queue.waiting, queue.answered
        ready[place] = len(
            {route.full_name for route, _, health in router.healths() if health.status is Status.READY}
        )
        for route, key, health in router.healths():
            where = (command, route.name, route.provider.model, key.variable)
            keys |= {(*where, status.value): health.status is status for status in Status}
    yield gauges("queue_waiting", "Requests that wait for their turn", ["command"], waiting)
    yield gauges("queue_answered", "Requests that are being answered", ["command"], answered)
    yield gauges("ready_providers", "Providers that may be asked now", ["command"], ready)
    labels = ["command", "provider", "model", "key", "state"]
    yield gauges("key_state", "1 for the state in which a key is", labels, keys)


def of_discord(bot: Colloquy) -> Iterator[Metric]:
    """The connection to Discord, and what came over it."""
    sockets = sockets_of(bot)
    latencies = {(str(shard),): socket.latency for shard, socket in sockets.items()}
    yield gauges("gateway_latency_seconds", "From heartbeat to answer, by shard", ["shard"], latencies)
    running = len(bot.tree.running)
    yield gauges("interactions_running", "Commands, buttons and messages at work", [], {(): running})


def of_calls(calls: DiscordCalls) -> Iterator[Metric]:
    """Requests to Discord's REST API."""
    replies = {(str(status),): number for status, number in {429: 0, **calls.replies}.items()}
    yield counters(
        "discord_requests", "Requests to Discord by HTTP status; 0: no reply came", ["status"], replies
    )
    yield gauges(
        "discord_invalid_requests",
        "Requests of the last ten minutes that Discord counts as invalid",
        [],
        {(): calls.invalid_requests},
    )
    resting = calls.resting_seconds
    yield gauges("discord_resting_seconds", "For how long Discord bans this address yet", [], {(): resting})


def counters(name: str, text: str, labels: list[str], values: Mapping[W, float]) -> CounterMetricFamily:
    """A family of numbers that only grow."""
    family = CounterMetricFamily(f"colloquy_{name}", text, labels=labels)
    for where, value in values.items():
        family.add_metric(where, value)
    return family


def gauges(name: str, text: str, labels: list[str], values: Mapping[W, float]) -> GaugeMetricFamily:
    """A family of numbers as they are now."""
    family = GaugeMetricFamily(f"colloquy_{name}", text, labels=labels)
    for where, value in values.items():
        family.add_metric(where, float(value))
    return family


def histograms(
    name: str, text: str, labels: list[str], values: Mapping[W, Histogram]
) -> HistogramMetricFamily:
    """A family of histograms."""
    family = HistogramMetricFamily(f"colloquy_{name}", text, labels=labels)
    for where, histogram in values.items():
        bounds = [*map(str, map(float, histogram.bounds)), "+Inf"]
        family.add_metric(where, list(zip(bounds, accumulate(histogram.counts), strict=True)), histogram.sum)
    return family
