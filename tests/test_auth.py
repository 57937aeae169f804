"""Who is calling, and for which user they may speak."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts
from sqlalchemy import select, update

from kalshi_gateway.app import create_app
from kalshi_gateway.auth import Caller as AuthCaller
from kalshi_gateway.auth import Gatekeeper, NotAuthenticated
from kalshi_gateway.db import Database, DatabaseUnavailable
from kalshi_gateway.dependencies import Caller, Requires, requires
from kalshi_gateway.errors import Unprocessable
from kalshi_gateway.settings import Settings
from kalshi_gateway.tables import tokens
from kalshi_gateway.tokens import repository
from kalshi_gateway.tokens.repository import TokenNameTaken
from kalshi_gateway.tokens.token import PREFIX, Scope, Token, digest

ALWAYS_ASK = timedelta(0)
NEVER_ASK_AGAIN = timedelta(hours=1)
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"

read = APIRouter(prefix="/kalshi", dependencies=[requires("read")])
trade = APIRouter(prefix="/kalshi", dependencies=[requires("trade")])
admin = APIRouter(prefix="/kalshi", dependencies=[requires("admin")])


@read.get("/whoami")
async def whoami(caller: Caller) -> str:
    return caller.name


@read.get("/users/{user_id}/belongings")
async def account(user_id: str) -> str:
    return user_id


@trade.post("/users/{user_id}/orders")
async def place(user_id: str) -> str:
    return user_id


@admin.get("/everything")
async def everything() -> str:
    return "everything"


@pytest.fixture
def app(settings: Settings, database_url: str) -> FastAPI:
    app = create_app(
        settings.model_copy(update={"gateway_auth": "token"}), database_url=database_url
    )
    for router in (read, trade, admin):
        app.include_router(router)
    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://gateway.example") as client,
    ):
        yield client


async def a_token(
    database: Database,
    *scopes: str,
    name: str = "test",
    user_id: str | None = "ada",
    expires_at: datetime | None = None,
) -> tuple[Token, str]:
    async with database.begin() as conn:
        return await repository.create(
            conn, name, scopes or ["read"], None if "admin" in scopes else user_id, expires_at
        )


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


async def test_token_opens(client: httpx.AsyncClient, database: Database) -> None:
    """A token of the right scope opens a route, and the handler knows whose it is."""
    _, secret = await a_token(database, name="laptop")

    response = await client.get("/kalshi/whoami", headers=bearer(secret))

    assert (response.status_code, response.json()) == (200, "laptop")


@pytest.mark.parametrize(
    ("authorization", "error"),
    [
        (None, False),
        ("", False),
        (f"Bearer {PREFIX}{'x' * 43}", True),
        (f"Bearer {PREFIX}short", True),
        ("Bearer", True),
        ("Basic YWRhOmFkYQ==", True),
        ("Bearer é", True),
        (f"Bearer {'x' * 20_000}", True),
    ],
)
async def test_not_authenticated(
    client: httpx.AsyncClient, authorization: str | None, error: bool
) -> None:
    """Without a token that is known the answer is 401, and says that a bearer token is wanted."""
    headers = [] if authorization is None else [(b"Authorization", authorization.encode())]

    response = await client.get("/kalshi/whoami", headers=headers)

    assert response.status_code == 401
    assert response.json()["code"] == "not_authenticated"
    assert response.headers["WWW-Authenticate"].startswith("Bearer ")
    assert ("invalid_token" in response.headers["WWW-Authenticate"]) is error


ROUTES = {
    "read": ("GET", "/kalshi/whoami"),
    "own": ("GET", "/kalshi/users/ada/belongings"),
    "other": ("GET", "/kalshi/users/bob/belongings"),
    "trade": ("POST", "/kalshi/users/ada/orders"),
    "trade other": ("POST", "/kalshi/users/bob/orders"),
    "admin": ("GET", "/kalshi/everything"),
}


@pytest.mark.parametrize(
    ("scopes", "opened"),
    [
        (["read"], ["read", "own"]),
        (["trade"], ["read", "own", "trade"]),
        (["read", "trade"], ["read", "own", "trade"]),
        (["admin"], ["read", "own", "other", "admin"]),
        (["admin", "trade"], list(ROUTES)),
    ],
)
async def test_scopes(
    client: httpx.AsyncClient, database: Database, scopes: list[str], opened: list[str]
) -> None:
    """A token opens what its scopes say, for its own user; an admin's for all, but no trading."""
    _, secret = await a_token(database, *scopes)

    codes = {}
    for name, (method, path) in ROUTES.items():
        response = await client.request(method, path, headers=bearer(secret))
        codes[name] = response.status_code

    assert codes == {name: 200 if name in opened else 403 for name in ROUTES}


