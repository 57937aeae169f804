"""Series, events and markets as the exchange writes them, and the way into the tables."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from kalshi_gateway.db import Database, Driver
from kalshi_gateway.kalshi import wire
from kalshi_gateway.kalshi.drift import Drift
from kalshi_gateway.kalshi.reading import Shape, read
from kalshi_gateway.markets import family, genres, repository, storing, totals
from kalshi_gateway.markets.catalogue import NO_FAMILY

S = TypeVar("S", bound=Shape)
Row = dict[str, Any]
Thing = wire.Market | wire.Event | wire.Series

#: Every walk of the catalogue, as `sync.py` names them.
NAMES = ("series", "events:open", "events:unopened", "events:closed")
WALKS = ("markets:open", "markets:paused", "markets:unopened", "markets:closed")
CHANGES = tuple(f"changes:{what}" for what in ("series", "events", "created", "updated", "settled"))


def a_row(ticker: str = "KXHIGHNY-26JUN15-T85", **fields: Any) -> Row:
    """A market as the exchange sends it; a field given as `...` is left out."""
    row: Row = {
        "ticker": ticker,
        "event_ticker": ticker.rpartition("-")[0] or ticker,
        "market_type": "binary",
        "title": "Will the high temp in NYC be >85° on Jun 15, 2026?",
        "yes_sub_title": "86° or above",
        "no_sub_title": "85° or below",
        "created_time": "2026-06-01T10:00:00.123456Z",
        "updated_time": "2026-06-01T10:00:00Z",
        "open_time": "2026-06-02T14:00:00Z",
        "close_time": "2099-06-16T03:59:00Z",
        "latest_expiration_time": "2099-06-22T14:00:00Z",
        "expected_expiration_time": "2099-06-16T14:00:00Z",
        "settlement_timer_seconds": 1800,
        "status": "active",
        "yes_bid_dollars": "0.4100",
        "yes_bid_size_fp": "120.00",
        "yes_ask_dollars": "0.4300",
        "yes_ask_size_fp": "75.50",
        "no_bid_dollars": "0.5700",
        "no_ask_dollars": "0.5900",
        "last_price_dollars": "0.4200",
        "previous_yes_bid_dollars": "0.3800",
        "previous_yes_ask_dollars": "0.4000",
        "previous_price_dollars": "0.3900",
        "volume_fp": "1500.00",
        "volume_24h_fp": "306.24",
        "open_interest_fp": "800.00",
        "notional_value_dollars": "1.0000",
        "result": "",
        "can_close_early": True,
        "settlement_bounds_type": "default",
        "expiration_value": "",
        "strike_type": "greater",
        "floor_strike": 85,
        "rules_primary": "If the highest temperature is above 85°, then Yes.",
        "rules_secondary": "Not all weather data is the same.",
        "price_level_structure": "linear_cent",
        "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
        "exchange_index": 0,
    }
    return _with(row, fields)


def an_event_row(event_ticker: str = "KXHIGHNY-26JUN15", **fields: Any) -> Row:
    """An event as the exchange sends it."""
    row: Row = {
        "event_ticker": event_ticker,
        "series_ticker": event_ticker.partition("-")[0],
        "title": "Highest temperature in NYC on Jun 15, 2026?",
        "sub_title": "On Jun 15, 2026",
        "collateral_return_type": "MECNET",
        "mutually_exclusive": True,
        "category": "Climate and Weather",
        "settlement_sources": [],
        "exchange_index": 0,
    }
    return _with(row, fields)


def a_series_row(ticker: str = "KXHIGHNY", **fields: Any) -> Row:
    """A series as the exchange sends it."""
    row: Row = {
        "ticker": ticker,
        "title": "Highest temperature in NYC",
        "frequency": "daily",
        "category": "Climate and Weather",
        "categories": ["Climate and Weather"],
        "tags": ["Daily temperature"],
        "settlement_sources": [{"name": "National Weather Service", "url": "https://weather.gov"}],
        "contract_url": "",
        "contract_terms_url": "https://example.com/terms.pdf",
        "fee_type": "quadratic",
        "fee_multiplier": 1,
        "additional_prohibitions": [],
        "exchange_index": 0,
    }
    return _with(row, fields)


def a_market(ticker: str = "KXHIGHNY-26JUN15-T85", **fields: Any) -> wire.Market:
    return _read(wire.Market, a_row(ticker, **fields))


def an_event(event_ticker: str = "KXHIGHNY-26JUN15", **fields: Any) -> wire.Event:
    return _read(wire.Event, an_event_row(event_ticker, **fields))


def a_series(ticker: str = "KXHIGHNY", **fields: Any) -> wire.Series:
    return _read(wire.Series, a_series_row(ticker, **fields))


def ago(**span: float) -> datetime:
    """So long before now."""
    return datetime.now(UTC) - timedelta(**span)


async def store(database: Database, *things: Thing, as_of: datetime | None = None) -> None:
    """Save what the exchange said, as the catalogue's writer would."""
    async with database.driver() as conn, conn.transaction():
        await save(conn, things, as_of or datetime.now(UTC))


