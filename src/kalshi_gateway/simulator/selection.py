"""Which markets a listing asks for, and the page of them behind a place."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice, takewhile
from operator import attrgetter

from .catalogue import FILES, Catalogue, by_creation, by_settlement, by_update
from .entries import MarketEntry
from .shelves import Place, Shelf, merged

LIVE = tuple(file for file in FILES if file != "archived")
Window = tuple[int | None, int | None]
ANY: Window = (None, None)


@dataclass(frozen=True)
class Selection:
    """The filters of one listing, already found to go together."""

    files: tuple[str, ...] = LIVE
    tickers: tuple[str, ...] | None = None
    event_ticker: str | None = None
    series_ticker: str | None = None
    combos: bool | None = None
    created: Window = ANY
    closes: Window = ANY
    settled: Window = ANY
    updated: Window = ANY

    def page(self, catalogue: Catalogue, place: Place | None, limit: int) -> list[MarketEntry]:
        """The first markets behind a place, in the listing's order."""
        shelves = self._shelves(catalogue)
        if shelves is None:
            found = Shelf(self.key, self._among(catalogue))
            return list(islice(self._wanted(found.after(place)), limit))
        if len(shelves) == 1 and not self._filtered:
            return shelves[0].run(place, limit)
        rows: Iterator[MarketEntry] = merged(shelves, self._start(place))
        first = self._window[0]
        if first is not None:
            rows = takewhile(lambda entry: -self.key(entry)[0] > first, rows)
        return list(islice(self._wanted(rows), limit))

    @property
    def key(self) -> Callable[[MarketEntry], Place]:
        """What the listing is ordered by."""
        if self.updated != ANY:
            return by_update
        return by_settlement if self._by_settlement else by_creation

    @property
    def _by_settlement(self) -> bool:
        return self.settled != ANY or self.files in (("settled",), ("archived",))

    @property
    def _window(self) -> Window:
        """The window over what the listing is ordered by."""
        if self.updated != ANY:
            return self.updated
        return self.settled if self._by_settlement else self.created

    @property
    def _filtered(self) -> bool:
        return not self.created == self.closes == self.settled == self.updated == ANY

    def _start(self, place: Place | None) -> Place | None:
        """Where to begin: behind the place, and not before the window's newest moment."""
        last = self._window[1]
        if last is None:
            return place
        edge = (-last, "") if self.updated != ANY else (-last, "\U0010ffff")
        return edge if place is None else max(place, edge)

    def _shelves(self, catalogue: Catalogue) -> list[Shelf[MarketEntry]] | None:
        """The shelves to walk along; None when few markets are named instead."""
        if self.tickers is not None or self.event_ticker or self.series_ticker:
            return None
        kinds = (0, 1) if self.combos is None else (int(self.combos),)
        if self.updated != ANY:
            return [catalogue.updated(kind) for kind in kinds]
        if self._by_settlement:
            files = [file for file in self.files if file in ("settled", "archived")]
            return [catalogue.settled[file, kind] for file in files for kind in kinds]
        return [catalogue.created[file, kind] for file in self.files for kind in kinds]

    def _among(self, catalogue: Catalogue) -> Iterable[MarketEntry]:
        """The few markets named, in whatever status."""
        for entry in self._named(catalogue):
            if catalogue.file(entry) in self.files and self.combos in (None, entry.combo):
                yield entry

    def _named(self, catalogue: Catalogue) -> Iterable[MarketEntry]:
        if self.tickers is not None:
            known = (catalogue.markets.get(ticker) for ticker in dict.fromkeys(self.tickers))
            found: Iterable[MarketEntry] = (entry for entry in known if entry is not None)
            if self.event_ticker:
                found = (entry for entry in found if entry.event_ticker == self.event_ticker)
            if self.series_ticker:
                found = (e for e in found if catalogue.series_of(e) == self.series_ticker)
            return found
        if self.event_ticker:
            found = catalogue.by_event.get(self.event_ticker, [])
            if self.series_ticker:
                return [e for e in found if catalogue.series_of(e) == self.series_ticker]
            return found
        series = catalogue.series.get(self.series_ticker or "")
        events = series.events if series is not None else []
        return (entry for ticker in events for entry in catalogue.by_event.get(ticker, []))

    def _wanted(self, rows: Iterable[MarketEntry]) -> Iterator[MarketEntry]:
        """Those within all windows; the exchange's bounds are open, but for the newest update."""
        windows = ((_created, self.created), (_closes, self.closes), (_settled, self.settled))
        for moment, window in windows:
            if window != ANY:
                rows = filter(partial(_within, moment, window), rows)
        if self.updated != ANY:
            first, last = self.updated
            upto = None if last is None else last + 1
            rows = filter(partial(_within, _updated, (first, upto)), rows)
        return iter(rows)


_created = attrgetter("created_us")
_closes = attrgetter("closes_us")
_settled = attrgetter("settled_us")
_updated = attrgetter("updated_us")


def _within(
    moment: Callable[[MarketEntry], int | None], window: Window, entry: MarketEntry
) -> bool:
    at, (first, last) = moment(entry), window
    return at is not None and (first is None or at > first) and (last is None or at < last)
