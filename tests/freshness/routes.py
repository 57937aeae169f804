"""Every route that answers what came from the exchange, and how it can be had newer."""

from typing import Literal, NamedTuple

import pytest

TICKER = "KXHIGHNY-26JUN15-T85"
EVENT = "KXHIGHNY-26JUN15"
SERIES = "KXHIGHNY"


class Route(NamedTuple):
    """`named` is asked for by its name, `walked` never, `momentary` each time."""

    path: str
    kind: Literal["named", "walked", "momentary"]
    #: What the exchange is asked.
    upstream: str = ""
    template: str = ""


ROUTES = [
    Route("/kalshi/markets", "walked"),
    Route(f"/kalshi/markets/{TICKER}", "named", f"/markets/{TICKER}", "/kalshi/markets/{ticker}"),
    Route(
        f"/kalshi/markets/{TICKER}/orderbook",
        "momentary",
        f"/markets/{TICKER}/orderbook",
        "/kalshi/markets/{ticker}/orderbook",
    ),
    Route(
        f"/kalshi/markets/{TICKER}/trades",
        "momentary",
        "/markets/trades",
        "/kalshi/markets/{ticker}/trades",
    ),
    Route(
        f"/kalshi/markets/{TICKER}/candles",
        "momentary",
        f"/series/{SERIES}/markets/{TICKER}/candlesticks",
        "/kalshi/markets/{ticker}/candles",
    ),
    Route("/kalshi/events", "walked"),
    Route(f"/kalshi/events/{EVENT}", "named", f"/events/{EVENT}", "/kalshi/events/{event_ticker}"),
    Route("/kalshi/series", "walked"),
    Route(
        f"/kalshi/series/{SERIES}", "named", f"/series/{SERIES}", "/kalshi/series/{series_ticker}"
    ),
    Route("/kalshi/categories", "walked"),
    Route("/kalshi/search/suggestions?q=highest", "walked"),
    Route("/kalshi/exchange", "named", "/exchange/status"),
]


def of_kind(*kinds: str) -> pytest.MarkDecorator:
    """The routes of these kinds; of all, where none is named."""
    wanted = [route for route in ROUTES if not kinds or route.kind in kinds]
    return pytest.mark.parametrize("route", wanted, ids=lambda route: route.path)
