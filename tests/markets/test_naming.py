"""Every market reads as a person would write it, whatever the exchange sends for it."""

import json
import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshi_gateway.markets.naming import LONGEST_NAME, clean, display_name, market_title

RECORDINGS = Path(__file__).parents[3] / "shared" / "kalshi" / "recordings" / "rest"

recorded = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason=f"the exchange's recorded answers are not in {RECORDINGS}"
)


def name(
    ticker: str,
    title: str | None = None,
    outcome: str | None = None,
    event: str | None = None,
    *,
    sub_title: str | None = None,
    strike: tuple[str, str | None, str | None] = ("", None, None),
    legs: list[tuple[str, str]] | None = None,
) -> str:
    kind, floor, cap = strike
    return display_name(
        ticker=ticker,
        title=title,
        outcome=outcome,
        event_title=event,
        event_sub_title=sub_title,
        strike_type=kind or None,
        floor=None if floor is None else Decimal(floor),
        cap=None if cap is None else Decimal(cap),
        legs=legs,
    )


@pytest.mark.parametrize(
    ("ticker", "title", "outcome", "event", "expected"),
    [
        # The event asks, the outcome answers.
        (
            "KXSB-26-LAR",
            "Will the Los Angeles R win the 2026 Pro Football Championship?",
            "Los Angeles R",
            "Pro Football Champion?",
            "Pro Football Champion? — Los Angeles R",
        ),
        (
            "KXNEXTIRANLEADER-45JAN01-MARA",
            "Will Mohsen Araki be the next Supreme Leader of Iran?",
            "Mohsen Araki",
            "Who will be the next Supreme Leader of Iran?",
            "Who will be the next Supreme Leader of Iran? — Mohsen Araki",
        ),
        (
            "KXNEWPOPE-70-PPIZ",
            "Who will the next Pope be?",
            "Pierbattista Pizzaballa",
            "Who will the next Pope be?",
            "Who will the next Pope be? — Pierbattista Pizzaballa",
        ),
        (
            "KXFEDDECISION-26OCT-H0",
            "Will the Federal Reserve Hike rates by 0bps at their October 2026 meeting?",
            "Fed maintains rate",
            "Fed decision in Oct 2026?",
            "Fed decision in Oct 2026? — Fed maintains rate",
        ),
        (
            "KXU3MAX-30-5",
            "How high will unemployment get before 2030?",
            "Above 5%",
            "How high will unemployment get before 2030?",
            "How high will unemployment get before 2030? — Above 5%",
        ),
        (
            "KXMENWORLDCUP-26-CM",
            "Will the Cameroon win the 2026 Men's World Cup?",
            "Cameroon",
            "2026 Men's World Cup winner?",
            "2026 Men's World Cup winner? — Cameroon",
        ),
        (
            "KXKHAMENEIOUT-AKHA-26FEB01",
            "Will Ali Khamenei leave office before 2026-02-01T15:00:00.000Z?",
            "Before February 1, 2026",
            "Ali Khamenei out as Supreme Leader?",
            "Ali Khamenei out as Supreme Leader? — Before February 1, 2026",
        ),
        (
            "KXTRUMPSAYMONTH-26APR01-WHO",
            'Will Trump say "Who are you with / Where are you from" before Apr 1, 2026?',
            "Who are you with / Where are you from",
            "What will Trump say this month?",
            "What will Trump say this month? — Who are you with / Where are you from",
        ),
        # The market's own title is the whole question.
        (
            "KXWARMING-50",
            "Will the world pass 2 degrees Celsius over pre-industrial levels before 2050?",
            "Before 2050",
            "Will the world pass 2 degrees Celsius over pre-industrial levels before 2050?",
            "Will the world pass 2 degrees Celsius over pre-industrial levels before 2050?",
        ),
        (
            "KXCLOSEHORMUZ-27JAN-26MAY",
            "Will Iran close Strait of Hormuz before May 2026?",
            "Before May",
            "Will Iran close the Strait of Hormuz?",
            "Will Iran close Strait of Hormuz before May 2026?",
        ),
        (
            "KXELONMARS-99",
            "Will Elon Musk visit Mars before Aug 1, 2099?",
            "Mars",
            "Will Elon Musk visit Mars in his lifetime?",
            "Will Elon Musk visit Mars before Aug 1, 2099?",
        ),
        (
            "KXPAHLAVIHEAD-27JAN-RPAH",
            "Who will be the next the head of state or government of Iran?",
            "Reza Pahlavi",
            "Will Reza Pahlavi lead Iran in 2026?",
            "Will Reza Pahlavi lead Iran in 2026?",
        ),
        (
            "KXIRANDEMOCRACY-27MAR01-T6",
            "Will Iran's score in the Democracy Index be at least 6 in the 2026 edition?",
            "Yes",
            "Will Iran become a democracy in 2026?",
            "Will Iran's score in the Democracy Index be at least 6 in the 2026 edition?",
        ),
        (
            "KXALBUMDEBUT-26APR04-ARI",
            "Will BTS's 'ARIRANG' debut at #1",
            "ARIRANG",
            "Will BTS's 'ARIRANG' debut at #1",
            "Will BTS's 'ARIRANG' debut at #1",
        ),
        (
            "KXBOND-30-ATJ",
            "Will Aaron Taylor-Johnson be the next James Bond?",
            "Aaron Taylor-Johnson",
            None,
            "Will Aaron Taylor-Johnson be the next James Bond?",
        ),
        (
            "KXPOPCHANGESTATE10-35",
            "Will  experience a population decrease of at least 10% between 2025 and 2035?",
            "Between 2025 and 2035?",
            None,
            "Will experience a population decrease of at least 10% between 2025 and 2035?",
        ),
        (
            "KXCPI-26AUG-T0.8",
            "CPI rise more than 0.8% in Aug 2026?",
            None,
            None,
            "CPI rise more than 0.8% in Aug 2026?",
        ),
        # The title does not tell the outcome, or names it only to offer it.
        (
            "KXEVSHARE-30JAN-50",
            "EV market share in 2030?",
            "Above 50%",
            None,
            "EV market share in 2030? — Above 50%",
        ),
        (
            "EUCLIMATE-2030",
            "Will the EU meet its climate goals?",
            "By 2030",
            None,
            "Will the EU meet its climate goals? — By 2030",
        ),
        (
            "KXMEDIARELEASEPRISONBREAK-30JAN01-29JAN01",
            "Will A New Season of Prison Break be released Worldwide before Jan 1, 2030?",
            "Before Jan 1, 2029",
            None,
            "Will A New Season of Prison Break be released Worldwide before Jan 1, 2030?"
            " — Before Jan 1, 2029",
        ),
        (
            "KXDEELRIP-40-RIPP",
            "Will Deel or Rippling IPO first?",
            "Rippling",
            None,
            "Will Deel or Rippling IPO first? — Rippling",
        ),
        (
            "KXG7LEADEROUT-45JAN01-EMAC",
            "Will President of France be the first to leave office?",
            "Emmanuel Macron",
            None,
            "Will President of France be the first to leave office? — Emmanuel Macron",
        ),
        (
            "KXSECPRESSMENTION-26DEC31-IRA",
            "Will the White House Press Secretary say Iran at her next press briefing?",
            "Iran",
            None,
            "Will the White House Press Secretary say Iran at her next press briefing?",
        ),
        (
            "KXX-27-IRA",
            "Will the Iranians vote first?",
            "Iran",
            None,
            "Will the Iranians vote first? — Iran",
        ),
        # Games are told apart by their day.
        (
            "KXMLBGAME-26JUL111605MILPIT-MIL",
            "Milwaukee vs Pittsburgh Winner?",
            "Milwaukee",
            None,
            "Milwaukee vs Pittsburgh Winner? (Jul 11) — Milwaukee",
        ),
        (
            "KXMLBGAME-26JUN102138HOULAA-HOU",
            "Houston at Los Angeles Winner?",
            "Houston",
            None,
            "Houston at Los Angeles Winner? (Jun 10) — Houston",
        ),
        (
            "KXWCGAME-26JUL09FRAMAR-TIE",
            "France vs Morocco Winner?",
            "Reg Time: Tie",
            None,
            "France vs Morocco Winner? (Jul 9) — Reg Time: Tie",
        ),
        (
            "KXNFLGAME-26OCT08TBDAL-DAL",
            "Dallas wins",
            "Dallas",
            "TB Buccaneers vs DAL Cowboys",
            "TB Buccaneers vs DAL Cowboys (Oct 8) — Dallas wins",
        ),
        (
            "KXATPCHALLENGERMATCH-26JUN11CIGEST-EST",
            "Will Juan Estevez win the Cigarran vs Estevez: Round Of 16 match?",
            "Juan Estevez",
            None,
            "Will Juan Estevez win the Cigarran vs Estevez: Round Of 16 match? (Jun 11)",
        ),
        (
            "KXCS2GAME-26JUL110400ALL9Z-9Z",
            "Will 9z win the Alliance vs. 9z CS2 match?",
            "9z",
            None,
            "Will 9z win the Alliance vs. 9z CS2 match? (Jul 11)",
        ),
        (
            "KXMLBHIT-26JUN111310AZMIA-AZKMARTE4-4",
            "Ketel Marte: 4+ hits?",
            "Ketel Marte: 4+",
            None,
            "Ketel Marte: 4+ hits? (Jun 11)",
        ),
        (
            "KXMLBGAME-26JUN102138HOULAA-HOU",
            "Will Houston win on June 10?",
            "Houston",
            None,
            "Will Houston win on June 10?",
        ),
    ],
)
def test_questions_read_as_written(
    ticker: str, title: str | None, outcome: str | None, event: str | None, expected: str
) -> None:
    """A name is the event's question and the outcome, or the market's own question alone."""
    assert name(ticker, title, outcome, event) == expected


