"""Answers about the exchange itself and about its catalogue as a whole."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import times, wire
from .accounts import SHARDS
from .catalogue import Catalogue
from .entries import EventEntry

NAMESPACE = uuid.UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8")
ALL_DAY = {"close_time": "00:00", "open_time": "00:00"}
# Thursday's pause, Eastern time (production, 2026-01).
THURSDAY = [
    {"close_time": "03:00", "open_time": "00:00"},
    {"close_time": "00:00", "open_time": "05:00"},
]
DAYS = ("friday", "monday", "saturday", "sunday", "thursday", "tuesday", "wednesday")


@dataclass
class Shard:
    """One shard of the exchange, and what it lets members do at the moment."""

    description: str
    exchange_active: bool = True
    trading_active: bool = True
    transfers_active: bool = True


def all_shards() -> dict[int, Shard]:
    """The shards, all of them open."""
    return {index: Shard(description) for index, description in SHARDS.items()}


@dataclass
class Reference:
    """What the exchange says about itself; recorded answers are given instead where they exist."""

    catalogue: Catalogue
    shards: dict[int, Shard] = field(default_factory=all_shards)
    resumes_at_us: int | None = None
    # Told of every shard on which trading stops.
    followers: list[Callable[[int], None]] = field(default_factory=list)
    series_fee_changes: list[dict[str, Any]] = field(default_factory=list)
    event_fee_changes: list[dict[str, Any]] = field(default_factory=list)
    # By operation, such as "GET /exchange/schedule", or by operation and ticker.
    recorded: dict[str, bytes] = field(default_factory=dict)
    # What is recorded is all there is: nothing is made up beside it.
    invents: bool = True
    milestones: list[tuple[dict[str, Any], bytes]] = field(default_factory=list)
    collections: list[tuple[dict[str, Any], bytes]] = field(default_factory=list)

    # Pauses

    def pause_trading(self, *shards: int) -> None:
        """Thursday's pause: no new orders, the exchange itself stays up; none named means all."""
        for index in shards or self.shards:
            self.shards[index].trading_active = False
            self._tell(index)

    def pause_exchange(self, resumes_at_us: int | None = None) -> None:
        """The rarer pause of everything; the status then comes with a 503."""
        self.resumes_at_us = resumes_at_us
        for index, shard in self.shards.items():
            shard.exchange_active = shard.trading_active = shard.transfers_active = False
            self._tell(index)

    def _tell(self, index: int) -> None:
        for follower in self.followers:
            follower(index)

    def resume(self) -> None:
        """Open all shards again."""
        self.shards = all_shards()
        self.resumes_at_us = None

    def status(self) -> dict[str, Any]:
        """The exchange's status; the flags on top are those of shard 0."""
        first = self.shards[0]
        status: dict[str, Any] = {
            "exchange_active": first.exchange_active,
            "exchange_index_statuses": [
                {
                    "description": shard.description,
                    "exchange_active": shard.exchange_active,
                    "exchange_index": index,
                    "intra_exchange_transfers_active": shard.transfers_active,
                    "trading_active": shard.trading_active,
                }
                for index, shard in self.shards.items()
            ],
            "intra_exchange_transfers_active": first.transfers_active,
            "trading_active": first.trading_active,
        }
        if self.resumes_at_us is not None:
            status["exchange_estimated_resume_time"] = times.rfc3339(self.resumes_at_us)
        return status

    # The catalogue as a whole

    def schedule(self) -> dict[str, Any]:
        """The week: open around the clock but for Thursday's pause."""
        days = {day: THURSDAY if day == "thursday" else [ALL_DAY] for day in DAYS}
        week = {
            **days,
            "end_time": "2200-12-01T00:00:00Z",
            "start_time": "2024-12-01T00:00:00Z",
        }
        return {"schedule": {"maintenance_windows": [], "standard_hours": [week]}}

    def tags_by_categories(self) -> dict[str, Any]:
        """Every category with its tags; null where there are none."""
        tags: dict[str, set[str]] = {}
        for series in self.catalogue.series.values():
            for category in series.categories:
                tags.setdefault(category, set()).update(series.tags)
        named = {category: sorted(names) or None for category, names in sorted(tags.items())}
        return {"tags_by_categories": named}

    def filters_by_sport(self) -> dict[str, Any]:
        """Every sport with its competitions and their scopes."""
        sports: dict[str, dict[str, set[str]]] = {}
        for event in self.catalogue.events.values():
            series = self.catalogue.series.get(event.series_ticker)
            product = event.event.product_metadata if event.event is not None else None
            if series is None or not isinstance(product, dict) or "competition" not in product:
                continue
            for sport in series.tags:
                competitions = sports.setdefault(sport, {})
                scopes = competitions.setdefault(product["competition"], set())
                scopes.add(product.get("competition_scope", "Games"))
        filters = {
            sport: {
                "competitions": {
                    name: {"scopes": sorted(scopes)} for name, scopes in sorted(found.items())
                },
                "scopes": sorted(set().union(*found.values())),
            }
            for sport, found in sorted(sports.items())
        }
        return {"filters_by_sports": filters, "sport_ordering": ["All sports", *filters]}

    def event_metadata(self, event: EventEntry) -> bytes | None:
        """Pictures and sources of an event; None when they are not known."""
        recorded = self.recorded.get(f"GET /events/{{event_ticker}}/metadata {event.ticker}")
        if recorded is not None or not self.invents:
            return recorded
        sources = event.event.settlement_sources if event.event is not None else None
        address = "https://kalshi-public-docs.s3.amazonaws.com/series-images-webp"
        metadata = {
            "featured_image_url": "",
            "image_url": f"{address}/{event.series_ticker}.webp",
            "market_details": [
                {"color_code": "#AA00FF", "image_url": "", "market_ticker": market.ticker}
                for market in event.markets
            ],
            "settlement_sources": sources or [],
        }
        return wire.encode(metadata)

    def known_milestones(self) -> list[tuple[dict[str, Any], bytes]]:
        """The milestones of the games of generated sports, or the recorded ones."""
        if not self.invents:
            return self.milestones
        return self.milestones + [
            (row, wire.encode(row))
            for event in self.catalogue.listed_events[0].things
            if (row := milestone(self.catalogue, event)) is not None
        ]

    def known_collections(self) -> list[tuple[dict[str, Any], bytes]]:
        """The collections combos are made in."""
        if not self.invents:
            return self.collections
        rows = [collection(self.catalogue)] if self.catalogue.listed_events[1].things else []
        return self.collections + [(row, wire.encode(row)) for row in rows]


