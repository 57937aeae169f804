"""Who asks the same at the same time shares one call."""

import asyncio
from contextlib import suppress

import pytest

from kalshi_gateway.kalshi.flights import Flights


class Call:
    """A call that ends when told, and knows how often it was made."""

    def __init__(self) -> None:
        self.made = 0
        self.cancelled = 0
        self.end = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> str:
        self.made += 1
        try:
            await self.end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return "answer"


@pytest.fixture
async def call() -> Call:
    return Call()


async def board(flights: Flights, call: Call, key: str = "key") -> "asyncio.Task[str]":
    task = asyncio.create_task(flights.share(key, call))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


async def test_many_ask_and_one_call_is_made(call: Call) -> None:
    """A hundred identical calls make one, and all get its answer."""
    flights = Flights()
    tasks = [await board(flights, call) for _ in range(100)]

    call.end.set()

    assert await asyncio.gather(*tasks) == ["answer"] * 100
    assert call.made == 1


async def test_other_keys_fly_alone(call: Call) -> None:
    """Different calls are not shared."""
    flights = Flights()
    tasks = [await board(flights, call, key) for key in "ab"]

    call.end.set()
    await asyncio.gather(*tasks)

    assert call.made == 2


async def test_a_later_one_asks_again(call: Call) -> None:
    """An answer is shared while it is under way, and never kept."""
    flights = Flights()
    call.end.set()

    await flights.share("key", call)
    await flights.share("key", call)

    assert call.made == 2


async def test_one_who_leaves_leaves_alone(call: Call) -> None:
    """A cancelled waiter, even the first, takes nobody with it."""
    flights = Flights()
    first, second = await board(flights, call), await board(flights, call)

    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    call.end.set()

    assert first.cancelled()
    assert await second == "answer"
    assert (call.made, call.cancelled) == (1, 0)


async def test_a_call_nobody_waits_for_ends(call: Call) -> None:
    """When the last waiter leaves, the call is cancelled, and the next one starts anew."""
    flights = Flights()
    tasks = [await board(flights, call) for _ in range(2)]

    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    again = await board(flights, call)
    call.end.set()

    assert await again == "answer"
    assert (call.made, call.cancelled) == (2, 1)


async def test_all_hear_of_a_failure(call: Call) -> None:
    """An error reaches everybody who waited; nobody is left hanging."""
    flights = Flights()
    tasks = [await board(flights, call) for _ in range(3)]

    call.error = LookupError("gone")
    call.end.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert outcomes == [call.error] * 3


async def test_a_failure_nobody_hears_is_no_noise(call: Call) -> None:
    """A call that fails just as its last waiter leaves troubles nobody."""
    flights = Flights()
    noise: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))
    task = await board(flights, call)

    call.error = LookupError("gone")
    call.end.set()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0)

    assert task.cancelled()
    assert noise == []
