"""A way to the database that goes dead without a word, as when a machine loses its power."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Wire:
    """Passes on what clients and database say to each other, until it is cut."""

    def __init__(self, url: str) -> None:
        self._to = urlsplit(url)
        self._silent = False
        #: How often somebody has tried to connect.
        self.connections = 0
        self._passing: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self.port = 0

    @property
    def url(self) -> str:
        """The same database by this way."""
        user = self._to.netloc.rpartition("@")[0] or "postgres"
        return f"postgresql://{user}@127.0.0.1:{self.port}{self._to.path}"

    def cut(self) -> None:
        """From now on nothing passes by what is connected; nobody is told. New connections pass."""
        for task in self._passing:
            task.cancel()

    def silence(self) -> None:
        """From now on nothing passes by what connects, either, until it is mended."""
        self.cut()
        self._silent = True

    def mend(self) -> None:
        """Pass on again what comes; what was connected before is told that it is over."""
        self._silent = False
        self.close()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self._silent:
            self._writers.append(writer)
            return
        there, onward = await self._connected()
        self._writers += [writer, onward]
        for way in (_pass(reader, onward), _pass(there, writer)):
            task = asyncio.create_task(way)
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)

    def close(self) -> None:
        self.cut()
        for writer in self._writers:
            writer.close()

    async def _connected(self) -> Streams:
        asked = parse_qs(self._to.query)
        if "host" in asked:
            socket = f"{asked['host'][0]}/.s.PGSQL.{asked.get('port', ['5432'])[0]}"
            return await asyncio.open_unix_connection(socket)
        return await asyncio.open_connection(self._to.hostname, self._to.port or 5432)


@asynccontextmanager
async def wire(url: str) -> AsyncIterator[Wire]:
    """A wire to the database behind `url`, until the block ends."""
    made = Wire(url)
    server = await asyncio.start_server(made.accept, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        made.close()
        server.close()
        await server.wait_closed()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()
