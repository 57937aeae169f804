"""What a handler may ask for, named by the part it plays."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import structlog
from fastapi import Depends, Header, Query
from fastapi.dependencies.models import Dependant
from fastapi.openapi.models import HTTPBearer
from fastapi.params import Depends as Dependency
from fastapi.security.base import SecurityBase
from pydantic import BaseModel
from starlette.requests import HTTPConnection

from . import auth, db, directives, settings
from .accounts.known import Accounts
from .accounts.profit import Profits
from .accounts.refresh import Refresher
from .answers import Asked
from .audit.entry import Author
from .credentials.keeping import Keeper
from .credentials.vault import Vault
from .doors.exchange import Guest
from .doors.reads import Reads
from .doors.writes import Writes
from .errors import FieldError, Unprocessable
from .exchange.exchange import ExchangeWatch
from .kalshi.client import Kalshi
from .keys.signature import Flaw
from .keys.verifier import Proof, Verifier
from .markets.lookup import Lookup
from .markets.standing import Progress
from .markets.tiers import Tiers
from .metrics import Metrics as AppMetrics
from .readiness import Readiness as AppReadiness
from .tokens.token import Scope


@dataclass(frozen=True)
class Resources:
    """What one running application shares; `app.py` opens and closes it."""

    settings: settings.Settings
    database: db.Database
    metrics: AppMetrics
    readiness: AppReadiness
    gatekeeper: auth.Gatekeeper | None  # none: GATEWAY_AUTH=off
    verifier: Verifier
    kalshi: Kalshi
    progress: Progress
    lookup: Lookup
    tiers: Tiers
    exchange: ExchangeWatch
    vault: Vault
    keeper: Keeper
    accounts: Accounts
    refresher: Refresher
    profits: Profits
    reads: Reads
    writes: Writes


def _resources(connection: HTTPConnection) -> Resources:
    resources: Resources = connection.app.state.resources
    return resources


async def _database(connection: HTTPConnection) -> db.Database:
    return _resources(connection).database


async def _config(connection: HTTPConnection) -> settings.Settings:
    return _resources(connection).settings


async def _metrics(connection: HTTPConnection) -> AppMetrics:
    return _resources(connection).metrics


async def _readiness(connection: HTTPConnection) -> AppReadiness:
    return _resources(connection).readiness


async def _kalshi(connection: HTTPConnection) -> Kalshi:
    return _resources(connection).kalshi


async def _progress(connection: HTTPConnection) -> Progress:
    return _resources(connection).progress


async def _lookup(connection: HTTPConnection) -> Lookup:
    return _resources(connection).lookup


async def _tiers(connection: HTTPConnection) -> Tiers:
    return _resources(connection).tiers


async def _exchange(connection: HTTPConnection) -> ExchangeWatch:
    return _resources(connection).exchange


async def _vault(connection: HTTPConnection) -> Vault:
    return _resources(connection).vault


async def _keeper(connection: HTTPConnection) -> Keeper:
    return _resources(connection).keeper


async def _accounts(connection: HTTPConnection) -> Accounts:
    return _resources(connection).accounts


async def _profits(connection: HTTPConnection) -> Profits:
    return _resources(connection).profits


async def _reads(connection: HTTPConnection) -> Reads:
    return _resources(connection).reads


async def _takes_gzip(connection: HTTPConnection) -> bool:
    return Asked.of(connection.scope).zipped


async def _terms(
    connection: HTTPConnection,
    max_age: Annotated[
        int | None,
        Query(
            ge=0,
            le=directives.LONGEST_SECONDS,
            description="Seconds: what is older is asked of the exchange anew.",
        ),
    ] = None,
    refresh: Annotated[
        bool, Query(description="The exchange is asked anew, however young what is known.")
    ] = False,
    cache_control: Annotated[
        str | None,
        Header(
            alias="Cache-Control",
            description="no-cache, max-age=N, only-if-cached (RFC 9111); others are ignored.",
            examples=["max-age=30"],
        ),
    ] = None,
    if_none_match: Annotated[
        str | None,
        Header(
            alias="If-None-Match",
            description="The `ETag` that you have: 304 while nothing but the age has changed.",
        ),
    ] = None,
) -> directives.Terms:
    # Headers are named above for the description; read here it is whole, in all its lines.
    header = Asked.of(connection.scope).directives
    terms = directives.Terms.said(header, max_age, anew=refresh)
    connection.scope[directives.TERMS] = terms
    return terms


class Bearer(SecurityBase):
    """Who is calling, by their token; known to OpenAPI as the scheme `token`."""

    def __init__(self) -> None:
        self.model = HTTPBearer(description="A gateway token: `kgw_…`.")
        self.scheme_name = "token"

    async def __call__(self, connection: HTTPConnection) -> auth.Caller:
        gatekeeper = _resources(connection).gatekeeper
        if gatekeeper is None:
            return auth.LOCAL
        return await gatekeeper.caller(connection.headers.get("authorization"))


async def _visitor(connection: HTTPConnection) -> auth.Caller | None:
    """Who is calling, if they show a token at all; one that does not hold is refused."""
    gatekeeper = _resources(connection).gatekeeper
    if gatekeeper is None:
        return auth.LOCAL
    shown = connection.headers.get("authorization")
    return None if shown is None else await gatekeeper.caller(shown)


Visitor = Annotated[auth.Caller | None, Depends(_visitor)]


async def _speaker(connection: HTTPConnection, visitor: Visitor) -> str | None:
    """Whose things are meant where no path names a user: the token's user, or the default one."""
    if visitor is auth.LOCAL:
        return _resources(connection).settings.kalshi_user_id
    return None if visitor is None else visitor.user_id