@pytest.mark.parametrize(
    ("ticker", "title", "outcome", "event", "strike", "expected"),
    [
        (
            "KXHIGHNY-26JUL19-T80",
            "Will the **high temp in NYC** be <80° on Jul 19, 2026?",
            "79° or below",
            "Highest temperature in NYC on Jul 19, 2026?",
            ("less", None, "80"),
            "Highest temperature in NYC on Jul 19, 2026? — 79° or below",
        ),
        (
            "KXHIGHNY-26JUN15-T85",
            "Will the **high temp in NYC** be >85° on Jun 15, 2026?",
            "86° or above",
            None,
            ("greater", "85", None),
            "Will the high temp in NYC be >85° on Jun 15, 2026?",
        ),
        (
            "KXHIGHNY-26JUN15-B84.5",
            "Will the **high temp in NYC** be 84-85° on Jun 15, 2026?",
            "84° to 85°",
            None,
            ("between", "84", "85"),
            "Will the high temp in NYC be 84-85° on Jun 15, 2026?",
        ),
        (
            "KXWTIH-26JUN1102-T91.89",
            "Will the WTI close price be above 91.89 USD/barrel on June 11, 2026 at 2:00 AM EDT?",
            "above $91.89",
            None,
            ("greater", "91.89", None),
            "Will the WTI close price be above 91.89 USD/barrel on June 11, 2026 at 2:00 AM EDT?",
        ),
        (
            "KXBTC-26JUL0921-B52250",
            "Bitcoin price range on Jul 9, 2026?",
            "$52,200 to 52,299.99",
            None,
            ("between", "52200", "52299.99"),
            "Bitcoin price range on Jul 9, 2026? (9 PM ET) — $52,200 to 52,299.99",
        ),
        (
            "KXRAINNYCM-25DEC-25",
            "Rain in NYC in Dec 2025?",
            "Above 25 inches",
            None,
            ("greater", "25", None),
            "Rain in NYC in Dec 2025? — Above 25 inches",
        ),
        (
            "KXYTUBESUBSISHOWSPEED-30",
            "When will IShowSpeed reach 100 million Youtube subscribers?",
            "Before 2030",
            None,
            ("greater_or_equal", "100", None),
            "When will IShowSpeed reach 100 million Youtube subscribers? — Before 2030",
        ),
    ],
)
def test_strikes_are_said_once(
    ticker: str,
    title: str,
    outcome: str,
    event: str | None,
    strike: tuple[str, str | None, str | None],
    expected: str,
) -> None:
    """An outcome in numbers is left out only where the question holds that very strike."""
    assert name(ticker, title, outcome, event, strike=strike) == expected


