"""Games of many leagues: winners, spreads, totals, players, and who wins the season."""

import uuid
from collections.abc import Callable
from datetime import datetime
from random import Random

from .family import Family, Occasion, Outcome, above, choices, code, day, greater, spoken
from .leagues import LEAGUES, League

Draw = Callable[[Random, datetime], Occasion]
NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
DETAILS = (
    "The following market refers to the game named above. If the game ends in a tie, the market "
    "will resolve to $0.50 for each team. If the game is postponed but begins within 48 hours from "
    "its originally scheduled start time, the market will remain open and resolve based on the "
    "official final result. If the game is not started within 48 hours, the market will resolve "
    "to a fair price.\n\nKalshi is not affiliated, associated, authorized, endorsed by, or in any "
    "way officially connected with the governing league. All trademarks, logos, and brand names "
    "are the property of their respective owners."
)


def families() -> list[Family]:
    """Every kind of market of every league, and the wins of every team."""
    return [
        *(_wins(league, key) for league in LEAGUES for key in league.teams),
        *_of_leagues(),
    ]


def _of_leagues() -> list[Family]:
    return [
        family for league in LEAGUES for family in (
            _family(league, "GAME", "Game", _winner(league), exclusive=True, weight=3.0),
            _family(league, "SPREAD", "Spread", _spread(league), weight=1.5),
            _family(league, "TOTAL", "Total points", _total(league), weight=1.5),
            _family(league, "PLAYER", "Player props", _player(league), weight=1.5),
            _family(league, "CHAMP", "Champion", _champion(league), exclusive=True, weight=0.3),
        )
    ]  # fmt: skip


def target(kind: str, name: str) -> dict[str, str]:
    """A structured strike: the id the exchange knows a team or player by."""
    return {kind: str(uuid.uuid5(NAMESPACE, name))}


def _family(
    league: League,
    kind: str,
    title: str,
    draw: Draw,
    *,
    exclusive: bool = False,
    weight: float = 1.0,
) -> Family:
    return Family(
        ticker=f"KX{league.key}{kind}",
        title=f"{league.name} {title}",
        category="Sports",
        tags=(league.sport,),
        draw=draw,
        exclusive=exclusive,
        weight=weight,
        shard=league.shard,
        source=(f"the Governing League of {league.name}", league.url),
        details=DETAILS,
        early_close="This market will close and expire after a winner is declared.",
    )


def _pair(rng: Random, league: League, date: datetime) -> tuple[str, str, str, str]:
    home, away = rng.sample(list(league.teams), 2)
    return home, away, f"{day(date)}{date:%H%M}{away}{home}", f"{away} vs {home} ({spoken(date)})"


def _product(league: League, scope: str) -> dict[str, str]:
    return {"competition": league.name, "competition_scope": scope}


def _winner(league: League) -> Draw:
    def draw(rng: Random, date: datetime) -> Occasion:
        home, away, suffix, short = _pair(rng, league, date)
        draws = rng.uniform(0.18, 0.3) if league.draws else 0.0
        strong = rng.betavariate(2, 2) * (1 - draws)
        sides = [(home, strong), (away, 1 - draws - strong)]
        game = f"the {league.teams[away]} vs {league.teams[home]} {league.name} game"
        outcomes = [
            Outcome(
                suffix=key,
                yes=league.teams[key],
                title=f"{league.teams[key]} wins",
                chance=chance,
                strike={
                    "strike_type": "structured",
                    "custom_strike": target(league.kind, league.teams[key]),
                },
                rules=f"If {league.teams[key]} wins {game} originally scheduled for "
                f"{spoken(date)}, then the market resolves to Yes.",
            )
            for key, chance in sides
        ]
        if league.draws:
            outcomes.append(_tie(league, game, draws, date))
        return Occasion(
            suffix=suffix,
            title=f"{league.teams[away]} vs {league.teams[home]}",
            sub_title=short,
            outcomes=outcomes,
            product=_product(league, "Game"),
        )

    return draw


def _tie(league: League, game: str, chance: float, date: datetime) -> Outcome:
    return Outcome(
        suffix="TIE",
        yes="Tie",
        title="Tie",
        chance=chance,
        strike={"strike_type": "structured", "custom_strike": target(league.kind, "Tie")},
        rules=f"If {game} originally scheduled for {spoken(date)} ends in a tie, then the "
        "market resolves to Yes.",
    )


