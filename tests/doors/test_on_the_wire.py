"""What really leaves for the exchange, over a real connection."""

import asyncio
from urllib.parse import parse_qsl

import httpx

from kalshi_gateway.kalshi.calls import Operation
from kalshi_gateway.kalshi.client import Kalshi, http_client
from kalshi_gateway.kalshi.signing import ApiKey, Signer
from tests.credentials.builders import a_pem

QUERY = "a=%2f%20+&tickers=B,C&tickers=%C3%A9&empty=&quoted='x'&k=a:b/c&plus=%2B"


class Signing(Signer):
    """Remembers what it signed."""

    signed = b""

    def headers(self, method: str, url: httpx.URL) -> dict[str, str]:
        self.signed = url.raw_path.partition(b"?")[0]
        return super().headers(method, url)


async def test_path_and_query_on_the_wire() -> None:
    """The path is sent as it was signed, and every parameter arrives, in order, as it was meant."""
    lines: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append((await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0])
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n"
        writer.write(head + b"connection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/trade-api/v2"
    signer = Signing(ApiKey.from_pem("key", a_pem()), base_url)
    target = "/markets/KX-1.5:a@b,c+d~e_f"
    async with server, http_client(base_url) as http:
        kalshi = Kalshi(base_url, http, signer=signer)
        reply = await kalshi.verbatim(Operation("/markets/{ticker}"), f"{target}?{QUERY}")

    path, _, query = lines[0].split(b" ")[1].partition(b"?")
    assert reply.body == b"{}"
    assert path == signer.signed == f"/trade-api/v2{target}".encode()
    sent = parse_qsl(query.decode(), keep_blank_values=True)
    assert sent == parse_qsl(QUERY, keep_blank_values=True)
