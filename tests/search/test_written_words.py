"""Words on their way into Postgres, in its own binary form."""

import asyncpg
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from kalshi_gateway.db import alone

WORDS = st.frozensets(
    st.text(
        st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]),
        min_size=1,
        max_size=40,
    ),
    max_size=30,
)


@given(words=WORDS)
@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_words_written_are_the_words_kept(database_url: str, words: frozenset[str]) -> None:
    """Whatever words are written, Postgres keeps just those, as it would have made them itself."""
    conn = await alone(database_url)
    try:
        kept = await conn.fetchval("SELECT $1::tsvector", list(words))
        same = await conn.fetchval(
            "SELECT $1::tsvector = array_to_tsvector($2::text[])", list(words), list(words)
        )
    finally:
        await conn.close()

    assert frozenset(kept) == words
    assert len(kept) == len(words)
    assert same


async def test_other_connections_read_the_words_as_text(database_url: str) -> None:
    """What was written in binary form is an ordinary tsvector to everybody."""
    writer, reader = await alone(database_url), await asyncpg.connect(database_url)
    try:
        await writer.execute("CREATE TABLE said (words tsvector)")
        await writer.copy_records_to_table("said", records=[(["wombat", "emu"],)])

        assert await reader.fetchval("SELECT words::text FROM said") == "'emu' 'wombat'"
        assert await reader.fetchval("SELECT words @@ 'emu'::tsquery FROM said")
    finally:
        await writer.close()
        await reader.close()
