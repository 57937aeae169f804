"""The exchange as a server: connections really break, and the process can be run."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn

from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.serve import serve, server

STATUS = "/trade-api/v2/exchange/status"


@pytest.fixture
async def served(exchange: Exchange) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the exchange on a port of its own."""
    running = server(exchange, port=0)
    serving = asyncio.create_task(running.serve())
    await started(running)
    port = running.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        yield client
    running.should_exit = True
    await serving


async def started(running: uvicorn.Server) -> None:
    """The server announces nothing: its flag is all there is."""
    while not running.started:  # noqa: ASYNC110
        await asyncio.sleep(0)


async def test_it_answers_with_one_date(served: httpx.AsyncClient) -> None:
    """The exchange's own, not the server's."""
    response = await served.get(STATUS)

    assert response.status_code == 200
    assert response.headers.get_list("date") == ["Fri, 20 Nov 2026 15:30:00 GMT"]
    assert "server" not in response.headers


async def test_a_reset_breaks_the_connection(served: httpx.AsyncClient, exchange: Exchange) -> None:
    """No status, no apology; the next connection is well."""
    await served.get(STATUS)
    exchange.faults.reset(times=1)

    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await served.get(STATUS)

    assert (await served.get(STATUS)).status_code == 200
    assert exchange.counters.statuses == {200: 2}


async def test_a_truncated_body_ends_in_its_middle(
    served: httpx.AsyncClient, exchange: Exchange
) -> None:
    """The length was promised, the rest never comes."""
    exchange.faults.truncated(times=1)

    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        await served.get(STATUS)

    assert (await served.get(STATUS)).status_code == 200


async def test_a_hanging_answer_lets_the_caller_go(
    served: httpx.AsyncClient, exchange: Exchange
) -> None:
    """It ends with the caller's timeout."""
    exchange.faults.hang(times=1)

    with pytest.raises(httpx.ReadTimeout):
        await served.get(STATUS, timeout=httpx.Timeout(30, read=0.05))

    assert (await served.get(STATUS)).status_code == 200


async def test_a_server_that_stops_lets_hanging_callers_go(exchange: Exchange) -> None:
    """They see a broken connection, and the server ends at once."""
    exchange.faults.hang()
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(exchange, port=0, listening=listening.set_result))
    async with httpx.AsyncClient(base_url=await listening) as client:
        asking = asyncio.create_task(client.get("/exchange/status"))
        while not exchange.faults.hanging:  # noqa: ASYNC110
            await asyncio.sleep(0)

        serving.cancel()

        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await asking
    with pytest.raises(asyncio.CancelledError):
        await serving


COMMANDS = [("kalshi_gateway.simulator",), ("kalshi_gateway", "simulator")]


@pytest.mark.parametrize("command", COMMANDS)
async def test_the_command_serves_until_it_is_stopped(command: tuple[str, ...]) -> None:
    """It says what it has and where it listens; the gateway's command is the same one."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *command,
        *("--host", "127.0.0.1", "--port", "0", "--markets", "50", "--seed", "3"),
        *("--members", "2", "--no-limits"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        said = (await process.stdout.readline() + await process.stdout.readline()).decode()
        assert re.search(r"\d+ series, \d+ events, 52 markets, 2 members\n", said)
        url = re.search(r"http://127\.0\.0\.1:\d+(?=/trade-api/v2\n)", said)
        assert url is not None
        async with httpx.AsyncClient(base_url=url.group()) as client:
            assert (await client.get(STATUS)).status_code == 200
            fault = {"kind": "status", "status": 500, "times": 1}
            await client.post("/_simulator/faults", json=fault)
            assert (await client.get(STATUS)).status_code == 500
            await client.post("/_simulator/faults", json={"kind": "reset", "times": 1})
            with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
                await client.get(STATUS)
            await client.post("/_simulator/faults", json={"kind": "hang", "times": 1})
            with pytest.raises(httpx.ReadTimeout):
                await client.get(STATUS, timeout=httpx.Timeout(30, read=0.05))
            counted = (await client.get("/_simulator/counters")).json()
            assert counted["statuses"] == {"200": 1, "500": 1}
    finally:
        process.terminate()
        await process.wait()
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--help"], 0, "--no-limits"),
        (["--markets", "few"], 2, "invalid int value"),
        (["--markets", "-1"], 2, "at least one"),
        (["--recordings", "nowhere"], 2, "no recordings in nowhere"),
        (["--host", "192.0.2.1", "--port", "0"], 1, "cannot listen"),
    ],
)
async def test_both_commands_tell_what_is_wrong(options: list[str], code: int, told: str) -> None:
    """In the same words: done is 0, failed 1, misused 2, and there is no traceback."""
    ended = []
    for command in COMMANDS:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *command,
            *options,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(60):
                said, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        ended.append((process.returncode, said.decode()))

    assert ended[0] == ended[1]
    assert ended[0][0] == code
    assert told in ended[0][1]
    assert "Traceback" not in ended[0][1]