@pytest.mark.parametrize(
    ("ticker", "strike", "expected"),
    [
        ("KXHIGHNY-26JUN15-T85", ("greater", "85", None), "HIGHNY Jun 15, 2026 >85"),
        ("KXHIGHNY-26JUN15-T78", ("less", None, "78"), "HIGHNY Jun 15, 2026 <78"),
        ("KXHIGHNY-26JUN15-B84.5", ("between", "84", "85"), "HIGHNY Jun 15, 2026 84 to 85"),
        ("KXHIGHNY-26JUN15-T85", ("", None, None), "HIGHNY Jun 15, 2026 T85"),
        ("KXLOWTMIN-26JAN10-T-5", ("less_or_equal", None, "-5"), "LOWTMIN Jan 10, 2026 ≤-5"),
        ("KXFED-26SEP-T4.75", ("greater", "4.75", None), "FED Sep 2026 >4.75"),
        (
            "KXBTCD-25AUG0517-T114999.99",
            ("greater", "114999.990", None),
            "BTCD Aug 5, 2025, 5 PM ET >114,999.99",
        ),
        ("KXBTC15M-26SEP261915-15", ("", None, None), "BTC15M Sep 26, 2026, 7:15 PM ET"),
        (
            "KXBTCMAX150-25-SEP30-149999.99",
            ("greater", "149999.99", None),
            "BTCMAX150 Sep 30, 2025 >149,999.99",
        ),
        ("KXEARTHQUAKEJAPAN-30", ("greater_or_equal", "8", None), "EARTHQUAKEJAPAN 2030 ≥8"),
        ("KXGREENLAND-29", ("", None, None), "GREENLAND 2029"),
        ("GOVPARTYFL-26-R", ("", None, None), "GOVPARTYFL 2026 R"),
        ("KXNFLGAME-26SEP17DETBUF-BUF", ("", None, None), "NFLGAME Sep 17, 2026 DETBUF BUF"),
        (
            "KXMLBGAME-26JUN102138HOULAA-HOU",
            ("", None, None),
            "MLBGAME Jun 10, 2026, 9:38 PM ET HOULAA HOU",
        ),
        (
            "KXQUICKSETTLE-11JUN26H0140-2",
            ("", None, None),
            "QUICKSETTLE Jun 11, 2026, 1:40 AM ET 2",
        ),
    ],
)
def test_tickers_read_where_there_is_no_text(
    ticker: str, strike: tuple[str, str | None, str | None], expected: str
) -> None:
    """A bare ticker is spelled out; the strike's type gives the direction, never the letter T."""
    assert name(ticker, strike=strike) == expected


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("yes Houston,yes Matt Fitzpatrick", "Houston + Matt Fitzpatrick"),
        (
            "no Missouri wins by over 2.5 Points,yes Ole Miss wins by over 6.5 Points",
            "No: Missouri wins by over 2.5 Points + Ole Miss wins by over 6.5 Points",
        ),
        (
            "yes Belgium,yes Over 1.5 goals scored,yes Over 1.5 goals scored",
            "Belgium + Over 1.5 goals scored \u00d72",
        ),
        (
            "yes Anna,yes Bert,no Carl, Jr.,yes Dora,yes Emil,yes Fritz,yes Gerd,yes Gerd,yes Hans",
            "Anna + Bert + No: Carl, Jr. + Dora + Emil + Fritz + 3 more",
        ),
        ("Everything at once", "Everything at once"),
    ],
)
def test_combos_read_as_their_legs(title: str, expected: str) -> None:
    """A combo is its legs, joined; many are cut short by count."""
    assert name("KXMVECROSSCATEGORY-S2026-1", title, title, "Combo", legs=[]) == expected


