"""Recorded answers of the exchange, put to use row by row as they were recorded."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from . import recorded_member, times, wire
from .entries import EventEntry, MarketEntry, SeriesEntry, market_entry
from .manifest import Manifest, read_manifest
from .tape import recorded_trade

if TYPE_CHECKING:
    from .exchange import Exchange

Raw = msgspec.Raw
Rows = dict[str, Any]
ANSWERS = {
    "exchange_status": "GET /exchange/status",
    "exchange_schedule": "GET /exchange/schedule",
    "exchange_user_data_timestamp": "GET /exchange/user_data_timestamp",
    "account_endpoint_costs": "GET /account/endpoint_costs",
    "search_filters_by_sport": "GET /search/filters_by_sport",
    "search_tags_by_categories": "GET /search/tags_by_categories",
}
MEMBERS_OWN = ("portfolio_", "account_limits")
NEEDED = ("ticker", "event_ticker", "status", "close_time")
raw_object = msgspec.json.Decoder(dict[str, Raw]).decode
raw_list = msgspec.json.Decoder(list[Raw]).decode
plain = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True)
class Found:
    """A row and where it was found; the newer recording of two is the one that counts."""

    recorded: str
    file: str
    row: Rows
    raw: bytes
    archived: bool = False


class Loader:
    """Reads a directory of recordings and lists what can be used."""

    def __init__(self, exchange: "Exchange", directory: Path) -> None:
        self.exchange = exchange
        self.directory = directory
        self.manifest: Manifest = read_manifest(directory)
        self.found: dict[tuple[str, str], Found] = {}
        self.books: list[tuple[str, bytes]] = []

    def load(self) -> None:
        """Read all files, then list what they held."""
        for path in sorted(self.directory.rglob("*")):
            if path.suffix in (".json", ".jsonl"):
                self._file(path)
        self._list()
        self._count()

    # Reading

    def _file(self, path: Path) -> None:
        name = path.relative_to(self.directory).as_posix()
        parts = name.split("/")
        room = parts[1] if len(parts) > 2 else ""
        if "synthetic" in parts:
            return self._aside(name, "file", "made by hand, not recorded")
        if parts[0] == "ws":
            return self._aside(name, "file", "frames of a socket")
        if room == "errors":
            return self._aside(name, "file", "a refusal")
        if room.startswith(MEMBERS_OWN):
            return self._own(name, room, path)
        readers: dict[str, Callable[[str, bytes], None]] = {
            "market": self._market,
            "markets": self._markets,
            "markets_timeseries": self._snapshots,
            "historical_markets": self._archive,
            "event": self._event,
            "events": self._events,
            "events_multivariate": self._events,
            "event_metadata": self._metadata,
            "series": self._one_series,
            "series_list": self._series,
            "markets_trades": self._trades,
            "market_orderbook": self._book,
            "market_candlesticks": self._candles,
            "markets_candlesticks_batch": self._batch,
            "event_candlesticks": self._event_candles,
            "historical_market_candlesticks": self._candles,
            "series_fee_changes": self._fee_changes,
            "milestone": self._milestones,
            "milestones": self._milestones,
            "multivariate_event_collection": self._collections,
            "multivariate_event_collections": self._collections,
        }
        body = path.read_bytes()
        if room in ANSWERS:
            return self._keep("answer", ANSWERS[room], name, {}, body.strip())
        reader = readers.get(room)
        if reader is None:
            return self._aside(name, "file", "an operation the simulator does not have")
        return reader(name, body)

    def _own(self, name: str, room: str, path: Path) -> None:
        """What a member read about himself, where it is what the exchange had said."""
        if self.manifest.replaced(name):
            return self._aside(name, "file", "its values are not the exchange's")
        if room in recorded_member.ANSWERS:
            body = path.read_bytes().strip()
            answer = recorded_member.ANSWERS[room]
            return self._keep("own answer", answer, name, plain(body), body)
        if room == "portfolio_order":
            return self._keep_own(
                name, "orders", "order_id", [raw_object(path.read_bytes())["order"]]
            )
        if room not in recorded_member.LISTS:
            return self._aside(name, "file", "belongs to an account")
        listed, key = recorded_member.LISTS[room]
        rows = raw_list(raw_object(path.read_bytes())[listed])
        return self._keep_own(name, listed, key, rows)

    def _keep_own(self, name: str, kind: str, key: str, rows: list[Raw]) -> None:
        """Keep a member's rows; of an order, the one that was updated last."""
        for raw in map(bytes, rows):
            row = plain(raw)
            missing = [field for field in recorded_member.NEEDED[kind] if field not in row]
            if missing:
                self._aside(name, f"{kind} {row.get(key)}", f"without {', '.join(missing)}")
            else:
                self._keep(kind, row[key], name, row, raw, recorded=row.get("last_update_time"))

    def _market(self, name: str, body: bytes) -> None:
        self._keep_market(name, bytes(raw_object(body)["market"]))

    def _markets(self, name: str, body: bytes) -> None:
        for raw in raw_list(raw_object(body)["markets"]):
            self._keep_market(name, bytes(raw))

    def _archive(self, name: str, body: bytes) -> None:
        for raw in raw_list(raw_object(body)["markets"]):
            self._keep_market(name, bytes(raw), archived=True)

    def _snapshots(self, name: str, body: bytes) -> None:
        """One event asked again and again: only the last answer is still true."""
        for snapshot in map(raw_object, raw_list(raw_object(body)["snapshots"])):
            captured = msgspec.json.decode(snapshot["captured_at"], type=str)
            for raw in raw_list(snapshot["markets"]):
                self._keep_market(name, bytes(raw), recorded=captured)

    def _keep_market(
        self, name: str, raw: bytes, *, archived: bool = False, recorded: str | None = None
    ) -> None:
        row = plain(raw)
        missing = [field for field in NEEDED if not row.get(field)]
        if missing:
            what = f"market {row.get('ticker')}"
            return self._aside(name, what, f"without {', '.join(missing)}")
        return self._keep(
            "market", row["ticker"], name, row, raw, archived=archived, recorded=recorded
        )

    def _event(self, name: str, body: bytes) -> None:
        answer = raw_object(body)
        self._keep_event(name, bytes(answer["event"]))
        for raw in raw_list(answer["markets"]) if "markets" in answer else []:
            self._keep_market(name, bytes(raw))

    def _events(self, name: str, body: bytes) -> None:
        answer = raw_object(body)
        for raw in raw_list(answer["events"]):
            self._keep_event(name, bytes(raw))
        self._milestones(name, body)

    def _keep_event(self, name: str, raw: bytes) -> None:
        members = raw_object(raw)
        nested = members.pop("markets", None)
        for market in raw_list(nested) if nested is not None and bytes(nested) != b"null" else []:
            self._keep_market(name, bytes(market))
        row = plain(raw)
        if not row.get("event_ticker") or not row.get("series_ticker"):
            return self._aside(name, f"event {row.get('event_ticker')}", "without its tickers")
        without = raw if nested is None else wire.encode(members)
        return self._keep("event", row["event_ticker"], name, row, without)

    def _metadata(self, name: str, body: bytes) -> None:
        row = plain(body)
        tickers = {detail["market_ticker"] for detail in row["market_details"]}
        fact = self.manifest.facts(name).get("ticker")
        self._keep("metadata", fact or ",".join(sorted(tickers)), name, row, body.strip())

    def _one_series(self, name: str, body: bytes) -> None:
        self._keep_series(name, bytes(raw_object(body)["series"]))

    def _series(self, name: str, body: bytes) -> None:
        for raw in raw_list(raw_object(body)["series"]):
            self._keep_series(name, bytes(raw))

    def _keep_series(self, name: str, raw: bytes) -> None:
        row = plain(raw)
        if not row.get("ticker"):
            return self._aside(name, "series", "without a ticker")
        return self._keep("series", row["ticker"], name, row, raw)

    def _trades(self, name: str, body: bytes) -> None:
        for raw in raw_list(raw_object(body)["trades"]):
            row = plain(bytes(raw))
            self._keep("trade", row["trade_id"], name, row, bytes(raw))

    def _fee_changes(self, name: str, body: bytes) -> None:
        for row in plain(body)["series_fee_change_arr"]:
            self._keep("fee change", row["id"], name, row, b"")

    def _milestones(self, name: str, body: bytes) -> None:
        answer = raw_object(body)
        listed = raw_list(answer["milestones"]) if "milestones" in answer else []
        for raw in [answer["milestone"]] if "milestone" in answer else listed:
            row = plain(bytes(raw))
            self._keep("milestone", row["id"], name, row, bytes(raw))

    def _collections(self, name: str, body: bytes) -> None:
        answer = raw_object(body)
        one = answer.get("multivariate_contract")
        for raw in [one] if one is not None else raw_list(answer["multivariate_contracts"]):
            row = plain(bytes(raw))
            self._keep("collection", row["collection_ticker"], name, row, bytes(raw))

    def _book(self, name: str, body: bytes) -> None:
        answer = raw_object(body)
        if "orderbooks" not in answer:
            self.books.append((name, body.strip()))
            return
        for raw in raw_list(answer["orderbooks"]):
            row = plain(bytes(raw))
            ticker = row.pop("ticker")
            self._keep("book", ticker, name, row, b"")

    def _candles(self, name: str, body: bytes) -> None:
        row = plain(body)
        ticker = row.get("ticker") or self.manifest.facts(name).get("ticker")
        self._keep_candles(name, ticker, row["candlesticks"])

    def _batch(self, name: str, body: bytes) -> None:
        for row in plain(body)["markets"]:
            self._keep_candles(name, row["market_ticker"], row["candlesticks"])

    def _event_candles(self, name: str, body: bytes) -> None:
        row = plain(body)
        for ticker, rows in zip(row["market_tickers"], row["market_candlesticks"], strict=True):
            self._keep_candles(name, ticker, rows)

    def _keep_candles(self, name: str, ticker: str | None, rows: list[Rows]) -> None:
        minutes = _minutes(rows)
        if ticker is None or minutes is None:
            return self._aside(name, "candlesticks", "their market or period is not known")
        return self._keep("candles", f"{ticker} {minutes}", name, {"rows": rows}, b"")

    def _keep(
        self,
        kind: str,
        key: str,
        name: str,
        row: Rows,
        raw: bytes,
        *,
        archived: bool = False,
        recorded: str | None = None,
    ) -> None:
        """Keep the newer of two recordings of one thing; the other is set aside."""
        found = Found(recorded or self.manifest.recorded(name), name, row, raw, archived)
        other = self.found.get((kind, key))
        if other is not None and other.recorded > found.recorded:
            found, other = other, found
        if other is not None:
            self._aside(other.file, f"{kind} {key}", f"recorded again later in {found.file}")
        self.found[kind, key] = found

    def _aside(self, name: str, what: str, why: str) -> None:
        self.exchange.set_aside.append((name, what, why))

    # Listing

    def _list(self) -> None:
        exchange = self.exchange
        for found in self._kind("series"):
            exchange.catalogue.file_series(_series_entry(found))
        events = [_event_entry(found) for found in self._kind("event")]
        entries = [_market_entry(found) for found in self._kind("market")]
        exchange.catalogue.file_many(events, entries)
        self._cutoff(entries)
        for name, body in self.books:
            self._name_book(name, body)
        exchange.catalogue.books = {
            ticker: found.row for (kind, ticker), found in self.found.items() if kind == "book"
        }
        for (kind, key), found in self.found.items():
            if kind == "candles":
                ticker, _, minutes = key.partition(" ")
                exchange.catalogue.candles[ticker, int(minutes)] = found.row["rows"]
            elif kind == "answer":
                exchange.reference.recorded[key] = found.raw
            elif kind == "metadata":
                path = f"GET /events/{{event_ticker}}/metadata {key}"
                exchange.reference.recorded[path] = found.raw
        self._admit()
        trades = [recorded_trade(found.row, found.raw) for found in self._kind("trade")]
        exchange.reference.invents = False
        exchange.tape.recorded = {}
        for trade in sorted(trades, key=lambda trade: -trade.at_us):
            exchange.tape.recorded.setdefault(trade.ticker, []).append(trade)
        exchange.reference.series_fee_changes = [f.row for f in self._kind("fee change")]
        exchange.reference.milestones = [(f.row, f.raw) for f in self._kind("milestone")]
        exchange.reference.collections = [(f.row, f.raw) for f in self._kind("collection")]

    def _admit(self) -> None:
        """Whose rows were recorded becomes a member."""
        answers = {key: found for (kind, key), found in self.found.items() if kind == "own answer"}
        rows = {
            kind: [(found.row, found.raw) for found in self._kind(kind)]
            for kind in recorded_member.NEEDED
        }
        if not answers and not any(rows.values()):
            return
        balance = answers.get("GET /portfolio/balance")
        recorded_member.admit(
            self.exchange,
            rows["fills"],
            rows["orders"],
            rows["market_positions"],
            rows["settlements"],
            {key: found.raw for key, found in answers.items()},
            "" if balance is None else balance.row.get("balance_dollars", ""),
        )

    def _kind(self, kind: str) -> list[Found]:
        return [found for (of, _), found in self.found.items() if of == kind]

    def _cutoff(self, entries: list[MarketEntry]) -> None:
        """The cutoff lies behind what was recorded from the archive."""
        archived = [entry.settled_us or 0 for entry in entries if entry.archived]
        self.exchange.catalogue.cutoff_us = max(archived, default=0) + times.SECOND
        self.exchange.trades_cutoff_us = self.exchange.orders_cutoff_us = 0

    def _name_book(self, name: str, body: bytes) -> None:
        """A book names no market: the manifest does, or the one market it is the book of."""
        row = plain(body)
        ticker = self.manifest.ticker(name) or self._quoted(row)
        if ticker is None:
            return self._aside(name, "orderbook", "its market is not known")
        return self._keep("book", ticker, name, row, body)

    def _quoted(self, row: Rows) -> str | None:
        """The only market whose quote, sizes included, is the top of a book."""
        book = row.get("orderbook_fp") or {}
        top = (_top(book.get("yes_dollars")), _top(book.get("no_dollars")))
        if None in top:
            return None
        matching = {
            found.row["ticker"]
            for found in self._kind("market")
            if top
            == (
                (found.row.get("yes_bid_dollars"), found.row.get("yes_bid_size_fp")),
                (found.row.get("no_bid_dollars"), found.row.get("yes_ask_size_fp")),
            )
        }
        return matching.pop() if len(matching) == 1 else None

    def _count(self) -> None:
        self.exchange.counts = dict(Counter(kind for kind, _ in self.found))


