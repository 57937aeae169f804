"""GET /series: all of them in one answer, or one."""

from kalshi_gateway.simulator import refusals
from kalshi_gateway.simulator.calls import Answer, Call, joined
from kalshi_gateway.simulator.catalogue import Catalogue
from kalshi_gateway.simulator.entries import SeriesEntry
from kalshi_gateway.simulator.prices import contracts, hundredths


async def every(call: Call) -> Answer:
    """All series; this listing has no pages."""
    category, tags = call.text("category"), call.names("tags")
    updated_ts, volume = call.integer("min_updated_ts"), call.flag("include_volume")
    call.flag("include_product_metadata")
    catalogue = call.exchange.catalogue

    def wanted(series: SeriesEntry) -> bool:
        if category is not None and category not in series.categories:
            return False
        if tags is not None and not set(tags) & set(series.tags):
            return False
        return updated_ts is None or series.updated_us > updated_ts * 1_000_000

    chosen = filter(wanted, catalogue.series.values())
    return Answer(joined("series", [row(catalogue, series, volume=volume) for series in chosen]))


async def one(call: Call) -> Answer:
    """One series."""
    series = call.exchange.catalogue.series.get(call.path["series_ticker"])
    if series is None:
        raise refusals.not_found()
    volume = call.flag("include_volume")
    return Answer(b'{"series":' + row(call.exchange.catalogue, series, volume=volume) + b"}")


def row(catalogue: Catalogue, series: SeriesEntry, *, volume: bool) -> bytes:
    """A series' row, with what was traded in it when asked for."""
    plain = series.bytes()
    if not volume:
        return plain
    traded = sum(
        hundredths(market.field("volume_fp") or "0")
        for event in series.events
        for market in catalogue.by_event.get(event, [])
    )
    return plain[:-1] + b',"volume_fp":"%s"}' % contracts(traded).encode()
