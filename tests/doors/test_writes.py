"""What users write goes to the exchange once, is written down before, and never asked again."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from kalshi_gateway.app import create_app
from kalshi_gateway.audit import repository as audit
from kalshi_gateway.audit.entry import Entry, Line
from kalshi_gateway.audit.repository import AuditLogBroken
from kalshi_gateway.db import Database, DatabaseUnavailable
from kalshi_gateway.doors.operations import OPERATIONS, Access, Operation
from kalshi_gateway.doors.routing import ONE_ORDER
from kalshi_gateway.kalshi.budget import Bucket, Budget, Lane
from kalshi_gateway.kalshi.calls import Reply
from kalshi_gateway.kalshi.client import Kalshi
from kalshi_gateway.kalshi.signing import Signer
from kalshi_gateway.keys import keeping
from kalshi_gateway.keys import repository as keys
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator import app as simulator
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.faults import Fault
from kalshi_gateway.tables import kalshi_account_cache

from .people import GATEWAY_URL, People
from .trading import ORDERS, PREFIX, Watched, a_market, an_order, fund, read, told

OWN_ORDERS = f"{PREFIX}/portfolio/orders"
DASHBOARD_ORDERS = "/api/v1/kalshi/orders/"
CREATE = "POST /portfolio/events/orders"
WITHHELD = [o for o in OPERATIONS if o.access is Access.WITHHELD]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"kalshi_trading_enabled": True})


@pytest.fixture
def transport(exchange: Exchange) -> Watched:
    return Watched(httpx.ASGITransport(simulator.create_app(exchange)))


@pytest.fixture
def market(exchange: Exchange) -> str:
    return a_market(exchange)


async def log_of(database: Database) -> list[Line]:
    """The lines about writes."""
    async with database.connect() as conn:
        lines = [line async for line in audit.lines(conn)]
    return [line for line in lines if line.action == "exchange.write"]


# --- who may


async def test_orders_are_placed(
    people: People, exchange: Exchange, transport: Watched, market: str
) -> None:
    """An order goes to the exchange once, over the user's own key, and its answer comes back."""
    ada, signer = await people.admit(), await people.key()
    body = json.dumps(an_order(market, client_order_id="mine"), indent=1).encode()

    answer = await people.client.post(ORDERS, content=body, auth=signer)

    assert answer.status_code == 201, answer.text
    assert answer.headers["content-type"] == "application/json"
    order_id = answer.json()["order_id"]
    assert ada.member.orders.now[order_id].client_order_id == "mine"
    assert exchange.counters.requests[CREATE] == 1
    [sent] = transport.writes
    assert sent.content == body
    assert sent.headers["kalshi-access-key"] == ada.key_id


async def test_token_may_write_too(people: People, exchange: Exchange, market: str) -> None:
    """A token with the scope trade writes as a key does."""
    ada = await people.admit()

    answers = [
        await people.client.post(ORDERS, json=an_order(market), headers=ada.token) for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert exchange.counters.requests[CREATE] == 2


async def test_without_the_scope(people: People, transport: Watched, market: str) -> None:
    """Who may only read writes nothing, whether by key or by token."""
    await people.admit()
    reader = await people.key("ada", "read")
    token = await people.token("ada", "read", name="reader")

    answers = [
        await people.client.post(ORDERS, json=an_order(market), auth=reader),
        await people.client.post(ORDERS, json=an_order(market), headers=token),
    ]

    assert {told(answer)[:2] for answer in answers} == {(403, "permission_denied")}
    assert transport.writes == []


@pytest.mark.parametrize("operation", WITHHELD, ids=lambda o: f"{o.method} {o.path}")
async def test_keys_funds_and_members_are_withheld(
    people: People, transport: Watched, operation: Operation
) -> None:
    """Nothing here makes a key of the account, moves its money, or manages its members."""
    await people.admit()
    signer = await people.key()
    path = PREFIX + re.sub(r"\{[a-z_]+\}", "X", operation.path)
    before = len(transport.seen)

    answer = await people.client.request(operation.method, path, json={}, auth=signer)

    assert told(answer)[:2] == (403, "permission_denied")
    assert len(transport.seen) == before


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"null", b"\xff", b"{}x", b"[" * 90_000])
async def test_bodies_that_are_no_objects(
    people: People, transport: Watched, database: Database, body: bytes
) -> None:
    """What is no JSON object is refused in the exchange's words, and leaves no trace."""
    await people.admit()
    signer = await people.key()

    answer = await people.client.post(ORDERS, content=body, auth=signer)

    assert answer.status_code == 400
    assert answer.json() == {
        "code": "bad_request",
        "message": "bad request",
        "details": "the body is not a JSON object",
    }
    assert transport.writes == []
    assert await log_of(database) == []


