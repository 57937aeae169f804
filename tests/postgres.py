"""The tests' own Postgres: one cluster per process, one database per test, copied from a template.

A conftest uses it so, with the coroutine function that brings the schema at a URL to head:

    @pytest.fixture(scope="session")
    def cluster() -> Iterator[postgres.Cluster]:
        with postgres.cluster(migrate.to_head) as cluster:
            yield cluster

    @pytest.fixture
    async def database_url(cluster: postgres.Cluster) -> AsyncIterator[str]:
        async with cluster.database() as url:
            yield url

The server is ours, started in a temporary folder and gone after the last test; or it is that of
TEST_DATABASE_URL, whose user must be allowed to create databases.
"""

import asyncio
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from kalshi_gateway import embedded

#: What a test writes need not survive a power cut.
CARELESS = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")


class Cluster:
    """A Postgres server on which databases come and go."""

    def __init__(self, url: str, migrate: Callable[[str], Awaitable[None]]) -> None:
        self._url = url
        self._migrate = migrate
        self._template: str | None = None
        # Several test runs may share the server of TEST_DATABASE_URL.
        self._prefix = f"test_{secrets.token_hex(4)}"
        self._made = 0

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """The URL of a fresh database with our tables, dropped when the block ends."""
        if self._template is None:
            template = await self._create("template1")
            await self._migrate(self._url_of(template))
            self._template = template
        async with self._dropped_in_the_end(await self._create(self._template)) as url:
            yield url

    @asynccontextmanager
    async def empty_database(self) -> AsyncIterator[str]:
        """The URL of a fresh database with nothing in it, dropped when the block ends."""
        async with self._dropped_in_the_end(await self._create("template1")) as url:
            yield url

    async def close(self) -> None:
        """Leave nothing on a server that outlives us."""
        if self._template is not None:
            await self._execute(f"DROP DATABASE {self._template}")

    @asynccontextmanager
    async def _dropped_in_the_end(self, name: str) -> AsyncIterator[str]:
        try:
            yield self._url_of(name)
        finally:
            await self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def _create(self, template: str) -> str:
        self._made += 1
        name = f"{self._prefix}_{self._made}"
        await self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return name

    async def _execute(self, statement: str) -> None:
        conn = await asyncpg.connect(self._url)
        try:
            await conn.execute(statement)
        finally:
            await conn.close()

    def _url_of(self, database: str) -> str:
        return urlsplit(self._url)._replace(path=f"/{database}").geturl()


@contextmanager
def cluster(migrate: Callable[[str], Awaitable[None]]) -> Iterator[Cluster]:
    """A cluster for the tests of this process, whose databases are migrated by `migrate`."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        cluster = Cluster(given, migrate)
        try:
            yield cluster
        finally:
            asyncio.run(cluster.close())
        return
    with temporary_folder() as folder, embedded.acquire(folder, options=CARELESS) as server:
        yield Cluster(server.url("postgres"), migrate)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that the server's own user may enter when we are root, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="kalshi-gateway-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
