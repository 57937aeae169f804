"""What people type, and what of the recorded catalogue they must then see first."""

import httpx
import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: What was typed, and what must be among the first five markets; a `*` stands for any ending.
JUDGED = {
    # plain words, in any order
    "iran": "KXNEXTIRANLEADER-*",
    "iran nuclear deal": "KXUSAIRANAGREEMENT-27-26APR",
    "deal nuclear iran": "KXUSAIRANAGREEMENT-27-26APR",
    "strait of hormuz": "KXCLOSEHORMUZ-27JAN",
    "next pope": "KXNEWPOPE-70-*",
    "james bond song": "KXPERFORMBONDSONG-35-DUA",
    "musk trillionaire": "KXMUSKTRILLION-27",
    "climate goals": "USCLIMATE-2025",
    "supervolcano": "KXERUPTSUPER-0-50JAN01",
    "trump say": "KXTRUMPSAYMONTH-26APR01-*",
    "highest temperature nyc": "KXHIGHNY-26JUL19-T80",
    "gta price": "KXGTAPRICE-100",
    "league of legends": "KXLOLGAME-*",
    # an outcome, a participant, or both
    "selena gomez": "KXTAYLORSWIFTWEDDING-30JAN01-SEL",
    "pulte": "KXFEDCHAIRNOM-29-BPUL",
    "fed chair warsh": "KXFEDCHAIRNOM-29-KW",
    "byron buxton home runs": "KXMLBHR-26JUN111310MINDET-MINBBUXTON25-1",
    "world cup belgium": "KXMENWORLDCUP-26-BE",
    "netanyahu": "KXVISITIRAN-26JUL01-BNET",
    "trump genius": "KXTRUMPSAYMONTH-26APR01-GENI",
    "openai anthropic": "KXOAIANTH-40-OAI",
    # accents, signs and figures
    "cote divoire": "KXFIFATRAVEL-26JUN11",
    "zoe kravitz": "KXTAYLORSWIFTWEDDING-30JAN01-ZOE",
    "bitcoin $52,300": "KXBTC-26JUL0921-B52350",
    "79° nyc": "KXHIGHNY-26JUL19-T80",
    # tickers, whole and in part, in any case
    "KXNFLGAME-26OCT08TBDAL-DAL": "KXNFLGAME-26OCT08TBDAL-DAL",
    "kxnflgame-26oct08tbdal-dal": "KXNFLGAME-26OCT08TBDAL-DAL",
    "KXHIGHNY-26JUL19": "KXHIGHNY-26JUL19-T80",
    "kxbtc": "KXBTC-*",
    "highny": "KXHIGHNY-*",
    "usclimate-2030": "USCLIMATE-2030",
    # beginnings
    "simps": "KXSHOWENDSIMPSONS-30",
    "earthq jap": "KXEARTHQUAKEJAPAN-30",
    "unemp": "KXU3MAX-30-*",
    "bucc cowb": "KXNFLGAME-26OCT08TBDAL-TB",
    # synonyms
    "btc": "KXBTC-*",
    "federal reserve chair": "KXFEDCHAIRNOM-29-*",
    "uk pm": "KXNEXTUKPM-30-ABUR",
    "bucs": "KXNFLGAME-26OCT08TBDAL-TB",
    "ny yankees": "KXMLBGAME-26JUL101845NYYWSH-NYY",
    "padres": "KXMLBGAME-26JUL092140AZSD-SD",
    "white sox": "KXMLBGAME-26JUL091410BOSCWS-CWS",
    "new york temp": "KXHIGHNY-26JUL19-T80",
    "open ai": "KXOAIANTH-40-OAI",
    "007": "KXBOND-30-ATJ",
    "usa iran deal": "KXUSAIRANAGREEMENT-27-26APR",
    # typos
    "bitcion": "KXBTC-*",
    "tayler swift": "KXSWIFTKELCEWEDDINGLOCATION-30-RHO",
    "taylor swfit bridesmaid": "KXTAYLORSWIFTWEDDING-30JAN01-SEL",
    "belguim world cup": "KXMENWORLDCUP-26-BE",
    "unemployement": "KXU3MAX-30-*",
    "presidential electin iran": "KXELECTIRAN-26JUL01",
    "selana gomez": "KXTAYLORSWIFTWEDDING-30JAN01-SEL",
    "trilionaire": "KXMUSKTRILLION-27",
}


@pytest.mark.parametrize("typed", JUDGED)
async def test_judged_search(recorded: httpx.AsyncClient, typed: str) -> None:
    """Whoever types this sees what was meant among the first five."""
    response = await recorded.get("/kalshi/markets", params={"q": typed, "limit": 5})

    first = [market["ticker"] for market in response.json()["markets"]]
    meant = JUDGED[typed]
    if meant.endswith("*"):
        assert first[0].startswith(meant.rstrip("*"))
    else:
        assert meant in first


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("iran", ("event", "KXNEXTIRANLEADER-45JAN01")),
        ("hormu", ("event", "KXCLOSEHORMUZ-27JAN")),
        ("cowboys", ("event", "KXNFLGAME-26OCT08TBDAL")),
        ("KXHIGHNY-26JUL19-T80", ("market", "KXHIGHNY-26JUL19-T80")),
        ("gomez", ("market", "KXTAYLORSWIFTWEDDING-30JAN01-SEL")),
        ("unemployement", ("event", "KXU3MAX-30")),
    ],
)
async def test_judged_suggestion(
    recorded: httpx.AsyncClient, typed: str, first: tuple[str, str]
) -> None:
    """Whoever has typed so far is offered this first."""
    response = await recorded.get("/kalshi/search/suggestions", params={"q": typed})

    suggestion = response.json()["suggestions"][0]
    assert (suggestion["kind"], suggestion["ticker"]) == first


async def test_typing_on(recorded: httpx.AsyncClient) -> None:
    """From the third letter on, each letter more still offers what is being typed."""
    wanted = "strait of hormuz"

    for end in range(3, len(wanted) + 1):
        response = await recorded.get("/kalshi/search/suggestions", params={"q": wanted[:end]})
        offered = [suggestion["ticker"] for suggestion in response.json()["suggestions"]]
        assert "KXCLOSEHORMUZ-27JAN" in offered


@pytest.mark.parametrize("typed", ["qwertzuiop", "zzzz iran", "iran 99999", "wgc xyzzy", "?!"])
async def test_nothing_meant(recorded: httpx.AsyncClient, typed: str) -> None:
    """What nobody can mean finds nothing, though there is plenty."""
    response = await recorded.get("/kalshi/markets", params={"q": typed})

    assert response.status_code == 200
    assert response.json()["markets"] == []
