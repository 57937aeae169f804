"""What is counted: one registry per application."""

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterator, Mapping
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
        self._counts: dict[tuple[str, str, int, bytes], int] = {}
        self._spreads: dict[str, Spread] = {}

    def answered(
        self, method: str, route: str, status: int, seconds: float, cache: bytes = b""
    ) -> None:
        """Count one request; `route` is a template, never a path, and `cache` our own X-Cache."""
        key = (method if method in METHODS else "other", route, status, cache)
        self._counts[key] = self._counts.get(key, 0) + 1
        spread = self._spreads.get(route)
        if spread is None:
            spread = self._spreads[route] = Spread()
        spread.add(seconds)

    def collect(self) -> Iterator[Metric]:
        """All of them, as Prometheus takes them."""
        requests, results = Tally[tuple[str, ...]](), Tally[tuple[str, ...]]()
        for (method, route, status, cache), count in self._counts.items():
            requests[method, route, str(status)] += count
            if cache:
                results[route, cache.decode()] += count
        yield _counted(
            "gateway_requests", "Requests answered.", ["method", "route", "status"], requests
        )
        yield _counted(
            "gateway_cache_results", "Answers by their X-Cache.", ["route", "result"], results
        )
        times = HistogramMetricFamily(
            "gateway_request_seconds", "Time to the end of the answer.", labels=["route"]
        )
        for route, spread in self._spreads.items():
            times.add_metric([route], spread.buckets(), spread.sum)
        yield times


def _counted(
    name: str, about: str, labels: list[str], counts: Mapping[tuple[str, ...], int]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, about, labels=labels)
    for key, count in counts.items():
        family.add_metric(key, count)
    return family


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