async def test_what_is_missing_is_said(client: httpx.AsyncClient, database: Database) -> None:
    """A refusal says whether the scope or the user is wrong."""
    _, secret = await a_token(database, "read")

    scope = await client.get("/kalshi/everything", headers=bearer(secret))
    user = await client.get("/kalshi/users/bob/belongings", headers=bearer(secret))

    assert scope.json()["code"] == "scope_missing"
    assert user.json()["code"] == "wrong_user"


async def test_without_tokens_everything_is_open(settings: Settings) -> None:
    """With GATEWAY_AUTH=off whoever sits at this machine may do everything, for all users."""
    app = create_app(settings, database_url=NOWHERE)
    for router in (read, trade, admin):
        app.include_router(router)

    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            codes = {
                name: (await client.request(*route)).status_code for name, route in ROUTES.items()
            }

    assert codes == dict.fromkeys(ROUTES, 200)


@pytest.mark.parametrize(
    "end",
    [
        {"revoked_at": datetime.now(UTC)},
        {"expires_at": datetime.now(UTC) - timedelta(seconds=1)},
    ],
    ids=["revoked", "expired"],
)
async def test_ended_token(database: Database, end: dict[str, datetime]) -> None:
    """A token that was revoked or has expired opens nothing, as soon as it is asked about again."""
    gatekeeper = Gatekeeper(database, fresh_for=ALWAYS_ASK)
    token, secret = await a_token(database)
    await gatekeeper.caller(f"Bearer {secret}")

    async with database.begin() as conn:
        await conn.execute(update(tokens).where(tokens.c.id == token.id).values(end))

    with pytest.raises(NotAuthenticated):
        await gatekeeper.caller(f"Bearer {secret}")


async def test_expired_while_believed(database: Database) -> None:
    """A token that is believed without asking stops at its own time all the same."""
    gatekeeper = Gatekeeper(database, fresh_for=NEVER_ASK_AGAIN)
    _, secret = await a_token(database)
    await gatekeeper.caller(f"Bearer {secret}")
    [known] = gatekeeper._known.values()
    known.expires_at = datetime.now(UTC).timestamp()
    async with Database.opened(NOWHERE) as gone:
        gatekeeper.database = gone

        assert gatekeeper.caller_at_once(f"Bearer {secret}".encode()) is None
        with pytest.raises(NotAuthenticated):
            await gatekeeper.caller(f"Bearer {secret}")


async def test_believed_for_a_moment(database: Database) -> None:
    """Between two questions a token is answered from memory, with no database at all."""
    gatekeeper = Gatekeeper(database, fresh_for=NEVER_ASK_AGAIN)
    _, secret = await a_token(database)
    asked = await gatekeeper.caller(f"Bearer {secret}")
    await database.engine.dispose()
    await database.pool.close()

    remembered = await gatekeeper.caller(f"Bearer {secret}")
    at_once = gatekeeper.caller_at_once(f"Bearer {secret}".encode())

    assert asked == remembered == at_once


async def test_nobody_is_known_at_once(database: Database) -> None:
    """Who was never asked about is nobody yet, whatever they show."""
    gatekeeper = Gatekeeper(database)
    _, secret = await a_token(database)

    assert gatekeeper.caller_at_once(f"Bearer {secret}".encode()) is None
    assert gatekeeper.caller_at_once(b"Basic YWRhOmFkYQ==") is None
    assert gatekeeper.caller_at_once(b"\xff") is None


