"""Our own line to the exchange: the service's key, its budget, and what is counted of it."""

import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from math import inf

import httpx
import structlog
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .kalshi.budget import Bucket, Lane
from .kalshi.client import Kalshi
from .kalshi.drift import Difference, Drift
from .kalshi.errors import KalshiError, Rejected
from .kalshi.signing import ApiKey, Signer, UnusableKey
from .kalshi.wire import AccountLimits, BucketLimit
from .metrics import Metrics
from .settings import Settings, SettingsError

log = structlog.get_logger(__name__)

#: Tiers change with the volume of thirty days, and grants expire.
LEARN_EVERY = timedelta(hours=1)
#: What the exchange failed to tell is asked for again so much later.
TRY_AGAIN_EVERY = timedelta(minutes=1)
#: Replicas of one key start together, and their first requests are more urgent.
REPLICAS_LEARN_AFTER = timedelta(seconds=10)

#: Undocumented: five calls a second mostly pass, of more some are refused (measured 2026-09).
UNSIGNED = AccountLimits(read=BucketLimit(refill_rate=50, bucket_capacity=100))

LATENCY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


def kalshi(settings: Settings, http: httpx.AsyncClient, metrics: Metrics) -> Kalshi:
    """The exchange as the service itself asks it: signed, if the service has a key."""
    calls = Counter(
        "gateway_upstream_calls",
        "Attempts to ask the exchange.",
        ["operation", "outcome"],
        registry=metrics.registry,
    )
    seconds = Histogram(
        "gateway_upstream_seconds",
        "Time until the exchange had answered.",
        ["operation"],
        buckets=LATENCY_BUCKETS,
        registry=metrics.registry,
    )
    drift = Counter(
        "gateway_upstream_drift",
        "New ways in which the exchange's answers differ from what we know.",
        ["endpoint", "kind"],
        registry=metrics.registry,
    )

    def observe(operation: str, outcome: str, took_seconds: float) -> None:
        calls.labels(operation, outcome).inc()
        seconds.labels(operation).observe(took_seconds)

    def differs(difference: Difference) -> None:
        drift.labels(difference.endpoint, difference.kind).inc()
        log.warning(
            "the exchange answers otherwise",
            endpoint=difference.endpoint,
            field=difference.field,
            kind=difference.kind,
            example=difference.example,
        )

    made = Kalshi(
        settings.kalshi_base_url,
        http,
        signer=signer(settings),
        drift=Drift(on_first=differs),
        observe=observe,
    )
    if settings.service_key is None:
        made.budget.learn(UNSIGNED)
    _show(made, metrics)
    metrics.registry.register(DriftSeen(made.drift))
    return made


class DriftSeen(Collector):
    """Each difference by itself: how often it was seen, and since when."""

    def __init__(self, drift: Drift) -> None:
        self._drift = drift

    def collect(self) -> Iterator[Metric]:
        labels = ("endpoint", "field", "kind")
        seen = CounterMetricFamily(
            "gateway_upstream_drift_seen", "Rows that differ in this field.", labels=labels
        )
        first = GaugeMetricFamily(
            "gateway_upstream_drift_first_timestamp_seconds",
            "When a row first differed in this field.",
            labels=labels,
        )
        last = GaugeMetricFamily(
            "gateway_upstream_drift_last_timestamp_seconds",
            "When a row last differed in this field.",
            labels=labels,
        )
        for difference in self._drift.snapshot():
            values = (difference.endpoint, difference.field, difference.kind)
            seen.add_metric(values, difference.count)
            first.add_metric(values, difference.first_at.timestamp())
            last.add_metric(values, difference.last_at.timestamp())
        yield from (seen, first, last)


def signer(settings: Settings) -> Signer | None:
    """Signs with the service's key, and only for its host; `SettingsError` if it is no key."""
    own = own_key(settings)
    return None if own is None else Signer(own[1], settings.kalshi_base_url)


def own_key(settings: Settings) -> tuple[str, ApiKey] | None:
    """The service's key and the user whose it is; `SettingsError` if it is no key."""
    if settings.service_key is None:
        return None
    key_id, pem = settings.service_key
    try:
        key = ApiKey.from_pem(key_id, pem.get_secret_value())
    except UnusableKey as error:
        raise SettingsError([f"KALSHI_API_SECRET: {error}"]) from None
    return settings.kalshi_user_id, key


class Learning:
    """Takes the budget's sizes and costs from the exchange; until then the smallest ones hold."""

    def __init__(self, kalshi: Kalshi, *, signed: bool) -> None:
        self._kalshi = kalshi
        self._asks = {"costs": self._costs, "limits": self._limits}
        if not signed:
            del self._asks["limits"]
        self._due_at = dict.fromkeys(self._asks, -inf)  # monotonic

    async def learn(self) -> None:
        """Ask for what is due, each by itself: one failure keeps us from nothing else."""
        for what, ask in self._asks.items():
            now = time.monotonic()
            if now < self._due_at[what]:
                continue
            try:
                await ask()
            except KalshiError as error:
                log.warning("budget not learnt", what=what, why=str(error))
                if not isinstance(error, Rejected):
                    continue
            self._due_at[what] = now + LEARN_EVERY.total_seconds()

    async def _costs(self) -> None:
        costs = await self._kalshi.endpoint_costs(lane=Lane.ACCOUNT)
        self._kalshi.budget.learn(None, costs.value)

    async def _limits(self) -> None:
        limits = await self._kalshi.account_limits(lane=Lane.ACCOUNT)
        self._kalshi.budget.learn(limits.value)


def _show(kalshi: Kalshi, metrics: Metrics) -> None:
    """What is left of the budget, and whether calls pass at all, read when somebody asks."""
    tokens = Gauge(
        "gateway_budget_tokens",
        "Tokens left in a bucket of our account at the exchange.",
        ["bucket"],
        registry=metrics.registry,
    )
    for bucket in Bucket:
        tokens.labels(bucket.value).set_function(partial(_tokens_left, kalshi, bucket))
    is_open = Gauge(
        "gateway_breaker_open",
        "1 while an operation of the exchange's is left alone because it failed.",
        registry=metrics.registry,
    )
    is_open.set_function(lambda: float(kalshi.breakers.state != "closed"))


def _tokens_left(kalshi: Kalshi, bucket: Bucket) -> float:
    return next(level.left for level in kalshi.budget.snapshot() if level.bucket is bucket)
