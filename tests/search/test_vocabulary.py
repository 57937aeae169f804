"""The word list that typos are mended by: what it learns, and what it takes for unknown."""

from datetime import timedelta

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from kalshi_gateway.db import Database
from kalshi_gateway.kalshi.client import http_client
from kalshi_gateway.markets import search, spelling, vocabulary
from kalshi_gateway.markets.sync import Sync
from kalshi_gateway.metrics import Metrics
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator import app as simulator
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.upstream import kalshi

from .stock import put, titled


async def test_the_writer_learns_what_it_stores(database_url: str, database: Database) -> None:
    """After a walk every word of every row is known, with its trigrams; numbers are not."""
    await walk(database_url, Exchange.generated(40))

    async with database.driver() as conn:
        stored = await conn.fetchval(
            "SELECT array_agg(DISTINCT word) FROM ts_stat('SELECT search FROM instruments"
            " UNION ALL SELECT search FROM events UNION ALL SELECT search FROM series')"
        )
        known = await conn.fetchval("SELECT array_agg(word) FROM vocabulary")
        rows = await conn.fetch("SELECT word, trigram FROM vocabulary_trigrams")
    assert set(known) == vocabulary.heard([stored])
    assert not any(char.isdigit() for word in known for char in word)
    trigrams: dict[str, list[str]] = {}
    for row in rows:
        trigrams.setdefault(row["word"], []).append(row["trigram"])
    assert {word: sorted(found) for word, found in trigrams.items()} == {
        word: spelling.trigrams(word) for word in known
    }


async def test_learning_twice_changes_nothing(database: Database) -> None:
    """What is known stays as it is."""
    async with database.driver() as conn:
        await vocabulary.learn(conn, {"emu", "platypus"})
        await conn.execute("UPDATE vocabulary SET documents = 7")

        await vocabulary.learn(conn, {"platypus", "wombat"})

        rows = await conn.fetch("SELECT word, documents FROM vocabulary ORDER BY word")
    assert [tuple(row) for row in rows] == [("emu", 7), ("platypus", 7), ("wombat", 1)]


async def test_recount(database: Database) -> None:
    """How frequent words are is counted anew; the more frequent is then meant first."""
    many = [titled(f"KXC-1-{n}", "Quart") for n in range(30)]
    await put(database, *many, titled("KXC-2-1", "Quail"))

    async with database.driver() as conn:
        before = await vocabulary.nearest(conn, "quait")
        await vocabulary.recount(conn)
        after = await vocabulary.nearest(conn, "quait")
        documents = await conn.fetchval("SELECT documents FROM vocabulary WHERE word = 'quart'")
    assert before == ["quail", "quart"]
    assert after == ["quart", "quail"]
    assert documents == 30


@pytest.mark.parametrize(
    ("typed", "is_unknown"),
    [("platypus", False), ("plat", False), ("p", False), ("platypuss", True), ("zebra", True)],
)
async def test_unknown_words(database: Database, typed: str, is_unknown: bool) -> None:
    """A word of the catalogue, or the beginning of one, is known."""
    async with database.driver() as conn:
        await vocabulary.learn(conn, {"platypus", "wombat", "京都府"})

        assert await vocabulary.unknown(conn, [typed, "京都"]) == ([typed] if is_unknown else [])


async def test_typos_in_numbers_and_tickers_stand(database: Database) -> None:
    """Another number or another ticker is another market: they are not mended."""
    await put(database, titled("KXD-26-T12345", "Above 12345 wallabies"))

    async with database.driver() as conn:
        for typed in ("12346", "kxd-26-t12346", "t12346"):
            assert (await search.understand(conn, typed)).warnings == ()
        assert (await search.understand(conn, "walabies 12345")).warnings == (
            "“walabies” is not in the catalogue; searched as well: wallabies",
        )


async def test_mended_words_are_told(client: httpx.AsyncClient, database: Database) -> None:
    """An answer that searched for something else than what was typed says so."""
    await put(database, titled("KXE-1-A", "Wallabies win?"))

    mended = (await client.get("/kalshi/markets", params={"q": "walabies win"})).json()
    counted = (await client.get("/kalshi/categories", params={"q": "walabies win"})).json()
    plain = (await client.get("/kalshi/markets", params={"q": "wallabies win"})).json()

    assert [market["ticker"] for market in mended["markets"]] == ["KXE-1-A"]
    assert any("“walabies”" in warning for warning in mended["meta"]["warnings"])
    assert counted["meta"]["warnings"] == mended["meta"]["warnings"]
    assert not any("wallabies" in warning for warning in plain["meta"]["warnings"])


PATHS = (
    "/kalshi/markets",
    "/kalshi/events",
    "/kalshi/series",
    "/kalshi/categories",
    "/kalshi/search/suggestions",
)
TEXTS = st.text(max_size=60) | st.lists(
    st.sampled_from(["wombat", "wombt", "'", "|", "&", "!", ":*", "(", ")", "<->", "\\", "KX", "-"])
    | st.characters(),
    max_size=12,
).map("".join)


@hypothesis_settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(typed=TEXTS)
async def test_any_text_is_a_search(client: httpx.AsyncClient, typed: str) -> None:
    """Whatever is typed is answered or, if it cannot be text, refused: never an error of ours."""
    typed = typed.encode("utf-8", "replace").decode()
    allowed = {400} if "\0" in typed else {200, 503}
    for path in PATHS:
        response = await client.get(path, params={"q": typed})
        assert response.status_code in allowed
        if response.status_code == 503:
            assert response.json()["code"] == "catalogue_not_ready"


async def walk(database_url: str, exchange: Exchange) -> None:
    """Read the whole exchange once."""
    exchange.limits.on = False
    transport = httpx.ASGITransport(simulator.create_app(exchange))
    base_url = "http://127.0.0.1:8001/trade-api/v2"
    settings = Settings.model_construct(kalshi_base_url=base_url)
    async with http_client(base_url, transport=transport) as http:
        minute = timedelta(minutes=1)
        line = kalshi(settings, http, Metrics())
        walks = await Sync(database_url, line, changes_every=minute, prices_every=minute).once()
    assert all(walk.complete for walk in walks)