async def test_database_down(database: Database) -> None:
    """While the database is down a token known a moment ago is believed; another is not refused."""
    gatekeeper = Gatekeeper(database, fresh_for=ALWAYS_ASK)
    _, known = await a_token(database, name="known")
    _, unknown = await a_token(database, name="unknown")
    before = await gatekeeper.caller(f"Bearer {known}")

    async with Database.opened(NOWHERE) as gone:
        gatekeeper.database = gone
        during = await gatekeeper.caller(f"Bearer {known}")
        with pytest.raises(DatabaseUnavailable):
            await gatekeeper.caller(f"Bearer {unknown}")
        gatekeeper.trusted_for = timedelta(0)
        with pytest.raises(DatabaseUnavailable):
            await gatekeeper.caller(f"Bearer {known}")

    assert before == during


async def test_database_down_over_http(settings: Settings) -> None:
    """A token that cannot be looked up is no 401: the client would throw it away."""
    app = create_app(settings.model_copy(update={"gateway_auth": "token"}), database_url=NOWHERE)
    app.include_router(read)

    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            response = await client.get("/kalshi/whoami", headers=bearer(PREFIX + "x" * 43))

    assert (response.status_code, response.json()["code"]) == (503, "database_unavailable")


async def test_one_question_for_all(database: Database) -> None:
    """Callers that show the same token at once share one question to the database."""
    gatekeeper = Counting(database)
    _, secret = await a_token(database)

    callers = await asyncio.gather(*(gatekeeper.caller(f"Bearer {secret}") for _ in range(50)))

    assert len(set(callers)) == 1
    assert gatekeeper.questions == 1


async def test_one_who_gives_up_does_not_matter(database: Database) -> None:
    """A caller that gives up leaves the answer to those who asked with it."""
    gatekeeper = Counting(database)
    _, secret = await a_token(database)
    first = asyncio.create_task(gatekeeper.caller(f"Bearer {secret}"))
    second = asyncio.create_task(gatekeeper.caller(f"Bearer {secret}"))
    await asyncio.sleep(0)

    first.cancel()

    assert isinstance(await second, AuthCaller)
    assert gatekeeper.questions == 1


class Counting(Gatekeeper):
    questions = 0

    async def _find(self, key: bytes):  # type: ignore[no-untyped-def]
        self.questions += 1
        return await super()._find(key)


async def test_last_use(database: Database) -> None:
    """When a token was last used is written down, once, and never set back."""
    gatekeeper = Gatekeeper(database)
    token, secret = await a_token(database)
    began = datetime.now(UTC) - timedelta(seconds=1)
    await gatekeeper.caller(f"Bearer {secret}")

    await gatekeeper.note_uses()
    noted = await last_used(database, token)
    async with database.begin() as conn:
        await repository.note_uses(conn, {token.id: began - timedelta(days=1)})
    await gatekeeper.note_uses()

    assert noted is not None
    assert noted > began
    assert await last_used(database, token) == noted


async def test_last_use_on_the_way_out(
    settings: Settings, database: Database, database_url: str
) -> None:
    """A use shortly before the end is written down, too."""
    app = create_app(
        settings.model_copy(update={"gateway_auth": "token"}), database_url=database_url
    )
    app.include_router(read)
    token, secret = await a_token(database)

    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            await client.get("/kalshi/whoami", headers=bearer(secret))

    assert await last_used(database, token) is not None


async def last_used(database: Database, token: Token) -> datetime | None:
    async with database.connect() as conn:
        return await conn.scalar(select(tokens.c.last_used_at).where(tokens.c.id == token.id))


async def test_only_the_digest_is_kept(database: Database) -> None:
    """The secret is told once; what is kept does not lead back to it."""
    _, secret = await a_token(database)
    _, other = await a_token(database, name="other")

    async with database.driver() as conn:
        rows = str(await conn.fetch("SELECT t::text FROM tokens t"))

    assert secret != other
    assert len(secret) == len(PREFIX) + 43
    assert secret not in rows
    assert secret.removeprefix(PREFIX) not in rows
    assert digest(secret).hex() in rows


