"""Weather: daily temperatures, rain and snow of many cities, hurricanes."""

from datetime import datetime
from random import Random

from .family import Family, Occasion, between, day, greater, spoken

CITIES = {
    "NY": "New York City", "CHI": "Chicago", "MIA": "Miami", "AUS": "Austin", "DEN": "Denver",
    "LAX": "Los Angeles", "PHIL": "Philadelphia", "HOU": "Houston", "SFO": "San Francisco",
    "SEA": "Seattle", "BOS": "Boston", "ATL": "Atlanta", "DC": "Washington D.C.",
    "PHX": "Phoenix", "LV": "Las Vegas", "MIN": "Minneapolis", "NOLA": "New Orleans",
    "DAL": "Dallas", "SATX": "San Antonio", "OKC": "Oklahoma City",
    "SP": "São Paulo", "MAD": "Madrid", "PAR": "Paris", "ZRH": "Zürich", "TYO": "Tokyo (東京)",
}  # fmt: skip
SOURCE = ("National Weather Service", "https://www.weather.gov/srh/nwsoffices")
DETAILS = (
    "Not all weather data is the same. While checking a source like a phone's weather app may "
    "help guide your decision, the official value used to determine this market is the one "
    "reported by the National Weather Service's Climatological Report (Daily), released the "
    "following morning.\n\nIf the report is revised after the market has closed, the revision "
    "is not accounted for. Preliminary data may differ from the final report because of rounding "
    "between Celsius and Fahrenheit and because of daylight saving time."
)


def families() -> list[Family]:
    """High, low, rain and snow per city."""
    return [
        family for key, city in CITIES.items() for family in (
            _temperature("HIGH", "Highest", key, city),
            _temperature("LOW", "Lowest", key, city),
            _amount("RAIN", "rainfall", key, city),
            _amount("SNOW", "snowfall", key, city),
        )
    ]  # fmt: skip


def _temperature(kind: str, word: str, key: str, city: str) -> Family:
    normal = 40 + sum(city.encode()) % 40

    def draw(rng: Random, date: datetime) -> Occasion:
        centre = normal + rng.randint(-9, 9) - (12 if kind == "LOW" else 0)
        edges = [float(centre - 4 + 2 * step) for step in range(5)]
        subject = f"the {kind.lower()} temp in {city} on {spoken(date)}"
        return Occasion(
            suffix=day(date),
            title=f"{word} temperature in {city} on {spoken(date)}?",
            sub_title=f"On {spoken(date)}",
            outcomes=between(edges, centre + rng.uniform(-2, 2), 1.3, subject, "°"),
        )

    return Family(
        ticker=f"KX{kind}{key}",
        title=f"{word} temperature in {city}",
        category="Climate and Weather",
        tags=("Daily temperature",),
        draw=draw,
        exclusive=True,
        weight=3,
        frequency="daily",
        source=SOURCE,
        details=DETAILS,
    )


def _amount(kind: str, word: str, key: str, city: str) -> Family:
    def draw(rng: Random, date: datetime) -> Occasion:
        centre = rng.uniform(0.5, 6)
        values = [0.1, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.5]
        subject = f"{word} in {city} in the month to {spoken(date)}"
        return Occasion(
            suffix=f"{day(date)}M",
            title=f"How much {word} in {city}  this month?",
            sub_title=f"{city} :: {word}",
            outcomes=greater(values, centre, 0.8, subject, " inches"),
        )

    return Family(
        ticker=f"KX{kind}{key}M",
        title=f"{word.capitalize()} in {city} this month",
        category="Climate and Weather",
        tags=("Snow and rain",),
        draw=draw,
        frequency="monthly",
        source=SOURCE,
        details=DETAILS,
    )
