"""Loops that run beside the requests."""

import asyncio
from datetime import timedelta

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from kalshi_gateway.background import beside, every
from kalshi_gateway.metrics import Metrics

AT_ONCE = timedelta(0)


async def test_runs_again() -> None:
    """A job runs at once, and again after its period."""
    runs: asyncio.Queue[int] = asyncio.Queue()

    async def job() -> None:
        runs.put_nowait(1)

    async with beside(every(AT_ONCE, job, "job"), "job"):
        for _ in range(3):
            await runs.get()


async def test_survives_a_bad_run() -> None:
    """A run that fails is logged and counted, and the next one comes."""
    metrics = Metrics()
    results = iter([ValueError("bad"), None])
    done = asyncio.Event()

    async def job() -> None:
        if error := next(results, None):
            raise error
        done.set()

    with capture_logs() as lines:
        async with beside(every(AT_ONCE, job, "job", failures=metrics.job_failures), "job"):
            await done.wait()

    assert [(line["event"], line["job"]) for line in lines] == [("background job failed", "job")]
    assert 'gateway_job_failures_total{job="job"} 1.0' in metrics.exposition().decode()


async def test_stops_with_its_block() -> None:
    """A loop is over when its block is, in the middle of a run if need be."""
    running, stopped = asyncio.Event(), asyncio.Event()

    async def job() -> None:
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with beside(every(AT_ONCE, job, "job"), "job"):
        await running.wait()

    assert stopped.is_set()


async def test_broken_loop_is_heard_of() -> None:
    """A loop that breaks off by itself is logged at once, and says why when its block ends."""

    broken = asyncio.Event()

    async def loop() -> None:
        broken.set()
        raise RuntimeError("broken")

    async def block() -> None:
        async with beside(loop(), "loop"):
            await broken.wait()
            await asyncio.sleep(0)  # the loop's end is told in the next round
            logged_within.extend(lines)

    logged_within: list[EventDict] = []
    with capture_logs() as lines, pytest.raises(RuntimeError, match="broken"):
        await block()

    [line] = logged_within
    assert (line["event"], line["job"], str(line["exc_info"])) == (
        "background job ended",
        "loop",
        "broken",
    )


async def test_stopped_loop_is_not_heard_of() -> None:
    """A loop that is stopped with its block leaves no word."""
    with capture_logs() as lines:
        async with beside(asyncio.sleep(3_600), "loop"):
            pass

    assert lines == []
