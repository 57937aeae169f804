"""How the exchange's answers differ is shown in the status, the metrics and the log."""

from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest
from structlog.testing import capture_logs

from tests.kalshi import recordings
from tests.markets.upstream import Upstream

Client = httpx.AsyncClient
Json = dict[str, Any]

FIRST = "event/prod-2026-01-12.json"
NEWEST = "event/prod-2026-10-06-kxnflgame-nested.json"

pytestmark = recordings.needed


def answered(upstream: Upstream, recording: str, **changed: Any) -> str:
    """Have the exchange say what it once said, its markets changed; the path that asks for it."""
    body: Json = msgspec.json.decode(recordings.body(recording))
    # Asked for them, the exchange puts the markets inside the event; the recorder had not asked.
    markets = body["event"].setdefault("markets", body.get("markets"))
    for market in markets:
        market.update(changed)
    ticker = body["event"]["event_ticker"]
    upstream.answers[f"/events/{ticker}"] = body
    upstream.answers[f"/series/{body['event']['series_ticker']}"] = httpx.Response(404, json={})
    return f"/kalshi/events/{ticker}"


async def shown(client: Client, field: str) -> list[Json]:
    drift: list[Json] = (await client.get("/kalshi/status")).json()["drift"]
    return [difference for difference in drift if difference["field"] == field]


async def metric(client: Client, name: str, field: str) -> list[float]:
    text = (await client.get("/metrics")).text
    found = [line for line in text.splitlines() if line.startswith(name + "{")]
    return [float(line.rpartition(" ")[2]) for line in found if f'field="{field}"' in line]


async def test_an_older_generation_is_served_and_shown(client: Client, upstream: Upstream) -> None:
    """An event in cents is answered with its prices; what was odd stands in the status."""
    path = answered(upstream, FIRST)

    event = (await client.get(path)).json()

    assert [market["ticker"] for market in event["markets"]] == ["KXELONMARS-99"]
    assert event["markets"][0]["last_price"] is not None
    [lost] = await shown(client, "yes_bid_size_fp")
    assert (lost["kind"], lost["example"]) == ("missing", None)
    [cents] = await shown(client, "yes_bid")
    assert cents["kind"] == "unknown"
    assert cents["example"].isdecimal()


async def test_first_and_last_sighting(client: Client, upstream: Upstream) -> None:
    """What is seen again is counted; when it was first seen stays, when last seen moves."""
    path = answered(upstream, NEWEST, mood="bullish")
    before = datetime.now(UTC)

    await client.get(path)
    [first] = await shown(client, "mood")
    [first_said] = await metric(client, "gateway_upstream_drift_first_timestamp_seconds", "mood")
    await client.get(path, headers={"Cache-Control": "no-cache"})
    [again] = await shown(client, "mood")

    assert first["example"] == again["example"] == '"bullish"'
    assert again["count"] > first["count"] >= 1
    assert again["first_at"] == first["first_at"] <= again["last_at"]
    assert before.timestamp() <= first_said <= datetime.now(UTC).timestamp()
    assert await metric(client, "gateway_upstream_drift_seen_total", "mood") == [again["count"]]
    [last] = await metric(client, "gateway_upstream_drift_last_timestamp_seconds", "mood")
    assert last > first_said


async def test_the_log_tells_once(client: Client, upstream: Upstream) -> None:
    """The first sighting is a line with its example; the next ones are only counted."""
    path = answered(upstream, NEWEST, mood="bullish")

    with capture_logs() as lines:
        await client.get(path)
        await client.get(path, headers={"Cache-Control": "no-cache"})

    told = [line for line in lines if line.get("field") == "mood"]
    assert [(line["event"], line["kind"], line["example"]) for line in told] == [
        ("the exchange answers otherwise", "unknown", '"bullish"')
    ]


@pytest.mark.parametrize(
    ("changed", "field", "kind"),
    [
        ({"yes_bid_dollars": {"amount": "0.4"}}, "yes_bid_dollars", "retyped"),
        ({"ticker": None}, "ticker", "set_aside"),
    ],
)
async def test_what_cannot_be_used(
    client: Client, upstream: Upstream, changed: Json, field: str, kind: str
) -> None:
    """A field of another type costs itself, a row without its name costs that row; no more."""
    path = answered(upstream, NEWEST, **changed)

    response = await client.get(path)

    assert response.status_code == 200
    event = response.json()
    assert len(event["markets"]) == (2 if kind == "retyped" else 0)
    assert kind in [difference["kind"] for difference in await shown(client, field)]


async def test_examples_are_short_and_plain(client: Client, upstream: Upstream) -> None:
    """Of whatever the exchange sends, no more than a line of plain characters is shown."""
    path = answered(upstream, NEWEST, mood="\x1b[31m" + "x" * 10_000)

    await client.get(path)

    [mood] = await shown(client, "mood")
    assert len(mood["example"]) <= 80
    assert mood["example"].isprintable()