@pytest.mark.parametrize(
    ("name", "scopes", "user_id", "expires_in", "pointers"),
    [
        ("", ["read"], "ada", None, ["/name"]),
        ("a", [], "ada", None, ["/scopes"]),
        ("a", ["write"], "ada", None, ["/scopes"]),
        ("a", ["read"], None, None, ["/user_id"]),
        ("a", ["admin"], "ada", None, ["/user_id"]),
        ("a", ["read"], "ada", timedelta(seconds=-1), ["/expires_at"]),
        (" ", ["write"], None, timedelta(days=-1), ["/name", "/scopes", "/user_id", "/expires_at"]),
    ],
)
async def test_bad_tokens(
    database: Database,
    name: str,
    scopes: list[str],
    user_id: str | None,
    expires_in: timedelta | None,
    pointers: list[str],
) -> None:
    """A token that makes no sense is refused, with all that is wrong about it."""
    expires_at = None if expires_in is None else datetime.now(UTC) + expires_in

    async with database.begin() as conn:
        with pytest.raises(Unprocessable) as raised:
            await repository.create(conn, name, scopes, user_id, expires_at)

    assert [error.pointer for error in raised.value.errors] == pointers


async def test_names_in_use(database: Database) -> None:
    """A name tells which token to revoke, so it is free again only when its token has ended."""
    await a_token(database, name="laptop")

    with pytest.raises(TokenNameTaken):
        await a_token(database, name="laptop")
    async with database.begin() as conn:
        await repository.revoke(conn, "laptop")
    again, _ = await a_token(database, name="laptop")

    assert again.name == "laptop"


async def test_one_of_many_gets_the_name(database: Database) -> None:
    """Of those who want the same name at once, one gets it."""
    made = await asyncio.gather(
        *(a_token(database, name="laptop") for _ in range(4)), return_exceptions=True
    )

    assert [type(result) for result in made].count(TokenNameTaken) == 3


async def test_revoke(database: Database) -> None:
    """A token is revoked by its id or its name, once; others stay."""
    first, _ = await a_token(database, name="first")
    second, _ = await a_token(database, name="second")
    third, _ = await a_token(database, name="third")

    async with database.begin() as conn:
        by_id = await repository.revoke(conn, str(first.id))
        by_name = await repository.revoke(conn, "second")
        again = await repository.revoke(conn, "second")
        nobody = await repository.revoke(conn, "nobody")
        left = [token.id for token in await repository.page(conn) if token.revoked_at is None]

    assert [token.id for token in by_id] == [first.id]
    assert [token.id for token in by_name] == [second.id]
    assert again == nobody == []
    assert left == [third.id]


async def test_first_token(database: Database) -> None:
    """On an empty database one admin's token is made, once, however many processes ask."""

    async def first() -> tuple[Token, str] | None:
        async with database.begin() as conn:
            return await repository.create_first(conn, "first")

    made = [token for token in await asyncio.gather(*(first() for _ in range(4))) if token]

    assert len(made) == 1
    assert made[0][0].scopes == {Scope.ADMIN}
    async with database.begin() as conn:
        await repository.revoke(conn, "first")
    assert await first() is None


#: What needs no token, and why.
OPEN = {
    "/healthz": "says that the process lives, to whoever watches over it",
    "/readyz": "says whether it can answer, to the same",
    "/metrics": "asks for a token itself, unless this machine asks",
    "/openapi.json": "describes the API and shows nothing that is in it",
    "/openapi-sdk.json": "the same",
    "/docs": "the same, for people",
    "/problems/{code}": "says what a code means",
    "/static": "files of the page above",
    "/trade-api/v2/{path:path}": "is open where the exchange's own is: tests/doors tries it",
}


@pytest.fixture
def gateway(settings: Settings, database_url: str) -> FastAPI:
    """The gateway as it is served: with its own routes, and tokens."""
    with_tokens = settings.model_copy(update={"gateway_auth": "token"})
    return create_app(with_tokens, database_url=database_url)