def test_combos_without_text_read_as_the_tickers_of_their_legs() -> None:
    """A combo whose text is missing is named by its legs, and one without legs by its ticker."""
    legs = [("KXSB-26-LAR", "yes"), ("KXFED-26SEP-T4.75", "no")]

    named = name("KXMVECROSSCATEGORY-S2026-1", event="Combo", legs=legs)
    bare = name("KXMVECROSSCATEGORY-S20261A92736411A-0876414E15B", event="Combo")

    assert named == "SB 2026 LAR + No: FED Sep 2026 T4.75"
    assert bare == "MVECROSSCATEGORY S20261A92736411A 0876414E15B"


def test_markets_of_one_title_stay_apart() -> None:
    """Without an outcome the strike tells markets apart, or else the end of the ticker."""
    high = name("KXCO2-30-460", event="How bad?", strike=("greater", "460", None))
    pope = name("KXNEWPOPE-70-PPIZ", "Who will it be?", event="Who will it be?")
    bare = name("KXHIGHNY-26JUN15-T85", outcome="86° or above")

    assert high == "How bad? — >460"
    assert pope == "Who will it be? — PPIZ"
    assert bare == "HIGHNY Jun 15, 2026 — 86° or above"


def test_the_exchanges_own_day_is_preferred() -> None:
    """The day of a game is read from the event's subtitle before it is read from the ticker."""
    named = name("KXX-26OCT08AB-A", "A wins", "A", "A vs B", sub_title="A vs B (Oct 9)")

    assert named == "A vs B (Oct 9) — A wins"


