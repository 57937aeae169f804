"""What really leaves for the exchange, over a real connection."""

import asyncio
from typing import Any

import httpx

from kalshi_gateway.app import create_app
from kalshi_gateway.kalshi.calls import Operation
from kalshi_gateway.kalshi.client import Kalshi, http_client
from kalshi_gateway.kalshi.signing import ApiKey, Signer
from kalshi_gateway.settings import Settings
from tests.credentials.builders import a_pem
from tests.serving import served

from .people import GATEWAY_URL, People

PREFIX = "/trade-api/v2"
TARGET = "/markets/KX-1.5:a@b,c+d~e_f%3a%C3%A9%7E!$&'()*;="
QUERY = "a=%2f%20+&tickers=B,C&tickers=%C3%A9&empty=&quoted='x'\"<>|^`{}[]&k=a:b/c&plus=%2B&&="


class Signing(Signer):
    """Remembers what it signed."""

    signed = b""

    def headers(self, method: str, url: httpx.URL) -> dict[str, str]:
        self.signed = url.raw_path.partition(b"?")[0]
        return super().headers(method, url)


async def lines_of(calls: Any) -> list[bytes]:
    """The request lines that arrive while `calls` is made against a server."""
    lines: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines.append(head.partition(b"\r\n")[0])
        answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n"
        writer.write(answer + b"connection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        await calls(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{PREFIX}")
    return lines


async def test_path_and_query_on_the_wire() -> None:
    """Path and query are sent to the letter, and the path as it was signed."""
    signed: list[bytes] = []

    async def ask(base_url: str) -> None:
        signer = Signing(ApiKey.from_pem("key", a_pem()), base_url)
        async with http_client(base_url) as http:
            kalshi = Kalshi(base_url, http, signer=signer)
            reply = await kalshi.verbatim(Operation("/markets/{ticker}"), f"{TARGET}?{QUERY}")
        assert reply.body == b"{}"
        signed.append(signer.signed)

    [line] = await lines_of(ask)

    assert line.split(b" ")[1] == f"{PREFIX}{TARGET}?{QUERY}".encode()
    assert signed == [f"{PREFIX}{TARGET}".encode()]


async def test_from_a_client_to_the_exchange(
    settings: Settings, database_url: str, people: People
) -> None:
    """Escapes of a client reach the exchange to the letter, signed on both ways."""
    path, query = f"{PREFIX}/markets/KX%2d1%3Aa~", "a=%2f%20+&b=%c3%a9&b=&'x'"
    key = await people.key("ada", "read")

    async def ask(base_url: str) -> None:
        app = create_app(
            settings.model_copy(update={"kalshi_base_url": base_url}), database_url=database_url
        )
        async with served(app) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            signed = key.headers("GET", httpx.URL(GATEWAY_URL + path))
            headers = {"Host": "localhost", "Connection": "close", **signed}
            head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            writer.write(f"GET {path}?{query} HTTP/1.1\r\n{head}\r\n".encode())
            answer = await reader.read()
            writer.close()
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"\r\n\r\n{}")

    [line] = await lines_of(ask)

    assert line == f"GET {path}?{query} HTTP/1.1".encode()