async def save(conn: Driver, things: Iterable[Thing], as_of: datetime) -> None:
    """The same, in a transaction of the caller's."""
    things = list(things)
    series = [family.series_from_wire(row, as_of) for row in things if isinstance(row, wire.Series)]
    await storing.SERIES.renew(
        conn, [storing.series_record(row, family.series_words(row), 1, as_of) for row in series]
    )
    events, met = [], set()
    for row in things:
        if isinstance(row, wire.Event):
            parent = await repository.series_noun(conn, row.series_ticker or "")
            event = family.event_from_wire(row, parent, as_of)
            events.append(storing.event_record(event, family.event_words(event, parent), 1, as_of))
            met.add(genres.genre_of(event.category, event.tags))
    met |= {genres.genre_of(row.category, row.tags) for row in series}
    await storing.EVENTS.renew(conn, events)
    await genres.learn(conn, met)
    markets = [row for row in things if isinstance(row, wire.Market)]
    families = {
        ticker: await repository.family_of(conn, ticker) or NO_FAMILY
        for ticker in {row.event_ticker for row in markets}
    }
    await storing.MARKETS.renew(
        conn,
        [storing.market_record(row, families[row.event_ticker], 1, as_of) for row in markets],
    )
    await totals.restate(conn, families)


async def note_walk(
    database: Database,
    scope: str,
    *,
    complete_as_of: datetime | None,
    cursor: str | None = None,
    rows: int = 0,
    set_aside: int = 0,
    failure: str | None = None,
) -> None:
    """How far a walk has come, in place of what was noted of it before."""
    async with database.driver() as conn:
        await conn.execute("DELETE FROM catalogue_walks WHERE scope = $1", scope)
        await conn.execute(
            "INSERT INTO catalogue_walks"
            " (scope, began_at, cursor, pages, rows, set_aside, complete_as_of, failure)"
            " VALUES ($1, $2, $3, 1, $4, $5, $6, $7)",
            scope,
            complete_as_of or datetime.now(UTC),
            cursor,
            rows,
            set_aside,
            complete_as_of,
            failure,
        )


async def note_all_walked(database: Database, as_of: datetime | None = None) -> None:
    """The whole catalogue was read, and the changes since."""
    async with database.driver() as conn:
        await conn.execute(
            "INSERT INTO catalogue_walks (scope, began_at, pages, complete_as_of)"
            " SELECT scope, $2, 1, $2 FROM unnest($1::text[]) AS scope"
            " ON CONFLICT (scope) DO UPDATE SET began_at = $2, cursor = NULL, complete_as_of = $2",
            [*NAMES, *WALKS, *CHANGES],
            as_of or datetime.now(UTC),
        )


def _with(row: Row, fields: Row) -> Row:
    return {name: value for name, value in {**row, **fields}.items() if value is not ...}


def _read(kind: type[S], row: Row) -> S:
    found = read(kind, msgspec.json.encode(row), endpoint="test", drift=Drift())
    assert found is not None
    return found
