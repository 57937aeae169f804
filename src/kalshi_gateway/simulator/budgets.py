"""How much each member may ask: token buckets by tier, as the exchange keeps them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from . import refusals
from .accounts import Member

DEFAULT_COST = 10


@dataclass(frozen=True)
class Bucket:
    """Tokens per second and how many can be saved up."""

    refill_rate: int
    bucket_capacity: int


@dataclass(frozen=True)
class Tier:
    """The buckets of one usage level."""

    read: Bucket
    write: Bucket
    balance: Bucket = Bucket(1, 1)


def _tier(read: int, write: int, seconds_saved: int = 3, balance: int = 1) -> Tier:
    return Tier(
        Bucket(read, read * seconds_saved),
        Bucket(write, write * seconds_saved),
        Bucket(balance, balance),
    )


# docs.kalshi.com/getting_started/rate_limits with the rise of 2026-09-24; Basic saves one
# second (demo, 2026-06), Advanced three (production, 2026-10).
TIERS = {
    "basic": _tier(200, 100, seconds_saved=1),
    "advanced": _tier(300, 300),
    "expert": _tier(600, 600, balance=5),
    "premier": _tier(1_200, 1_200, balance=5),
    "paragon": _tier(2_400, 2_400, balance=5),
    "prime": _tier(4_800, 4_800, balance=5),
    "prestige": _tier(12_000, 9_600, balance=5),
}
# Undocumented; five calls a second mostly pass, at more some are refused (measured 2026-09).
UNSIGNED = Tier(read=Bucket(50, 200), write=Bucket(0, 0), balance=Bucket(0, 0))

# What does not cost the default, as GET /account/endpoint_costs tells.
COSTS: dict[tuple[str, str], int] = {
    ("POST", "/account/api_usage_level/upgrade"): 30,
    ("GET", "/cfbenchmarks"): 150,
    ("GET", "/cfbenchmarks/*endpoint"): 150,
    ("POST", "/communications/quotes"): 2,
    ("GET", "/communications/quotes/:quote_id"): 2,
    ("DELETE", "/communications/quotes/:quote_id"): 2,
    ("GET", "/communications/rfqs/:rfq_id/quotes/:quote_id"): 2,
    ("DELETE", "/communications/rfqs/:rfq_id/quotes/:quote_id"): 2,
    ("DELETE", "/portfolio/events/orders"): 2,
    ("DELETE", "/portfolio/events/orders/:order_id"): 2,
    ("DELETE", "/portfolio/events/orders/batched"): 2,
    ("GET", "/portfolio/orders/:order_id"): 2,
}

BucketName = Literal["read", "write", "balance"]
# Three bodies of a 429 are known: production's, the documentation's, the specification's.
TOO_MANY: dict[str, Callable[[], refusals.Refused]] = {
    "object": lambda: refusals.enveloped(429, "too_many_requests"),
    "string": lambda: refusals.bare(429, "too many requests"),
    "flat": lambda: refusals.flat(429, "too_many_requests"),
}


@dataclass
class Limits:
    """The buckets of all members and of all addresses that do not sign."""

    on: bool = True
    refusal: Literal["object", "string", "flat"] = "object"
    tiers: dict[str, Tier] = field(default_factory=lambda: dict(TIERS))
    unsigned: Tier = UNSIGNED
    _levels: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def tier(self, member: Member | None) -> Tier:
        """The tier of a member; callers without a name share what their address gets."""
        return self.unsigned if member is None else self.tiers[member.tier]

    def charge(
        self, member: Member | None, address: str, name: BucketName, cost: int, elapsed: float
    ) -> None:
        """Take the cost out of a bucket, or refuse; a refusal costs nothing."""
        if not self.on:
            return
        bucket: Bucket = getattr(self.tier(member), name)
        owner = (address if member is None else member.user_id, name)
        level, since = self._levels.get(owner, (float(bucket.bucket_capacity), elapsed))
        refilled = level + max(elapsed - since, 0) * bucket.refill_rate
        level = min(refilled, float(bucket.bucket_capacity))
        if level < cost:
            self._levels[owner] = (level, elapsed)
            raise TOO_MANY[self.refusal]()
        self._levels[owner] = (level - cost, elapsed)

    def describe(self, member: Member) -> dict[str, Any]:
        """What GET /account/limits says."""
        tier = self.tiers[member.tier]
        return {
            "grants": [],
            "read": {
                "bucket_capacity": tier.read.bucket_capacity,
                "refill_rate": tier.read.refill_rate,
            },
            "usage_tier": member.tier,
            "write": {
                "bucket_capacity": tier.write.bucket_capacity,
                "refill_rate": tier.write.refill_rate,
            },
        }
