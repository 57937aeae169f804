"""What is counted: one registry per application."""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

#: From a hot answer to one that waits for the exchange.
LATENCY_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The metrics of one application; rooms register their own in `registry`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        #: Kept as a plain number, as it changes twice with every request.
        self.in_flight = 0
        Gauge(
            "gateway_requests_in_flight", "Requests being answered.", registry=self.registry
        ).set_function(lambda: self.in_flight)
        self.job_failures = Counter(
            "gateway_job_failures", "Runs that failed.", ["job"], registry=self.registry
        )
        self._requests = Requests()
        self.registry.register(self._requests)
        self.answered = self._requests.answered

    def exposition(self) -> bytes:
        """All metrics as Prometheus reads them."""
        return generate_latest(self.registry)


class Requests(Collector):
    """Requests answered and their time, as plain numbers: a hot answer has no time for more."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, int], int] = {}
        self._spreads: dict[str, Spread] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request; `route` is a template, never a path."""
        key = (method if method in METHODS else "other", route, status)
        self._counts[key] = self._counts.get(key, 0) + 1
        spread = self._spreads.get(route)
        if spread is None:
            spread = self._spreads[route] = Spread()
        spread.add(seconds)

    def collect(self) -> Iterator[Metric]:
        """Both, as Prometheus takes them."""
        counts = CounterMetricFamily(
            "gateway_requests", "Requests answered.", labels=["method", "route", "status"]
        )
        for (method, route, status), count in self._counts.items():
            counts.add_metric([method, route, str(status)], count)
        yield counts
        times = HistogramMetricFamily(
            "gateway_request_seconds", "Time to the end of the answer.", labels=["route"]
        )
        for route, spread in self._spreads.items():
            times.add_metric([route], spread.buckets(), spread.sum)
        yield times


class Spread:
    """How many took how long."""

    __slots__ = ("_counts", "sum")

    def __init__(self) -> None:
        self._counts = [0] * (len(LATENCY_BUCKETS) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self._counts[bisect_left(LATENCY_BUCKETS, seconds)] += 1
        self.sum += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """For each bound, how many took no longer."""
        bounds = [*map(floatToGoString, LATENCY_BUCKETS), "+Inf"]
        return list(zip(bounds, accumulate(self._counts), strict=True))