def test_long_names_keep_their_outcome() -> None:
    """What is too long is cut at a word of the question, not of the outcome."""
    named = name("KXX-26-A", "Will it " + "really " * 100 + "end?", "On Monday")

    assert len(named) <= LONGEST_NAME
    assert named.endswith("really… — On Monday")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Will the **high temp in NYC** be <80°?", "Will the high temp in NYC be <80°?"),
        ("*Dune*, _Sinners_ or `F1`: [rules](https://kalshi.com/x)", "Dune, Sinners or F1: rules"),
        ("[[the](https://kalshi.com/x) rules](y)", "the rules"),
        ("ARIRANG:: BTS", "ARIRANG: BTS"),
        (":: President of Ghana", "President of Ghana"),
        ("  Will \t become\r\nPresident\u00a0of  it? ", "Will become President of it?"),
        ("zero\u200bwidth \u202eturned\x00", "zerowidth turned"),
        ("e\u0301lite", "élite"),
        ("2 * 3 * 4 and snake_case_name", "2 * 3 * 4 and snake_case_name"),
        ("- Tie -", "Tie"),
        ("-5° or below", "-5° or below"),
        ("#1 song", "#1 song"),
    ],
)
def test_texts_are_tidied(text: str, expected: str) -> None:
    """Markup, stray punctuation and invisible characters go; what means something stays."""
    assert clean(text) == expected


@pytest.mark.parametrize("text", [None, "", "  ", "::", " - ", "****", "\x00\n", "..."])
def test_nothing_left_is_none(text: str | None) -> None:
    """A text that says nothing is not a text."""
    assert clean(text) is None


def test_a_market_without_title_has_its_events() -> None:
    """The title served is the market's own, or else its event's."""
    assert market_title("**Own**", "Event") == "Own"
    assert market_title("::", "Event") == "Event"
    assert market_title(None, None) is None


TEXTS = st.text(
    st.one_of(st.sampled_from(list("*_`~[]():,;|-— \n\x00?aAéyesno019.")), st.characters())
)
MAYBE_TEXT = st.none() | TEXTS
MAYBE_NUMBER = st.none() | st.decimals()


@given(TEXTS)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    """What has been cleaned is clean."""
    cleaned = clean(text)

    assert clean(cleaned) == cleaned


@given(
    ticker=TEXTS | st.sampled_from(["KXHIGHNY-26JUN15-T85", "KXBTC-26JUL0921-B5", "KXMVE-S-1"]),
    title=MAYBE_TEXT,
    outcome=MAYBE_TEXT,
    event_title=MAYBE_TEXT,
    event_sub_title=MAYBE_TEXT,
    strike_type=st.sampled_from([None, "greater", "less_or_equal", "between", "custom"]),
    floor=MAYBE_NUMBER,
    cap=MAYBE_NUMBER,
    legs=st.none() | st.lists(st.tuples(TEXTS, st.sampled_from(["yes", "no", ""]))),
)
def test_any_market_has_a_presentable_name(**parts: Any) -> None:
    """Whatever a market consists of, its name is one tidy line of bounded length."""
    assert_presentable(display_name(**parts))


@recorded
def test_every_recorded_market_has_a_presentable_name() -> None:
    """All that the exchange really sent gives tidy names, and nearly all of them differ."""
    events = dict(recorded_events())
    names = {}

    for market in recorded_markets():
        event = events.get(market["event_ticker"], {})
        legs = market.get("mve_selected_legs")
        names[market["ticker"]] = display_name(
            ticker=market["ticker"],
            title=market.get("title"),
            outcome=market.get("yes_sub_title"),
            event_title=event.get("title"),
            event_sub_title=event.get("sub_title"),
            strike_type=market.get("strike_type"),
            floor=market.get("floor_strike"),
            cap=market.get("cap_strike"),
            legs=[(leg["market_ticker"], leg["side"]) for leg in legs] if legs else None,
        )

    assert len(names) > 4000
    for named in names.values():
        assert_presentable(named)
    assert len(set(names.values())) > 0.99 * len(names)


def assert_presentable(named: str) -> None:
    assert named == named.strip()
    assert 0 < len(named) <= LONGEST_NAME
    assert not any(mess in named for mess in ("**", "::", "  ", "\n"))
    assert not any(unicodedata.category(char) in {"Cc", "Cs"} for char in named)


def recorded_markets() -> Iterator[dict[str, Any]]:
    for row in recorded_objects():
        if "event_ticker" in row and "ticker" in row and "yes_sub_title" in row:
            yield row


def recorded_events() -> Iterator[tuple[str, dict[str, Any]]]:
    for row in recorded_objects():
        if "event_ticker" in row and "series_ticker" in row and "title" in row:
            yield row["event_ticker"], row


def recorded_objects() -> Iterator[dict[str, Any]]:
    for path in sorted(RECORDINGS.glob("[eht]*/*.json")) + sorted(RECORDINGS.glob("market*/*")):
        if path.parent.name in {"market", "markets", "event", "events", "historical_markets"}:
            answer = json.loads(path.read_text(), parse_float=Decimal, parse_int=Decimal)
            yield from objects(answer)


def objects(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for part in value.values():
            yield from objects(part)
    elif isinstance(value, list):
        for part in value:
            yield from objects(part)
