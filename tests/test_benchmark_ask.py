"""The benchmarks of `/ask` and of its history, made small: that they measure, not what."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from benchmarks.ask import Load, run_long
from benchmarks.history import compare as compare_histories

FIGURES = {
    "cpu_ms_per_answer",
    "floor_cpu_ms_per_answer",
    "ack_p50_ms",
    "ack_p99_ms",
    "first_text_p99_ms",
    "loop_lag_p99_ms",
    "rss_mib",
}


async def run_benchmark(*arguments: str) -> Any:
    """What `python -m benchmarks.ask --json` prints."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.ask", "--json", *arguments), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await child.communicate()
    assert child.returncode == 0
    return json.loads(output)


async def test_every_promised_figure_is_measured_at_both_rates() -> None:
    """A small run loses no answer, leaves whole books, and its JSON has a number under each name."""
    result = await run_benchmark("--answers", "5", "--chunks", "20", "--seconds", "0.2")

    assert set(result) == {"50", "90"}
    for figures in result.values():
        assert set(figures) == {*FIGURES, "lost"}
        assert figures["lost"] == 0
        assert all(figures[name] > 0 for name in FIGURES)


async def test_the_long_run_notes_the_memory_as_it_goes() -> None:
    """The memory is read before the first answer and after each step."""
    memory = await run_long(4, Load(2, chunks=10, seconds=0.1))

    assert len(memory) == 3
    assert all(mib > 10 for mib in memory)


async def test_the_history_benchmark_reads_both_sizes() -> None:
    """Reads from a small and a larger history are timed, and the ratio is that of the two."""
    result = await compare_histories(1_000, 2_000)

    for kind in ("busy", "quiet"):
        few, many = result[f"{kind}_small_ms"], result[f"{kind}_large_ms"]
        assert few > 0
        assert abs(result[f"{kind}_ratio"] - many / few) < 0.02
