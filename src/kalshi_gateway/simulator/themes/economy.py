"""The economy: the Fed, prices and jobs, markets for money, companies' numbers."""

from datetime import datetime
from random import Random

from .family import Family, Occasion, between, choices, day, greater, spoken

# ticker: title, subject, centre, step, unit, tag
STATISTICS = {
    "KXCPI": ("CPI month over month", "the rise of CPI in", 0.3, 0.1, "%", "Inflation"),
    "KXCPIYOY": ("CPI year over year", "the annual rise of CPI in", 2.9, 0.1, "%", "Inflation"),
    "KXCPICORE": ("Core CPI", "the rise of core CPI in", 0.3, 0.1, "%", "Inflation"),
    "KXPAYROLLS": ("Jobs numbers", "nonfarm payroll growth in", 75_000, 25_000, "", "Employment"),
    "KXU3": ("Unemployment rate", "the unemployment rate in", 4.4, 0.1, "%", "Employment"),
    "KXGDP": ("US GDP growth", "real GDP growth in the quarter to", 2.2, 0.5, "%", "Growth"),
    "KXJOBLESSCLAIMS": ("Jobless claims", "initial claims in the week to", 225_000, 5_000, "",
                        "Employment"),
    "KXAAAGASM": ("US gas prices", "the average price of gas on", 3.1, 0.05, "", "Oil and energy"),
    "KXFRM": ("Mortgage rates", "the 30-year fixed rate on", 6.2, 0.1, "%", "Mortgages"),
    "KXHOUSING": ("Housing starts", "housing starts in", 1_350_000, 25_000, "", "Housing"),
}  # fmt: skip
INDICES = {
    "KXINX": ("S&P 500", 6_650.0, 25.0, "S&P"),
    "KXNASDAQ100": ("Nasdaq-100", 24_900.0, 100.0, "Nasdaq"),
    "KXWTI": ("WTI oil", 62.5, 0.5, "WTI"),
    "KXGOLD": ("Gold", 4_120.0, 10.0, "Metals"),
    "KXEURUSD": ("EUR/USD", 1.158, 0.002, "EUR/USD"),
    "KXUSDJPY": ("USD/JPY", 155.2, 0.25, "USD/JPY"),
    "KXTNOTE": ("10Y Treasury", 4.12, 0.02, "Treasuries"),
}
COMPANIES = {
    "TSLA": ("Tesla deliveries", 455_000.0, 10_000.0),
    "NFLX": ("Netflix subscribers (millions)", 325.0, 2.5),
    "SPOT": ("Spotify premium users (millions)", 281.0, 1.0),
    "UBER": ("Uber trips (millions)", 3_500.0, 50.0),
    "META": ("Meta daily users (millions)", 3_540.0, 10.0),
    "NESN": ("Nestlé organic growth (%)", 3.1, 0.2),
}
FED = ["Cut 50bps or more", "Cut 25bps", "Fed maintains rate", "Hike 25bps", "Hike 50bps or more"]


def families() -> list[Family]:
    """Statistics, indices, companies and the Fed."""
    return [
        *(_statistic(ticker, *facts) for ticker, facts in STATISTICS.items()),
        *(_index(ticker, *facts) for ticker, facts in INDICES.items()),
        *(_company(ticker, *facts) for ticker, facts in COMPANIES.items()),
        _fed(),
    ]


def _fed() -> Family:
    def draw(rng: Random, date: datetime) -> Occasion:
        subject = f"at the Federal Reserve's {spoken(date)} meeting"
        return Occasion(
            suffix=day(date),
            title=f"Fed decision in {date:%B}?",
            sub_title=f"In {date:%b %Y}",
            outcomes=choices(rng, FED, subject, "Decision"),
        )

    return Family(
        ticker="KXFEDDECISION",
        title="Fed meeting",
        category="Economics",
        tags=("Fed",),
        draw=draw,
        exclusive=True,
        frequency="monthly",
        grid="center_half_edge_deci_cent",
        source=("Federal Reserve", "https://www.federalreserve.gov"),
        also=("Financials", "Politics"),
    )


def _statistic(
    ticker: str, title: str, subject: str, centre: float, step: float, unit: str, tag: str
) -> Family:
    def draw(rng: Random, date: datetime) -> Occasion:
        values = [round(centre + step * count, 6) for count in range(-5, 6)]
        middle = centre + step * rng.uniform(-2, 2)
        return Occasion(
            suffix=day(date),
            title=f"{title} in {date:%b %Y}?",
            sub_title=f"In {date:%b %Y}",
            outcomes=greater(values, middle, step, f"{subject} {date:%B %Y}", unit),
        )

    return Family(
        ticker=ticker,
        title=title,
        category="Economics",
        tags=(tag,),
        draw=draw,
        frequency="monthly",
        source=("Bureau of Labor Statistics", "https://www.bls.gov"),
    )


def _index(ticker: str, name: str, level: float, width: float, tag: str) -> Family:
    def draw(rng: Random, date: datetime) -> Occasion:
        centre = level * rng.uniform(0.98, 1.02)
        base = round(centre / width) * width
        edges = [round(base + width * step, 6) for step in range(-12, 13)]
        subject = f"the {name} at {date:%H:%M} EST on {spoken(date)}"
        return Occasion(
            suffix=f"{day(date)}H{date.hour:02d}",
            title=f"{name} range on {spoken(date)}?",
            sub_title=f"{spoken(date)} at {date:%H:%M} EST",
            outcomes=between(edges, centre, width * 2, subject),
        )

    return Family(
        ticker=ticker,
        title=f"{name} range",
        category="Financials",
        tags=(tag, "Daily"),
        draw=draw,
        exclusive=True,
        weight=2,
        frequency="daily",
        grid="deci_cent" if ticker == "KXTNOTE" else "linear_cent",
        source=("Standard & Poor's", "https://www.spglobal.com"),
        also=("Economics",),
    )


def _company(ticker: str, name: str, centre: float, step: float) -> Family:
    def draw(rng: Random, date: datetime) -> Occasion:
        values = [round(centre + step * count, 6) for count in range(-4, 5)]
        quarter = f"Q{(date.month - 1) // 3 + 1} {date.year}"
        middle = centre + step * rng.uniform(-2, 2)
        return Occasion(
            suffix=f"{day(date)}Q{(date.month - 1) // 3 + 1}",
            title=f"{name} in {quarter}?",
            sub_title=quarter,
            outcomes=greater(values, middle, step, f"{name} in {quarter}"),
        )

    return Family(
        ticker=f"KX{ticker}KPI",
        title=name,
        category="Companies",
        tags=("KPIs",),
        draw=draw,
        frequency="quarterly",
        source=("Company filings", "https://www.sec.gov/edgar"),
        also=("Financials",),
    )
