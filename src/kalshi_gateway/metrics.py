"""What is counted: one registry per application, each metric bound once."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

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
        self._requests = Counter(
            "gateway_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "gateway_request_seconds",
            "Time to the end of the answer.",
            ["route"],
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        # Looking labels up costs four times what counting does.
        self._bound: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request; `route` is a template, never a path."""
        bound = self._bound.get((method, route, status)) or self._bind(method, route, status)
        bound[0].inc()
        bound[1].observe(seconds)

    def exposition(self) -> bytes:
        """All metrics as Prometheus reads them."""
        return generate_latest(self.registry)

    def _bind(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        known = method if method in METHODS else "other"
        bound = self._requests.labels(known, route, status), self._seconds.labels(route)
        if known == method:
            self._bound[method, route, status] = bound
        return bound
