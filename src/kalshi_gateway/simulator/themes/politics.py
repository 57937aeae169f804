"""Politics, elections, what will be said, the world."""

from datetime import datetime
from random import Random

from .family import Family, Occasion, between, choices, day, greater, spoken

STATES = {
    "AK": "Alaska", "AZ": "Arizona", "CO": "Colorado", "FL": "Florida", "GA": "Georgia",
    "IA": "Iowa", "KS": "Kansas", "ME": "Maine", "MI": "Michigan", "MN": "Minnesota",
    "MT": "Montana", "NC": "North Carolina", "NE": "Nebraska", "NH": "New Hampshire",
    "NV": "Nevada", "NY": "New York", "OH": "Ohio", "PA": "Pennsylvania", "TX": "Texas",
    "VA": "Virginia", "WA": "Washington", "WI": "Wisconsin",
}  # fmt: skip
COUNTRIES = {
    "FRA": "France", "DEU": "Germany", "BRA": "Brazil", "CIV": "Côte d'Ivoire", "TUR": "Türkiye",
    "MEX": "México", "JPN": "Japan", "GBR": "the United Kingdom", "CAN": "Canada",
    "POL": "Poland", "PER": "Perú", "ISR": "Israel",
}  # fmt: skip
PEOPLE = [
    "José Álvarez", "Anna-Lena Groß", "Maria Kowalczyk", "Emmanuel Lefèvre", "Chloé Dubois",
    "Mateusz Wiśniewski", "Thandiwe Nkosi", "Ömer Şahin", "Sinéad O'Brien", "Li Wei (李伟)",
    "Robert Harris", "Patricia Johnson", "Michael Nguyen", "Linda Torres", "David Kim",
]  # fmt: skip
SPEAKERS = {
    "POWELL": "the Fed Chair", "PRES": "the President", "PRESSSEC": "the Press Secretary",
    "NYCMAYOR": "the Mayor of New York", "POPE": "Pope Leo XIV", "TSLACALL": "Tesla's management",
}  # fmt: skip
WORDS = [
    "Inflation", "Tariff / Tariffs", "Artificial Intelligence", "Bitcoin", "Recession", "Hoax",
    "China", "Ukraine", "Golden Age", "Robotaxi", "Balance Sheet", "Good Afternoon 3+ times",
    "Épiphanie", "Layoff", "Immigration", "Peace",
]  # fmt: skip


def families() -> list[Family]:
    """Approval, offices, elections, mentions and the world."""
    return [
        _approval("KXAPRPOTUS", "President's approval rating", 43.0),
        _approval("KXGENERICBALLOT", "Generic ballot lead", 4.5),
        *(_race("KXSENATE", "Senate", key, state) for key, state in STATES.items()),
        *(_race("KXGOV", "Governor", key, state) for key, state in STATES.items()),
        *(_leader(key, country) for key, country in COUNTRIES.items()),
        *(_mentions(key, speaker) for key, speaker in SPEAKERS.items()),
        _bills(),
    ]


def _approval(ticker: str, title: str, centre: float) -> Family:
    def draw(rng: Random, date: datetime) -> Occasion:
        middle = centre + rng.uniform(-2, 2)
        edges = [round(middle * 2) / 2 + 0.5 * step for step in range(-3, 4)]
        return Occasion(
            suffix=day(date),
            title=f"{title} on {spoken(date)}?",
            sub_title=f"On {spoken(date)}",
            outcomes=between(edges, middle, 0.5, f"the {title} on {spoken(date)}", "%"),
        )

    return Family(
        ticker=ticker,
        title=title,
        category="Politics",
        tags=("US Elections", "Approval ratings"),
        draw=draw,
        exclusive=True,
        frequency="weekly",
        source=("Silver Bulletin", "https://www.natesilver.net"),
        also=("Elections",),
    )


def _race(prefix: str, office: str, key: str, state: str) -> Family:
    def draw(rng: Random, date: datetime) -> Occasion:
        parties = ["Republican party", "Democratic party", "Independent"]
        place = f"{office} race in {state}"
        return Occasion(
            suffix=day(date),
            title=f"{state} {office} winner? ({date.year})",
            sub_title=f"In {date.year}",
            outcomes=choices(rng, parties, f"win the {place}", "Party"),
        )

    return Family(
        ticker=f"{prefix}{key}",
        title=f"{state} {office} race",
        category="Elections",
        tags=(),
        draw=draw,
        exclusive=True,
        weight=0.5,
        frequency="one_off",
        also=("Politics",),
    )


def _leader(key: str, country: str) -> Family:
    def draw(rng: Random, date: datetime) -> Occasion:
        names = rng.sample(PEOPLE, rng.randint(4, 10))
        subject = f"be the head of government of {country} on {spoken(date)}"
        return Occasion(
            suffix=day(date),
            title=f"Who will lead {country}?",
            sub_title=f"On {spoken(date)}",
            outcomes=choices(rng, names, subject, "Person"),
        )

    return Family(
        ticker=f"KXNEXTLEADER{key}",
        title=f"Next head of government of {country}",
        category="Politics",
        tags=("Foreign Elections",),
        draw=draw,
        exclusive=True,
        frequency="one_off",
        source=("Reuters", "https://www.reuters.com"),
        also=("World",),
    )


def _mentions(key: str, speaker: str) -> Family:
    def draw(rng: Random, date: datetime) -> Occasion:
        words = rng.sample(WORDS, rng.randint(8, len(WORDS)))
        return Occasion(
            suffix=day(date),
            title=f"What will {speaker} say on {spoken(date)}?",
            sub_title=f"On {spoken(date)} :: live",
            outcomes=choices(rng, words, f"be said by {speaker} on {spoken(date)}", "Word"),
        )

    return Family(
        ticker=f"KXMENTION{key}",
        title=f"What will {speaker} say?",
        category="Mentions",
        tags=(),
        draw=draw,
        frequency="custom",
        source=("Video of the event", "https://www.c-span.org"),
        also=("Politics",),
    )


def _bills() -> Family:
    def draw(rng: Random, date: datetime) -> Occasion:
        values = [float(count) for count in range(12)]
        return Occasion(
            suffix=day(date),
            title=f"How many bills become law before {spoken(date)}?",
            sub_title=f"Before {spoken(date)}",
            outcomes=greater(values, rng.uniform(2, 9), 1.1, "the number of bills signed"),
        )

    return Family(
        ticker="KXBILLSCOUNT",
        title="Bills signed into law",
        category="Politics",
        tags=("Bills", "Policy"),
        draw=draw,
        frequency="monthly",
        source=("Congress.gov", "https://www.congress.gov"),
    )