# --- a signature counts once


async def test_replayed_write_is_refused(people: People, exchange: Exchange, market: str) -> None:
    """A write that was recorded and is sent again is refused, also with another body."""
    await people.admit()
    signer = await people.key()
    headers = signer.headers("POST", httpx.URL(GATEWAY_URL + ORDERS))

    first = await people.client.post(ORDERS, json=an_order(market), headers=headers)
    again = await people.client.post(ORDERS, json=an_order(market), headers=headers)
    other = await people.client.post(ORDERS, json=an_order(market, count="9"), headers=headers)
    padded = headers["KALSHI-ACCESS-SIGNATURE"]
    spelt = {**headers, "KALSHI-ACCESS-SIGNATURE": _otherwise(padded)}
    otherwise = await people.client.post(ORDERS, json=an_order(market), headers=spelt)

    assert first.status_code == 201
    spent = (401, "authentication_error", "SIGNATURE_ALREADY_USED")
    assert [told(answer) for answer in (again, other)] == [spent, spent]
    assert otherwise.status_code == 401
    assert exchange.counters.requests[CREATE] == 1


def _otherwise(signature: str) -> str:
    """The same bytes in Base64 whose unused last bits differ, as some decoders take them."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    kept = signature.rstrip("=")
    last = letters[letters.index(kept[-1]) ^ 1]
    return kept[:-1] + last + signature[len(kept) :]


async def test_replayed_in_other_processes(
    people: People,
    settings: Settings,
    database_url: str,
    exchange: Exchange,
    transport: Watched,
    market: str,
) -> None:
    """Of one signed write that comes to several gateways at once, one is sent."""
    await people.admit()
    signer = await people.key()
    headers = signer.headers("POST", httpx.URL(GATEWAY_URL + ORDERS))
    apps = [create_app(settings, database_url=database_url, exchange=transport) for _ in range(2)]

    async with asking(apps[0]) as one, asking(apps[1]) as two:
        answers = await asyncio.gather(
            *(
                client.post(ORDERS, json=an_order(market), headers=headers)
                for client in (one, two) * 5
            )
        )

    assert sorted(answer.status_code for answer in answers) == [201] + [401] * 9
    assert exchange.counters.requests[CREATE] == 1


@asynccontextmanager
async def asking(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=GATEWAY_URL) as client,
    ):
        yield client


async def test_reads_may_be_repeated(people: People) -> None:
    """A signed read that is sent again changes nothing, and is answered."""
    await people.admit()
    signer = await people.key()
    headers = signer.headers("GET", httpx.URL(GATEWAY_URL + OWN_ORDERS))

    answers = [await people.client.get(OWN_ORDERS, headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]


async def test_spent_signatures_are_forgotten(database: Database) -> None:
    """A signature is remembered for as long as any process might take it, and no longer."""
    async with database.begin() as conn:
        first = await keys.spend(conn, b"x" * 32)
        again = await keys.spend(conn, b"x" * 32)
    await keeping.forget_spent(database)
    async with database.begin() as conn:
        kept = await keys.spend(conn, b"x" * 32)
        await keys.forget_spent(conn, timedelta(0))
    async with database.begin() as conn:
        await keys.forget_spent(conn, timedelta(0))
        forgotten = await keys.spend(conn, b"x" * 32)

    assert (first, again, kept, forgotten) == (True, False, False, True)


# --- once, and honestly


FAULTS: dict[str, tuple[dict[str, Any], int, str | None]] = {
    "503": ({"kind": "status", "status": 503}, 503, "service_unavailable"),
    "500": ({"kind": "status", "status": 500}, 500, "internal_server_error"),
    "504": ({"kind": "status", "status": 504}, 504, "gateway_timeout"),
    "429": ({"kind": "status", "status": 429}, 429, "too_many_requests"),
    "401": ({"kind": "status", "status": 401}, 401, "authentication_error"),
    "late": ({"kind": "clock", "seconds": 60}, 401, "header_timestamp_expired"),
    "timeout": ({"kind": "status", "status": 408}, 408, "internal_server_error"),
    "elsewhere": ({"kind": "status", "status": 302}, 302, "internal_server_error"),
    "broken": ({"kind": "reset"}, 504, "gateway_timeout"),
    "cut": ({"kind": "truncate"}, 504, "gateway_timeout"),
    "silent": ({"kind": "hang"}, 504, "gateway_timeout"),
}
UNKNOWN = {"broken", "cut", "silent"}
REFUSED = {"429", "401", "late"}


@pytest.mark.parametrize("fault", FAULTS)
async def test_nothing_is_sent_twice(
    people: People,
    exchange: Exchange,
    market: str,
    database: Database,
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever goes wrong, one call is made; who may not know what was done is told so."""
    await people.admit()
    signer = await people.key()
    monkeypatch.setattr("kalshi_gateway.kalshi.calls.DEADLINE", timedelta(seconds=0.5))
    given, status, code = FAULTS[fault]
    exchange.faults.add(Fault(operation=CREATE, **given))

    answer = await people.client.post(ORDERS, json=an_order(market), auth=signer)

    assert told(answer)[:2] == (status, code)
    assert ("outcome is unknown" in answer.text) is (fault in UNKNOWN)
    assert exchange.counters.requests[CREATE] == 1
    begun, ended = await log_of(database)
    assert (begun.outcome, ended.outcome) == ("begun", "refused" if fault in REFUSED else "unknown")
    assert json.loads(ended.details)["begun"] == begun.seq


