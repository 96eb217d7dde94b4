"""The benchmark of pictures: that it measures what it says, and that the loop stays free on any machine."""

from benchmarks.pictures import measure


async def test_the_loop_stays_free_while_twenty_pictures_are_made() -> None:
    """All twenty come, and other work waits for a small part of a second at most, even on a busy machine."""
    result = await measure()
    assert result.pictures == 20
    assert 0 < result.loop_lag_p50_ms < 50
    assert result.loop_lag_p99_ms < 250
