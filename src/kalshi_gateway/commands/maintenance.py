"""`migrate`, `sync` and `openapi`."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from kalshi_gateway import documents, logs, sdk, settings, upstream
from kalshi_gateway import migrate as migrations
from kalshi_gateway.app import create_app
from kalshi_gateway.errors import GatewayError
from kalshi_gateway.kalshi.client import http_client
from kalshi_gateway.markets.sync import NotLeading, Sync
from kalshi_gateway.markets.walking import Walked
from kalshi_gateway.metrics import Metrics
from kalshi_gateway.units import moment, to_json

from .database import database_url
from .serving import spare_memory


class SomebodyElseSyncs(GatewayError):
    """A running gateway keeps this catalogue fresh already."""


async def migrate() -> None:
    """Bring the schema to head."""
    async with database_url(settings.load()) as url:
        await migrations.to_head(url)


async def sync(*, as_json: bool) -> bool:
    """Walk everything once; True if every walk reached its end."""
    found = settings.load()
    logs.configure(found.gateway_log_format, "warning")
    async with (
        database_url(found) as url,
        http_client(found.kalshi_base_url) as http,
    ):
        await migrations.to_head(url)
        kalshi = upstream.kalshi(found, http, Metrics())
        await upstream.Learning(kalshi, signed=found.service_key is not None).learn()
        spare_memory()
        with _progress_bar(shown=not as_json) as progress:
            try:
                walked = await Sync(
                    url,
                    kalshi,
                    changes_every=found.catalogue_refresh_every,
                    prices_every=found.price_refresh_every,
                    progress=progress,
                ).once()
            except NotLeading:
                raise SomebodyElseSyncs(
                    "another process keeps this catalogue fresh; see GET /kalshi/status"
                ) from None
    _tell(walked, as_json=as_json)
    return all(walk.complete for walk in walked)


def openapi() -> str:
    """The API description; nothing is opened for it."""
    return json.dumps(_description(), indent=2)


def openapi_sdk() -> str:
    """The same for code generators."""
    return json.dumps(sdk.flattened(_description()), indent=2)


def _description() -> dict[str, Any]:
    app = create_app(settings.Settings.model_construct(), database_url="postgresql://localhost")
    return documents.description(app)


class _Bars:
    """One line per walk; its end is not known before it is reached."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}

    def __call__(self, scope: str, pages: int, rows: int) -> None:
        if scope not in self._bars:
            self._bars[scope] = self._progress.add_task(scope, total=None, pages=0, rows=0)
        self._progress.update(self._bars[scope], completed=pages, pages=pages, rows=rows)


@contextmanager
def _progress_bar(*, shown: bool) -> Iterator[_Bars | None]:
    if not shown:
        yield None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<16}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[pages]:>5} pages {task.fields[rows]:>8} rows"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Bars(progress)


def _tell(walked: list[Walked], *, as_json: bool) -> None:
    if as_json:
        rows = [
            {**asdict(walk), "seen": len(walk.seen), "began_at": moment(walk.began_at)}
            for walk in walked
        ]
        sys.stdout.write(to_json({"walks": rows}).decode() + "\n")
        return
    console = Console()
    for walk in walked:
        end = "complete" if walk.complete else f"stopped: {walk.failure}"
        console.print(f"{walk.scope:<16} {walk.rows:>8} rows, {walk.changed} changed, {end}")
