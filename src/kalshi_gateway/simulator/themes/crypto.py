"""Coins: hourly bands and thresholds, and whether the next quarter of an hour goes up."""

from datetime import datetime
from random import Random

from .family import Family, Occasion, Outcome, between, day, greater, spoken

# name, what one costs, the width of a band
COINS = {
    "BTC": ("Bitcoin", 97_500.0, 250.0),
    "ETH": ("Ethereum", 3_650.0, 20.0),
    "SOL": ("Solana", 182.0, 1.0),
    "XRP": ("XRP", 2.35, 0.01),
    "DOGE": ("Dogecoin", 0.214, 0.002),
    "BNB": ("BNB", 905.0, 5.0),
    "HYPE": ("Hyperliquid", 41.0, 0.25),
    "SHIBA": ("Shiba Inu", 0.00001, 0.0000002),
}
SOURCE = ("CF Benchmarks", "https://www.cfbenchmarks.com/data/indices/BRTI")
DETAILS = (
    "The price used to determine this market is the simple average of the sixty seconds of CF "
    "Benchmarks' real-time index before the stated hour. Not all cryptocurrency price data is the "
    "same. While checking a source like an exchange's app may help guide your decision, the price "
    "used to determine this market is based on CF Benchmarks' corresponding index.\n\nThe last "
    "minute before expiration is taken: every second of it enters with the same weight, then the "
    "average is rounded to the index's published precision."
)


def families() -> list[Family]:
    """Bands, thresholds and quarters of an hour per coin."""
    return [
        family for key, (name, price, width) in COINS.items() for family in (
            _bands(key, name, price, width),
            _thresholds(key, name, price, width),
            _quarter(key, name, price),
        )
    ]  # fmt: skip


def _hour(date: datetime) -> str:
    return f"{day(date)}{date.hour:02d}"


def _bands(key: str, name: str, price: float, width: float) -> Family:
    def draw(rng: Random, date: datetime) -> Occasion:
        centre = price * rng.uniform(0.97, 1.03)
        base = round(centre / width) * width
        edges = [round(base + width * step, 10) for step in range(-20, 21)]
        subject = f"the {name} price at {date:%I %p} EST on {spoken(date)}"
        return Occasion(
            suffix=_hour(date),
            title=f"{name} price range on {spoken(date)} at {date:%I %p} EST?",
            sub_title=f"On {spoken(date)} at {date:%I %p} EST",
            outcomes=between(edges, centre, width * 2.5, subject),
        )

    return Family(
        ticker=f"KX{key}",
        title=f"{name} price range",
        category="Crypto",
        tags=(key, "Hourly"),
        draw=draw,
        exclusive=True,
        weight=3,
        frequency="hourly",
        shard=2,
        source=SOURCE,
        details=DETAILS,
        also=("Financials",),
    )


def _thresholds(key: str, name: str, price: float, width: float) -> Family:
    def draw(rng: Random, date: datetime) -> Occasion:
        centre = price * rng.uniform(0.97, 1.03)
        base = round(centre / width) * width
        values = [round(base + width * step - width / 100, 10) for step in range(-15, 16)]
        subject = f"the {name} price at {date:%I %p} EST on {spoken(date)}"
        return Occasion(
            suffix=_hour(date),
            title=f"{name} price on {spoken(date)}?",
            sub_title=f"On {spoken(date)} at {date:%I %p} EST",
            outcomes=greater(values, centre, width * 2.5, subject),
        )

    return Family(
        ticker=f"KX{key}D",
        title=f"{name} price Above/below",
        category="Crypto",
        tags=(key, "Hourly"),
        draw=draw,
        weight=3,
        frequency="hourly",
        shard=2,
        source=SOURCE,
        details=DETAILS,
    )


def _quarter(key: str, name: str, price: float) -> Family:
    def draw(rng: Random, date: datetime) -> Occasion:
        target = round(price * rng.uniform(0.97, 1.03), 6)
        outcome = Outcome(
            suffix=f"{date.minute // 15 * 15:02d}",
            yes=f"Target Price: ${target:,}",
            title=f"{name} price up in next 15 mins?",
            chance=rng.uniform(0.03, 0.97),
            strike={"strike_type": "greater_or_equal", "floor_strike": target},
            rules=f"If the average of {name} is at least {target:,}, it resolves to Yes.",
        )
        return Occasion(
            suffix=f"{day(date)}{date.hour:02d}{date.minute // 15 * 15:02d}",
            title=f"{name} 15 min · {date:%H:%M} EST",
            sub_title=f"{spoken(date)} - {date:%H:%M} EST",
            outcomes=[outcome],
        )

    return Family(
        ticker=f"KX{key}15M",
        title=f"{name} Up or Down - 15 minutes",
        category="Crypto",
        tags=(key, "15 min"),
        draw=draw,
        weight=4,
        frequency="fifteen_min",
        shard=2,
        grid="tapered_deci_cent",
        source=SOURCE,
        details=DETAILS,
    )