@pytest.fixture
async def asking(gateway: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(gateway)
    async with (
        gateway.router.lifespan_context(gateway),
        httpx.AsyncClient(transport=transport, base_url="http://gateway.example") as client,
    ):
        yield client


def scopes_of(app: FastAPI) -> dict[tuple[str, str], Scope | None]:
    """Each method and path of the application, with the scope that it states."""
    return {
        (method, route.path or ""): stated(getattr(route, "dependant", None))
        for route in iter_route_contexts(app.routes)
        for method in (getattr(route, "methods", None) or {"GET"})
    }


def stated(dependant: Any) -> Scope | None:
    """The strongest scope that a route asks for, with those of its routers."""
    calls = [dependency.call for dependency in dependant.dependencies] if dependant else []
    scopes = [call.scope for call in calls if isinstance(call, Requires)]
    return max(scopes, key=list(Scope).index, default=None)


def guarded(app: FastAPI) -> dict[tuple[str, str], Scope | None]:
    return {route: scope for route, scope in scopes_of(app).items() if route[1] not in OPEN}


def a_path(template: str, user_id: str) -> str:
    """A path of that form, for that user."""
    return re.sub(r"\{[^}]+\}", "X", template.replace("{user_id}", user_id))


def test_every_route_states_its_scope(gateway: FastAPI) -> None:
    """No route is open by accident: each states the scope it takes, or is among the open ones."""
    routes = scopes_of(gateway)

    assert [route for route, scope in guarded(gateway).items() if scope is None] == []
    assert {path for _, path in routes} >= set(OPEN)
    assert ("PUT", "/kalshi/users/{user_id}/credentials") in guarded(gateway)


async def test_no_route_opens_without_a_token(gateway: FastAPI, asking: httpx.AsyncClient) -> None:
    """Whatever is not open is 401 for who shows no token."""
    wrong = {
        (method, path): answer.status_code
        for method, path in guarded(gateway)
        if (answer := await asking.request(method, a_path(path, "ada"))).status_code != 401
    }

    assert wrong == {}


async def test_no_route_opens_with_too_little(
    gateway: FastAPI, asking: httpx.AsyncClient, database: Database
) -> None:
    """A token that may only read opens no route that takes more, and an admin's does not trade."""
    _, reader = await a_token(database, "read", name="reader")
    _, boss = await a_token(database, "admin", name="boss")
    opens = {Scope.READ: set(Scope), Scope.TRADE: {Scope.TRADE}, Scope.ADMIN: {Scope.ADMIN}}

    wrong = []
    for (method, path), scope in guarded(gateway).items():
        for secret, held in ((reader, Scope.READ), (boss, Scope.ADMIN)):
            if scope is not None and held not in opens[scope]:
                answer = await asking.request(method, a_path(path, "ada"), headers=bearer(secret))
                if answer.status_code != 403 or answer.json()["code"] != "scope_missing":
                    wrong.append((method, path, held, answer.status_code))

    assert wrong == []


async def test_no_route_opens_for_another_user(
    gateway: FastAPI, asking: httpx.AsyncClient, database: Database
) -> None:
    """Wherever a path names a user, another's token is 403, and nothing is said of that user."""
    _, secret = await a_token(database, "read", "trade", name="ada", user_id="ada")
    _, _ = await a_token(database, "read", name="bob", user_id="bob")
    users = [route for route in guarded(gateway) if "{user_id}" in route[1]]

    wrong, told = [], set()
    for method, path in users:
        for other in ("bob", "nobody", "ADA", "ada%20", "ada%2F..", "%61da2"):
            answer = await asking.request(method, a_path(path, other), headers=bearer(secret))
            if answer.status_code not in (403, 404):
                wrong.append((method, path, other, answer.status_code))
            if "%" not in other:
                told.add((answer.status_code, answer.json()["code"], answer.json()["detail"]))

    assert users
    assert wrong == []
    assert told == {(403, "wrong_user", "This token speaks for another user.")}


async def test_no_browser_is_let_in_unasked(asking: httpx.AsyncClient) -> None:
    """By default no page of another origin may read an answer, or send a token."""
    page = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}

    answer = await asking.get("/healthz", headers=page)
    preflight = await asking.options("/kalshi/markets", headers=page)

    assert preflight.status_code >= 400
    for response in (answer, preflight):
        assert not any(name.startswith("access-control-") for name in response.headers)


def test_a_route_without_scope_is_noticed() -> None:
    """The test above can fail."""
    app = FastAPI()
    app.include_router(read)

    @app.get("/kalshi/open")
    async def forgotten() -> None: ...

    routes = scopes_of(app)

    assert routes["GET", "/kalshi/whoami"] is Scope.READ
    assert routes["GET", "/kalshi/open"] is None