def milestone(catalogue: Catalogue, event: EventEntry) -> dict[str, Any] | None:
    """The milestone of a game; None for events that are no games."""
    product = event.event.product_metadata if event.event is not None else None
    if not isinstance(product, dict) or product.get("competition_scope") != "Game":
        return None
    if not event.markets or event.event is None:
        return None
    series = catalogue.series[event.series_ticker]
    sport = series.tags[0].lower() if series.tags else "other"
    return {
        "category": "Sports",
        "details": {"league": product["competition"], "status": "created"},
        "end_date": None,
        "id": str(uuid.uuid5(NAMESPACE, event.ticker)),
        "last_updated_ts": times.rfc3339(event.updated_us),
        "notification_message": "Who will emerge victorious?",
        "primary_event_tickers": [event.ticker],
        "related_event_tickers": [event.ticker],
        "source_id": str(uuid.uuid5(NAMESPACE, f"source {event.ticker}")),
        "start_date": times.rfc3339(event.markets[0].closes_us),
        "title": event.event.title,
        "type": f"{sport}_game",
    }


def collection(catalogue: Catalogue) -> dict[str, Any]:
    """The one collection of the generated catalogue: any games together."""
    first = catalogue.listed_events[1].things[0].markets[0]
    games = [event.ticker for event in catalogue.listed_events[0].things if _is_game(event)][:50]
    return {
        "associated_event_tickers": games,
        "associated_events": [
            {
                "active_quoters": [],
                "is_yes_only": False,
                "size_max": 1,
                "size_min": None,
                "ticker": ticker,
            }
            for ticker in games
        ],
        "close_date": "2200-01-01T00:00:00Z",
        "collection_ticker": first.field("mve_collection_ticker"),
        "description": "Choose any combination of games.",
        "exchange_index": 1,
        "functional_description": "The resulting market will only resolve to YES if every "
        "associated market resolves to YES. Scalar outcomes are multiplied (rounded down).",
        "is_all_yes": False,
        "is_ordered": False,
        "is_single_market_per_event": False,
        "open_date": "2026-01-01T00:00:00Z",
        "price_level_structure": first.field("price_level_structure"),
        "price_ranges": first.field("price_ranges"),
        "series_ticker": "KXMVESPORTSMULTIGAMEEXTENDED",
        "size_max": 0,
        "size_min": 2,
        "title": "What will happen?",
    }


def _is_game(event: EventEntry) -> bool:
    product = event.event.product_metadata if event.event is not None else None
    return isinstance(product, dict) and product.get("competition_scope") == "Game"