def load(exchange: "Exchange", directory: Path) -> None:
    """Fill an empty exchange with the recordings of a directory."""
    if not directory.is_dir():
        raise FileNotFoundError(f"no recordings in {directory}")
    Loader(exchange, directory).load()


def _market_entry(found: Found) -> MarketEntry:
    entry = market_entry(found.row)
    entry.row = found.raw
    entry.archived = found.archived
    return entry


def _event_entry(found: Found) -> EventEntry:
    row = found.row
    updated = row.get("last_updated_ts")
    updated_us = times.parse(updated) if updated else 0
    series = row["series_ticker"]
    combo = series.startswith("KXMVE")
    return EventEntry(row["event_ticker"], series, combo, updated_us, updated_us, None, found.raw)


def _series_entry(found: Found) -> SeriesEntry:
    row = found.row
    updated = row.get("last_updated_ts")
    categories = row.get("categories") or [row["category"]]
    tags = tuple(row.get("tags") or ())
    updated_us = times.parse(updated) if updated else 0
    return SeriesEntry(row["ticker"], tuple(categories), tags, updated_us, None, found.raw)


def _minutes(rows: list[Rows]) -> int | None:
    """The period of candles, by the least distance between two of them."""
    ends = sorted(row["end_period_ts"] for row in rows)
    gaps = [later - sooner for sooner, later in pairwise(ends)]
    return min(gaps) // 60 if gaps and min(gaps) // 60 in (1, 60, 1440) else None


def _top(levels: list[list[str]] | None) -> tuple[str, str] | None:
    return (levels[-1][0], levels[-1][1]) if levels else None