def _spread(league: League) -> Draw:
    def draw(rng: Random, date: datetime) -> Occasion:
        home, away, suffix, short = _pair(rng, league, date)
        margin = rng.gauss(0, league.points / 8)
        step = max(league.points / 40, 1)
        outcomes = []
        for count in range(4):
            value = round(step * count) + 1.5
            for key, centre in ((home, margin), (away, -margin)):
                name = league.teams[key]
                outcomes.append(
                    Outcome(
                        suffix=f"{key}{int(value + 0.5)}",
                        yes=f"{name} wins by over {value} points",
                        title=f"{name} wins by over **{value}** points?",
                        chance=above(value, centre, league.points / 12),
                        strike={"strike_type": "greater", "floor_strike": value},
                        rules=f"If {name} wins by more than {value}, it resolves to Yes.",
                    )
                )
        return Occasion(
            suffix=suffix,
            title=f"{league.teams[away]} at {league.teams[home]}: Spread",
            sub_title=short,
            outcomes=list({outcome.suffix: outcome for outcome in outcomes}.values()),
            product=_product(league, "Spread"),
        )

    return draw


def _total(league: League) -> Draw:
    def draw(rng: Random, date: datetime) -> Occasion:
        home, away, suffix, short = _pair(rng, league, date)
        centre = league.points * rng.uniform(0.85, 1.15)
        step = max(round(league.points / 30), 1)
        values = [max(round(league.points) + step * count, 0) + 0.5 for count in range(-4, 6)]
        outcomes = [
            Outcome(
                suffix=f"{int(value + 0.5)}",
                yes=f"Over {value} points scored",
                title=f"Over {value} points scored  in total?",
                chance=above(value, centre, league.points / 10),
                strike={"strike_type": "greater", "floor_strike": value},
                rules=f"If both teams together score more than {value}, it resolves to Yes.",
            )
            for value in dict.fromkeys(values)
        ]
        return Occasion(
            suffix=suffix,
            title=f"{league.teams[away]} at {league.teams[home]}: Total Points",
            sub_title=short,
            outcomes=outcomes,
            product=_product(league, "Total"),
        )

    return draw


def _player(league: League) -> Draw:
    def draw(rng: Random, date: datetime) -> Occasion:
        home, away, suffix, short = _pair(rng, league, date)
        outcomes = []
        for name in rng.sample(league.players, min(4, len(league.players))):
            centre = rng.uniform(1, 5)
            outcomes += [
                Outcome(
                    suffix=f"{home}{code(name)}-{value}",
                    yes=f"{name}: {value}+",
                    title=f"{name}: {value}+ {league.feat}?",
                    chance=above(value - 0.5, centre, 0.8),
                    strike={
                        "strike_type": "greater",
                        "floor_strike": value - 0.5,
                        "primary_participant_key": f"{league.sport.lower()}_player",
                    },
                    rules=f"If {name} records {value}+ {league.feat} in the {away} vs {home} game "
                    f"originally scheduled for {spoken(date)}, then the market resolves to Yes.",
                )
                for value in (1, 2, 3, 4)
            ]
        return Occasion(
            suffix=suffix,
            title=f"{league.teams[away]} at {league.teams[home]}: {league.feat.capitalize()}",
            sub_title=short,
            outcomes=list({outcome.suffix: outcome for outcome in outcomes}.values()),
            product=_product(league, league.feat.capitalize()),
        )

    return draw


def _wins(league: League, key: str) -> Family:
    name = league.teams[key]

    def draw(rng: Random, date: datetime) -> Occasion:
        subject = f"the number of {name}'s wins in {league.name} until {spoken(date)}"
        values = [count + 0.5 for count in range(2, 14)]
        return Occasion(
            suffix=day(date),
            title=f"{name} wins this season?",
            sub_title=f"Until {spoken(date)}",
            outcomes=greater(values, rng.uniform(3, 13), 1.2, subject),
            product=_product(league, "Win totals"),
        )

    return _family(league, f"WINS{key}", f"wins: {name}", draw, weight=0.15)


def _champion(league: League) -> Draw:
    def draw(rng: Random, date: datetime) -> Occasion:
        names = list(league.teams.values())
        subject = f"win the {date.year} {league.name} championship"
        return Occasion(
            suffix=day(date),
            title=f"{league.name} champion?",
            sub_title=f"{date.year} season",
            outcomes=choices(rng, names, subject, league.kind, "structured"),
            product=_product(league, "Futures"),
        )

    return draw