class Door(NamedTuple):
    """What stands behind the exchange's own API, and who comes to it."""

    reads: Reads
    writes: Writes
    guest: Guest | Flaw


async def door(connection: HTTPConnection) -> Door:
    """Who calls the exchange's own API: by token, by a virtual key's signature, or unnamed."""
    resources = _resources(connection)
    return Door(resources.reads, resources.writes, await _guest(resources, connection))


async def _guest(resources: Resources, connection: HTTPConnection) -> Guest | Flaw:
    gatekeeper = resources.gatekeeper
    shown = connection.headers.get("authorization")
    if gatekeeper is not None and shown is not None:
        caller = await gatekeeper.caller(shown)
        return Guest(caller, caller.user_id)
    verdict = await resources.verifier.verdict(connection.scope)
    if isinstance(verdict, Proof):
        return Guest(verdict.caller, verdict.caller.user_id, verdict.signature_sha256)
    if gatekeeper is None and verdict in (None, Flaw.KEY_UNKNOWN):
        # Without tokens everybody on this machine may call, whatever they sign with.
        return Guest(auth.LOCAL, resources.settings.kalshi_user_id)
    return verdict or Guest(None, None)


AccountProfits = Annotated[Profits, Depends(_profits)]
AccountReader = Annotated[Accounts, Depends(_accounts)]
Caller = Annotated[auth.Caller, Depends(Bearer())]
CatalogueProgress = Annotated[Progress, Depends(_progress)]
Config = Annotated[settings.Settings, Depends(_config)]
Database = Annotated[db.Database, Depends(_database)]
Exchange = Annotated[ExchangeWatch, Depends(_exchange)]
ExchangeReads = Annotated[Reads, Depends(_reads)]
KeyKeeper = Annotated[Keeper, Depends(_keeper)]
KeyVault = Annotated[Vault, Depends(_vault)]
MarketLookup = Annotated[Lookup, Depends(_lookup)]
MarketTiers = Annotated[Tiers, Depends(_tiers)]
Metrics = Annotated[AppMetrics, Depends(_metrics)]
Readiness = Annotated[AppReadiness, Depends(_readiness)]
Speaker = Annotated[str | None, Depends(_speaker)]
TakesGzip = Annotated[bool, Depends(_takes_gzip)]
Terms = Annotated[directives.Terms, Depends(_terms)]
Upstream = Annotated[Kalshi, Depends(_kalshi)]


def written_by(caller: auth.Caller) -> Author:
    """For the audit log: this caller, in the request under way."""
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    return Author(caller.name, caller.token_id, request_id)


async def _author(caller: Caller) -> Author:
    return written_by(caller)


#: For the audit log: who writes, in which request.
WrittenBy = Annotated[Author, Depends(_author)]


#: A parameter's name that may be repeated in a problem.
SAYABLE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


async def _only_known(connection: HTTPConnection, _: Caller) -> None:
    """Refuse parameters that the route has not, lest a misspelt one be none."""
    dependant: Dependant = connection.scope["route"].dependant
    if not connection.scope["query_string"] or _reads_all(dependant):
        return
    unknown = connection.query_params.keys() - frozenset(_query_names(dependant))
    if unknown:
        places = {f"/query/{name}" if SAYABLE.fullmatch(name) else "/query" for name in unknown}
        raise Unprocessable(
            "The query has a parameter that does not exist here.",
            errors=tuple(FieldError(place, "does not exist here") for place in sorted(places)),
        )


def _reads_all(dependant: Dependant) -> bool:
    """Whether a model takes the query as a whole, and tells of all its mistakes together."""
    kinds = [field.field_info.annotation for field in dependant.query_params]
    return any(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in kinds)


def _query_names(dependant: Dependant) -> Iterator[str]:
    """The query parameters of a handler and of all that it depends on."""
    for field in dependant.query_params:
        yield field.alias
    for inner in dependant.dependencies:
        yield from _query_names(inner)


#: For `include_router`; who has no token hears of that first.
only_known_parameters: Dependency = Depends(_only_known)


@dataclass(frozen=True)
class Requires:
    """Lets in who has the scope, and for whom the path names, if it names a `user_id`."""

    scope: Scope

    async def __call__(self, connection: HTTPConnection, caller: Caller) -> None:
        caller.require(self.scope)
        user_id = connection.path_params.get("user_id")
        if user_id is not None:
            caller.speak_for(user_id)


def requires(scope: Scope | str) -> Dependency:
    """For a router's `dependencies`: `APIRouter(dependencies=[requires("read")])`."""
    dependency: Dependency = Depends(Requires(Scope(scope)))
    return dependency
