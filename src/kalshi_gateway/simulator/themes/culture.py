"""Films, music, television, science, travel, health and the talk of the town."""

from datetime import datetime
from random import Random

from .family import Family, Occasion, choices, day, greater, spoken

FILMS = [
    "Amélie Returns", "The Last Ferry", "Über Alles Zusammen", "Neon Desert 2", "Señorita Luna",
    "Zoë & the Fox", "Paper Tigers", "千と夜", "Cold Harbour", "Kingdom of Salt", "The Understudy",
    "Moonraker's Daughter", "Días de Niebla", "Half a Planet", "Ночной поезд",
]  # fmt: skip
ARTISTS = [
    "Beyoncé", "Rosalía", "Björk", "Måneskin", "Sigur Rós", "Taylor Swift", "Drake",
    "Kendrick Lamar", "Bad Bunny", "Billie Eilish", "Tyler, The Creator", "aespa (에스파)", "Zoé",
    "Céline Dion",
]  # fmt: skip
MODELS = ["Claude", "GPT", "Gemini", "Grok", "Llama", "DeepSeek", "Qwen", "Mistral"]
# ticker: title, category, tag, what they do, out of whom
PICKS = {
    "KXTOPSONG": ("Top song on Billboard", "Entertainment", "Music charts",
                  "have the #1 song on the Hot 100", ARTISTS),
    "KXTOPALBUM": ("Top album", "Entertainment", "Music charts", "have the #1 album", ARTISTS),
    "KXOSCARPIC": ("Best picture", "Entertainment", "Awards", "win Best Picture", FILMS),
    "KXNETFLIXRANK": ("Top Netflix film", "Entertainment", "Television",
                      "be the #1 film on Netflix", FILMS),
    "KXGRAMAOTY": ("Album of the year", "Entertainment", "Awards", "win Album of the Year",
                   ARTISTS),
    "KXLLM": ("Top AI model", "Science and Technology", "AI", "have the top AI model", MODELS),
    "KXAIRELEASE": ("AI releases", "Science and Technology", "AI", "release a new model", MODELS),
}  # fmt: skip
# ticker: title, category, tag, centre, step
COUNTS = {
    "KXTSA": ("TSA check-ins per day", "Transportation", "Airports", 2_450_000.0, 50_000.0),
    "KXSPACEX": ("SpaceX launches", "Science and Technology", "Space", 14.0, 1.0),
    "KXMEASLES": ("Measles cases", "Health", "Diseases", 1_850.0, 50.0),
    "KXFLIGHTDELAY": ("Flights delayed in the US", "Transportation", "Airports", 6_000.0, 500.0),
    "KXTWEETS": ("Posts by a founder", "Social", "Posts", 310.0, 20.0),
    "KXEARTHQUAKE": ("Earthquakes above 5.0", "World", "Natural disasters", 120.0, 10.0),
}


def families() -> list[Family]:
    """Scores, charts, awards, counts."""
    return [
        *(_score(at, film) for at, film in enumerate(FILMS)),
        *(_pick(ticker, *facts) for ticker, facts in PICKS.items()),
        *(_count(ticker, *facts) for ticker, facts in COUNTS.items()),
    ]


def _score(at: int, film: str) -> Family:
    def draw(rng: Random, date: datetime) -> Occasion:
        values = [float(value) for value in range(45, 100, 5)]
        subject = f"the Rotten Tomatoes score of '{film}' on {spoken(date)}"
        return Occasion(
            suffix=day(date),
            title=f"'{film}' Rotten Tomatoes score?",
            sub_title=f"On {spoken(date)}",
            outcomes=greater(values, rng.uniform(50, 95), 4, subject),
        )

    return Family(
        ticker=f"KXRT{at:02d}",
        title=f"{film} Rotten Tomatoes score",
        category="Entertainment",
        tags=("Rotten Tomatoes", "Movies"),
        draw=draw,
        frequency="one_off",
        source=("Rotten Tomatoes", "https://www.rottentomatoes.com"),
    )


def _pick(
    ticker: str, title: str, category: str, tag: str, subject: str, names: list[str]
) -> Family:
    def draw(rng: Random, date: datetime) -> Occasion:
        some = rng.sample(names, rng.randint(4, len(names)))
        return Occasion(
            suffix=day(date),
            title=f"{title} on {spoken(date)}?",
            sub_title=f"On {spoken(date)}",
            outcomes=choices(rng, some, f"{subject} on {spoken(date)}", "Name"),
        )

    return Family(
        ticker=ticker,
        title=title,
        category=category,
        tags=(tag,),
        draw=draw,
        exclusive=ticker != "KXAIRELEASE",
        weight=2,
        frequency="weekly",
        source=("Billboard", "https://www.billboard.com"),
    )


def _count(ticker: str, title: str, category: str, tag: str, centre: float, step: float) -> Family:
    def draw(rng: Random, date: datetime) -> Occasion:
        values = [centre + step * count for count in range(-5, 6)]
        middle = centre + step * rng.uniform(-2, 2)
        return Occasion(
            suffix=day(date),
            title=f"{title} this week?",
            sub_title=f"Week of {spoken(date)}",
            outcomes=greater(values, middle, step, f"{title} in the week of {spoken(date)}"),
        )

    return Family(
        ticker=ticker,
        title=title,
        category=category,
        tags=(tag,),
        draw=draw,
        frequency="weekly",
        source=("Official statistics", "https://www.usa.gov"),
    )