async def test_unreachable(
    people: People, transport: Watched, database: Database, market: str
) -> None:
    """An exchange that nobody reaches has been sent nothing, and that is what is said."""
    await people.admit()
    signer = await people.key()

    async def refuse(_: httpx.Request) -> None:
        raise httpx.ConnectError("refused")

    transport.look = refuse

    answer = await people.client.post(ORDERS, json=an_order(market), auth=signer)

    code, said, details = told(answer)
    assert (code, said) == (503, "service_unavailable")
    assert "nothing was sent" in str(details)
    assert len(transport.writes) == 1
    assert [line.outcome for line in await log_of(database)] == ["begun", "refused"]


async def test_what_goes_wrong_here(
    people: People, app: FastAPI, database: Database, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that ends by a fault of ours is noted as one of which nobody knows."""
    await people.admit()
    signer = await people.key()

    async def broken(*_: Any) -> Any:
        raise httpx.InvalidURL("too long")

    monkeypatch.setattr(app.state.resources.writes._routing, "completed", broken)

    answer = await people.client.post(ORDERS, json=an_order(market), auth=signer)

    begun, ended = await log_of(database)
    assert answer.status_code == 500
    assert (begun.outcome, ended.outcome) == ("begun", "unknown")
    assert json.loads(ended.details) == {"begun": begun.seq, "told": "InvalidURL"}


async def test_turn_that_does_not_come(
    people: People, app: FastAPI, transport: Watched, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the user's own budget does not pay in time is not sent, and is a 429."""
    await people.admit()
    signer = await people.key()
    monkeypatch.setattr("kalshi_gateway.kalshi.calls.TURN", timedelta(seconds=0.05))
    await people.client.get(OWN_ORDERS, auth=signer)
    line = app.state.resources.writes._lines._lines["ada"]
    line.kalshi.budget.refused(Bucket.WRITE)

    create = await people.client.post(ORDERS, json=an_order(market), auth=signer)

    assert told(create)[:2] == (429, "too_many_requests")
    assert "nothing was sent" in create.text
    assert transport.writes == []


@pytest.mark.parametrize(
    ("method", "path", "lane"),
    [
        ("POST", ORDERS, Lane.ORDER),
        ("POST", f"{ORDERS}/X/amend", Lane.ORDER),
        ("POST", f"{ORDERS}/X/decrease", Lane.CANCEL),
        ("DELETE", f"{ORDERS}/X", Lane.CANCEL),
        ("DELETE", ORDERS, Lane.CANCEL),
        ("PUT", f"{PREFIX}/portfolio/order_groups/X/trigger", Lane.CANCEL),
        ("PUT", f"{PREFIX}/portfolio/order_groups/X/reset", Lane.ORDER),
    ],
)
async def test_cancels_go_first(
    people: People,
    app: FastAPI,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    lane: Lane,
) -> None:
    """What takes money off the table goes before all else, a group's trigger as well."""
    await people.admit()
    signer = await people.key()
    lanes: list[Lane] = []
    once = Kalshi.once

    async def note(self: Kalshi, *rest: Any, **given: Any) -> Reply:
        lanes.append(given["lane"])
        return await once(self, *rest, **given)

    monkeypatch.setattr(Kalshi, "once", note)

    await people.client.request(method, path, json={}, auth=signer)

    assert lanes == [lane]


async def test_batches_pay_for_each(
    people: People, app: FastAPI, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch is paid for by the order from the user's own write budget."""
    await people.admit()
    signer = await people.key()
    orders = [an_order(market) for _ in range(4)]
    paid: list[tuple[Budget, Bucket, int]] = []
    spend = Budget.spend

    async def note(self: Budget, cost: int, bucket: Bucket, lane: Lane) -> None:
        paid.append((self, bucket, cost))
        await spend(self, cost, bucket, lane)

    monkeypatch.setattr(Budget, "spend", note)

    answer = await people.client.post(f"{ORDERS}/batched", json={"orders": orders}, auth=signer)

    own = app.state.resources.writes._lines._lines["ada"].kalshi.budget
    assert answer.status_code == 201
    assert paid[0] == (own, Bucket.WRITE, 40)


# --- written down


async def test_written_down_before_it_is_sent(
    people: People, database: Database, transport: Watched, market: str
) -> None:
    """When a write arrives at the exchange, the log already says who sends what; then what came."""
    await people.admit()
    signer = await people.key()
    before: list[Line] = []

    async def look(request: httpx.Request) -> None:
        if request.method == "POST":
            before.extend(await log_of(database))

    transport.look = look
    path = f"{ORDERS}?odd=%2f"
    request_id = {"X-Request-ID": "r-1"}

    answer = await people.client.post(path, json=an_order(market), auth=signer, headers=request_id)

    [begun] = before
    _, ended = await log_of(database)
    details = json.loads(begun.details)
    assert (begun.outcome, ended.outcome) == ("begun", "done")
    assert begun.target == ended.target == "POST /portfolio/events/orders"
    assert (begun.user_id, begun.request_id) == ("ada", "r-1")
    assert str(begun.token_id) == signer.key.key_id
    assert read(details["body"].encode()) == an_order(market)
    assert details["query"] == "odd=%2f"
    assert answer.json()["order_id"] in ended.details


async def test_what_cannot_be_written_down_is_not_sent(
    people: People, transport: Watched, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its line in the log no write leaves, and its signature is not used up."""
    await people.admit()
    signer = await people.key()
    headers = signer.headers("POST", httpx.URL(GATEWAY_URL + ORDERS))

    async def broken(*_: Any) -> Line:
        raise AuditLogBroken("gone")

    with monkeypatch.context() as patch:
        patch.setattr("kalshi_gateway.audit.repository.record", broken)
        refused = await people.client.post(ORDERS, json=an_order(market), headers=headers)
    sent = len(transport.writes)
    later = await people.client.post(ORDERS, json=an_order(market), headers=headers)

    assert told(refused)[0] == 503
    assert sent == 0
    assert later.status_code == 201


async def test_outcome_that_cannot_be_written_down(
    people: People, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has happened is answered, also if the log is lost meanwhile."""
    await people.admit()
    signer = await people.key()
    record = audit.record

    async def lost(conn: Any, entry: Any) -> Line:
        if entry.outcome != "begun":
            raise AuditLogBroken("gone")
        return await record(conn, entry)

    monkeypatch.setattr("kalshi_gateway.audit.repository.record", lost)

    answer = await people.client.post(ORDERS, json=an_order(market), auth=signer)

    assert answer.status_code == 201


async def test_who_gives_up_calls_nothing_back(
    people: People, database: Database, transport: Watched, app: FastAPI, market: str
) -> None:
    """The write of a client that went away while the exchange thinks is done, and noted."""
    ada, signer = await people.admit(), await people.key()
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def hold(request: httpx.Request) -> None:
        if request.method == "POST":
            arrived.set()
            await go_on.wait()

    transport.look = hold
    waiting = asyncio.create_task(people.client.post(ORDERS, json=an_order(market), auth=signer))
    await arrived.wait()

    waiting.cancel()
    await asyncio.wait({waiting})
    go_on.set()
    await app.state.resources.writes.settled()

    assert len(ada.member.orders.now) == 1
    assert [line.outcome for line in await log_of(database)] == ["begun", "done"]


async def test_real_key_never_shows(
    people: People,
    exchange: Exchange,
    market: str,
    database: Database,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing of the user's real key, and no signature, is in an answer or a log of a write."""
    caplog.set_level("DEBUG")
    ada, signer = await people.admit(), await people.key()
    headers = signer.headers("POST", httpx.URL(GATEWAY_URL + ORDERS))

    answers = [
        await people.client.post(ORDERS, json=an_order(market), headers=headers) for _ in range(2)
    ]
    exchange.faults.add(Fault(kind="reset", operation=CREATE, times=1))
    answers.append(await people.client.post(ORDERS, json=an_order(market), auth=signer))
    exchange.keys.revoke(ada.key_id)
    answers.append(await people.client.post(ORDERS, json=an_order(market), auth=signer))

    said = capsys.readouterr()
    everything = [caplog.text, said.out, said.err, *map(str, await log_of(database))]
    for answer in answers:
        everything += [answer.text, str(answer.headers)]
    assert [answer.status_code for answer in answers] == [201, 401, 504, 401]
    assert ada.key_id not in "".join(everything)
    assert headers["KALSHI-ACCESS-SIGNATURE"] not in "".join(everything)


@pytest.mark.parametrize(
    ("method", "path"), [("POST", ORDERS), ("POST", f"{PREFIX}/portfolio/subaccounts")]
)
async def test_refused_writes_are_written_down(
    people: People, database: Database, market: str, method: str, path: str
) -> None:
    """Who is known and writes what they may not has a line; who is not known has none."""
    await people.admit()
    reader = await people.key("ada", "read")

    known = await people.client.request(method, f"{path}?odd=1", content=b"{", auth=reader)
    stranger = await people.client.request(method, path, content=b"{")
    read = await people.client.get(f"{PREFIX}/api_keys", auth=reader)

    assert [answer.status_code for answer in (known, stranger, read)] == [403, 401, 403]
    [line] = await log_of(database)
    said = json.loads(line.details)
    assert (line.outcome, line.user_id) == ("refused", "ada")
    assert line.target == f"{method} {path.removeprefix(PREFIX)}"
    assert str(line.token_id) == reader.key.key_id
    assert (said["query"], said["status"], said["told"]) == ("odd=1", 403, known.text)


async def test_switched_off(
    people: People, settings: Settings, database: Database, database_url: str, transport: Watched
) -> None:
    """So does a write while writes are not passed on at all."""
    await people.admit()
    signer = await people.key()
    off = settings.model_copy(update={"kalshi_trading_enabled": False})

    async with asking(create_app(off, database_url=database_url, exchange=transport)) as client:
        answer = await client.delete(f"{ORDERS}/X", auth=signer)

    [line] = await log_of(database)
    assert told(answer)[:2] == (403, "permission_denied")
    assert (line.outcome, line.target) == ("refused", "DELETE /portfolio/events/orders/X")


# --- read your writes


async def test_reads_see_what_was_written(people: People, market: str) -> None:
    """A list that was read a moment ago is read anew after a write of its user."""
    await people.admit()
    signer = await people.key()
    empty = await people.client.get(OWN_ORDERS, auth=signer)
    again = await people.client.get(OWN_ORDERS, auth=signer)

    placed = await people.client.post(ORDERS, json=an_order(market), auth=signer)
    after = await people.client.get(OWN_ORDERS, auth=signer)

    assert (empty.json()["orders"], again.headers["X-Cache"]) == ([], "HIT")
    assert [o["order_id"] for o in after.json()["orders"]] == [placed.json()["order_id"]]


class Late(httpx.AsyncBaseTransport):
    """Holds back the first answer that lists orders."""

    def __init__(self, way: httpx.AsyncBaseTransport) -> None:
        self.way = way
        self.arrived, self.go_on = asyncio.Event(), asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self.way.handle_async_request(request)
        if request.url.path == OWN_ORDERS and not self.arrived.is_set():
            self.arrived.set()
            await self.go_on.wait()
        return response


async def test_a_read_begun_before_is_not_given_after(
    people: People, transport: Watched, market: str
) -> None:
    """What was asked for before a write, and comes after it, is kept for nobody."""
    await people.admit()
    signer = await people.key()
    late = transport.way = Late(transport.way)
    before = asyncio.create_task(people.client.get(OWN_ORDERS, auth=signer))
    await late.arrived.wait()

    await people.client.post(ORDERS, json=an_order(market), auth=signer)
    meanwhile = await people.client.get(OWN_ORDERS, auth=signer)
    late.go_on.set()
    old = await before
    after = await people.client.get(OWN_ORDERS, auth=signer)

    counts = [len(answer.json()["orders"]) for answer in (old, meanwhile, after)]
    assert counts == [0, 1, 1]


async def test_in_other_processes_too(
    people: People,
    settings: Settings,
    database_url: str,
    transport: Watched,
    market: str,
) -> None:
    """What one gateway has written for a user, another one does not deny."""
    await people.admit()
    signer = await people.key()
    apps = [create_app(settings, database_url=database_url, exchange=transport) for _ in range(2)]

    async with asking(apps[0]) as one, asking(apps[1]) as two:
        while not all(app.state.resources.reads.hears for app in apps):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # nobody tells when both listen
        empty = await two.get(OWN_ORDERS, auth=signer)
        [kept] = apps[1].state.resources.reads._kept.values()
        kept.asked_at += 600  # so that it would be given for long
        again = await two.get(OWN_ORDERS, auth=signer)
        placed = await one.post(ORDERS, json=an_order(market), auth=signer)
        after = await two.get(OWN_ORDERS, auth=signer)

    assert (empty.json()["orders"], again.headers["X-Cache"]) == ([], "HIT")
    assert placed.status_code == 201
    assert [o["order_id"] for o in after.json()["orders"]] == [placed.json()["order_id"]]


@pytest.mark.parametrize("part", ["news.tell", "audit.record", "Refresher.invalidate"])
async def test_what_cannot_be_noted(
    people: People,
    settings: Settings,
    database: Database,
    database_url: str,
    transport: Watched,
    market: str,
    part: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where one part of noting a write fails the others are done, and all processes hear of it."""
    ada, signer = await people.admit(), await people.key()
    apps = [create_app(settings, database_url=database_url, exchange=transport) for _ in range(2)]

    async with asking(apps[0]) as one, asking(apps[1]) as two:
        while not all(app.state.resources.reads.hears for app in apps):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # nobody tells when both listen
        await one.get("/kalshi/users/ada/account", headers=ada.token)
        empty = await two.get(DASHBOARD_ORDERS, headers=ada.token)
        before, changes = await epoch_of(database), apps[1].state.resources.reads._changes
        heard = changes["ada"]
        with monkeypatch.context() as patch:
            fail(patch, part)
            placed = await one.post(ORDERS, json=an_order(market), auth=signer)
        async with asyncio.timeout(10):
            while changes["ada"] == heard:  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # nobody waits for all to hear where that has failed
        after = await two.get(DASHBOARD_ORDERS, headers=ada.token)

    assert (placed.status_code, empty.json()["orders"]) == (201, [])
    assert [o["order_id"] for o in after.json()["orders"]] == [placed.json()["order_id"]]
    noted = [line.outcome for line in await log_of(database)]
    assert noted == (["begun"] if part == "audit.record" else ["begun", "done"])
    assert await epoch_of(database) == before + (part != "Refresher.invalidate")


def fail(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Have the database go away for this part of what comes after an answer."""
    record = audit.record

    async def broken(*_: Any) -> Any:
        raise DatabaseUnavailable("gone for a moment")

    async def broken_at_the_end(conn: Any, entry: Entry) -> Line:
        return await (record(conn, entry) if entry.outcome == "begun" else broken())

    failing = broken_at_the_end if part == "audit.record" else broken
    monkeypatch.setattr(f"kalshi_gateway.doors.writes.{part}", failing)


async def epoch_of(database: Database) -> int:
    async with database.connect() as conn:
        epoch = await conn.scalar(select(kalshi_account_cache.c.epoch))
    return int(epoch or 0)


async def test_a_read_begun_before_in_another_process(
    people: People,
    settings: Settings,
    database_url: str,
    transport: Watched,
    market: str,
) -> None:
    """Nor is it given after a write that another process has sent."""
    await people.admit()
    signer = await people.key()
    late = transport.way = Late(transport.way)
    apps = [create_app(settings, database_url=database_url, exchange=transport) for _ in range(2)]

    async with asking(apps[0]) as one, asking(apps[1]) as two:
        while not all(app.state.resources.reads.hears for app in apps):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # nobody tells when both listen
        before = asyncio.create_task(two.get(OWN_ORDERS, auth=signer))
        await late.arrived.wait()
        await one.post(ORDERS, json=an_order(market), auth=signer)
        meanwhile = asyncio.create_task(two.get(OWN_ORDERS, auth=signer))
        await asyncio.wait({meanwhile}, timeout=1)  # or it waits for what began before
        late.go_on.set()
        answers = [await before, await meanwhile, await two.get(OWN_ORDERS, auth=signer)]

    assert [len(answer.json()["orders"]) for answer in answers] == [0, 1, 1]


# --- cancels find their shard


async def placed(people: People, signer: Signer, ticker: str) -> str:
    answer = await people.client.post(ORDERS, json=an_order(ticker), auth=signer)
    assert answer.status_code == 201, answer.text
    order_id: str = answer.json()["order_id"]
    return order_id


async def test_cancels_find_their_shard(
    people: People, exchange: Exchange, transport: Watched
) -> None:
    """A cancel that does not say where its order is gets there, asked for or remembered."""
    ada, signer = await people.admit(), await people.key()
    far = a_market(exchange, "KXFAR-26-A", shard=2)
    fund(exchange, ada.member, 2)
    remembered = await placed(people, signer, far)
    asked = exchange.desk.rest(ada.member, far, "bid", "0.30", "3").order_id

    answers = [
        await people.client.delete(f"{ORDERS}/{order_id}", auth=signer)
        for order_id in (remembered, asked, "none")
    ]

    paths = [request.url.path for request in transport.seen if request.method == "GET"]
    reads = [path.rpartition("/")[2] for path in paths if "/orders/" in path]
    assert [answer.status_code for answer in answers] == [200, 200, 404]
    assert reads == [asked, "none"]
    queries = [request.url.query for request in transport.writes[1:]]
    assert queries == [b"market_ticker=KXFAR-26-A", b"market_ticker=KXFAR-26-A", b""]


@pytest.mark.parametrize("query", ["market_ticker=KXFAR-26-A", "exchange_index=0", "subaccount=0"])
async def test_what_a_cancel_says_stays(
    people: People, exchange: Exchange, transport: Watched, query: str
) -> None:
    """A cancel that names market or shard goes as it is; else the market is added behind."""
    ada, signer = await people.admit(), await people.key()
    far = a_market(exchange, "KXFAR-26-A", shard=2)
    fund(exchange, ada.member, 2)
    order_id = await placed(people, signer, far)

    answer = await people.client.delete(f"{ORDERS}/{order_id}?{query}", auth=signer)

    routed = "" if query != "subaccount=0" else "&market_ticker=KXFAR-26-A"
    assert transport.writes[-1].url.query.decode() == query + routed
    assert answer.status_code == (404 if query == "exchange_index=0" else 200)


async def test_decreases_and_batches_find_their_shards(
    people: People, exchange: Exchange, transport: Watched, market: str
) -> None:
    """So do a decrease, and each cancel of a batch; all else they say stays to the letter."""
    ada, signer = await people.admit(), await people.key()
    far = a_market(exchange, "KXFAR-26-A", shard=2)
    fund(exchange, ada.member, 2)
    first, second, near = [await placed(people, signer, t) for t in (far, far, market)]
    path = f"{ORDERS}/{first}/decrease"
    body = b'{ "reduce_by": "1.00" , "odd":1.10}'
    batch = f'{{"orders":[{{"order_id":"{first}"}},{{"order_id":"{second}","exchange_index":2}},'
    batch += f'{{"order_id":"{near}"}}],"more":0.10}}'

    less = await people.client.post(path, content=body, auth=signer)
    ended = await people.client.request(
        "DELETE", f"{ORDERS}/batched", content=batch.encode(), auth=signer
    )

    decrease, cancels = transport.writes[-2:]
    assert (less.status_code, less.json()["remaining_count"]) == (200, "2.00")
    assert decrease.content == b'{ "reduce_by": "1.00" , "odd":1.10,"market_ticker":"KXFAR-26-A"}'
    assert [row["reduced_by"] for row in ended.json()["orders"]] == ["2.00", "3.00", "3.00"]
    assert b'"more":0.10' in cancels.content
    assert read(cancels.content)["orders"] == [
        {"order_id": first, "market_ticker": far},
        {"order_id": second, "exchange_index": 2},
        {"order_id": near, "market_ticker": market},
    ]


async def test_cancel_goes_though_its_order_is_not_found(
    people: People, exchange: Exchange, market: str
) -> None:
    """When the exchange cannot say where an order is, the cancel goes as it came."""
    ada, signer = await people.admit(), await people.key()
    order_id = exchange.desk.rest(ada.member, market, "bid", "0.30", "3").order_id
    exchange.faults.add(Fault(kind="status", status=403, operation=f"GET {ONE_ORDER.path}"))

    answer = await people.client.delete(f"{ORDERS}/{order_id}", auth=signer)

    assert answer.status_code == 200


async def test_all_kinds_of_orders(people: People, exchange: Exchange, market: str) -> None:
    """Amends, batches and cancel-all are the exchange's own, and no body is none."""
    ada, signer = await people.admit(), await people.key()
    order_id = await placed(people, signer, market)
    amended = {"ticker": market, "side": "bid", "price": "0.20", "count": "2"}

    amend = await people.client.post(f"{ORDERS}/{order_id}/amend", json=amended, auth=signer)
    batch = await people.client.post(
        f"{ORDERS}/batched", json={"orders": [an_order(market), an_order("KXNO-1")]}, auth=signer
    )
    all_gone = await people.client.delete(ORDERS, auth=signer)

    assert (amend.status_code, amend.json()["remaining_count"]) == (200, "2.00")
    assert batch.status_code == 201
    assert batch.json()["orders"][1]["error"]["code"] == "market_not_found"
    assert (all_gone.status_code, all_gone.content) == (204, b"")
    assert {order.status for order in ada.member.orders.now.values()} == {"canceled"}


# --- what goes on with it


async def test_headers_that_go_on(people: People, transport: Watched, market: str) -> None:
    """What is from end to end goes on; what tells who asks, or is of the connection, does not."""
    await people.admit()
    signer = await people.key()
    kept = {
        "Accept-Language": "es",
        "Content-Type": "application/json; charset=utf-8",
        "Idempotency-Key": "k",
        "User-Agent": "somebody's client",
        "X-Custom": "1",
    }
    dropped = {
        "Connection": "close, X-Hop",
        "Cookie": "a=b",
        "Forwarded": "for=192.0.2.1",
        "Origin": "http://localhost",
        "Proxy-Authorization": "x",
        "TE": "trailers",
        "Via": "1.1 somewhere",
        "X-Forwarded-For": "192.0.2.1",
        "X-Hop": "1",
        "X-Real-IP": "192.0.2.1",
    }
    content = json.dumps(an_order(market)).encode()

    answer = await people.client.post(
        ORDERS, content=content, headers={**kept, **dropped}, auth=signer
    )

    [sent] = transport.writes
    assert answer.status_code == 201
    assert {name: sent.headers[name] for name in kept} == kept
    names = {name.lower() for name in dropped} - {"connection"}
    assert sent.headers.keys().isdisjoint(names)
    assert sent.headers["host"] == "127.0.0.1:1"
    assert sent.headers["kalshi-access-key"] != signer.key.key_id
    assert len(sent.headers.get_list("kalshi-access-key")) == 1
