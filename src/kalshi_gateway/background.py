"""Loops that run beside the requests."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import structlog
from prometheus_client import Counter

log = structlog.get_logger(__name__)

#: Chance of our own: what happens in the background shifts nobody else's.
_chance = random.Random()


async def every(
    period: timedelta,
    job: Callable[[], Awaitable[None]],
    name: str,
    *,
    failures: Counter | None = None,
    after: timedelta = timedelta(0),
) -> None:
    """Run `job` again and again, first `after` a while; a run that fails is logged."""
    if after:
        await asyncio.sleep(after.total_seconds() * _chance.uniform(0.9, 1.1))
    while True:
        try:
            await job()
        except Exception:
            log.exception("background job failed", job=name)
            if failures is not None:
                failures.labels(name).inc()
        await asyncio.sleep(period.total_seconds() * _chance.uniform(0.9, 1.1))


@asynccontextmanager
async def beside(loop: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Run a loop until the block ends, and wait until it has stopped."""
    task = asyncio.create_task(loop, name=name)
    task.add_done_callback(_log_failed)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()  # a loop that broke off by itself says why


def _log_failed(task: asyncio.Task[None]) -> None:
    """Say at once that a loop broke off: its block may last for months."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("background job ended", job=task.get_name(), exc_info=error)
