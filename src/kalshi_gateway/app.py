"""Puts the service together; the only place that builds things."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import cache, partial
from typing import Any

import httpx
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.staticfiles import StaticFiles

from . import __version__, auth, documents, health, upstream
from .accounts import ages, due, pnl_router
from .accounts import router as accounts
from .accounts.ages import AccountAges
from .accounts.clients import Lines
from .accounts.due import DueAccounts, Watched
from .accounts.known import Accounts
from .accounts.profit import Profits
from .accounts.refresh import Refresher
from .auth import Gatekeeper
from .background import beside, every
from .credentials import router as credentials
from .credentials.checks import Doctor
from .credentials.keeping import Keeper
from .credentials.ring import ring_of
from .credentials.vault import Vault
from .db import Database
from .dependencies import Resources, only_known_parameters
from .doors import dashboard_router as dashboard_door
from .doors import exchange_router as exchange_door
from .doors.reads import Reads
from .doors.writes import Writes
from .exchange import router as exchange_router
from .exchange.exchange import ExchangeWatch
from .front import Front
from .hot import Hot
from .kalshi.client import http_client
from .keys import keeping as keys
from .keys.verifier import Verifier
from .limits import Limits, LocalOnly
from .markets import families_router as families
from .markets import router as markets
from .markets import suggestions_router as suggestions
from .markets.lookup import Lookup
from .markets.standing import Progress
from .markets.sync import Sync
from .markets.tiers import Tiers
from .metrics import Metrics
from .news import Listener, Roll, Several
from .rates import Rates
from .readiness import Readiness
from .requests import Bounded, Entrance
from .settings import Settings, SettingsError, is_loopback

CORS_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
CORS_REQUEST_HEADERS = (
    "Authorization",
    "Cache-Control",
    "Idempotency-Key",
    "If-None-Match",
    "X-Request-ID",
)
CORS_ANSWER_HEADERS = (
    "Age",
    "Cache-Status",
    "ETag",
    "Idempotency-Replayed",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Cache",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "X-Request-ID",
)


NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}


def create_app(
    settings: Settings,
    *,
    database_url: str,
    exchange: httpx.AsyncBaseTransport | None = None,
    bind_host: str = "127.0.0.1",
) -> "Gateway":
    """The application, with nothing opened yet: its lifespan does that.

    `exchange` takes the place of the network on the way to Kalshi.
    """
    if settings.gateway_auth == "off" and not is_loopback(bind_host):
        raise SettingsError(
            [f"GATEWAY_AUTH: off is accepted only on loopback, and {bind_host} is not"]
        )
    metrics = Metrics()
    front = Front(metrics, Rates(settings.gateway_requests_per_second), _local_only(settings))
    app = Gateway(
        front,
        title=documents.TITLE,
        description=documents.DESCRIPTION,
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=operation_id,
        responses=documents.DEFAULT_RESPONSES,
        middleware=layers(settings, metrics, front),
        exception_handlers={HTTPException: rise, RequestValidationError: rise},
        lifespan=opened(settings, database_url, metrics, exchange, front),
        # Looking for a telemetry SDK at each request costs a tenth of a hot answer.
        telemetry=None if settings.gateway_opentelemetry else NO_TELEMETRY,
    )
    app.router.routes.extend(_routes())
    app.mount("/static", StaticFiles(directory=str(documents.STATIC)))
    return app


@cache
def _routes() -> Sequence[BaseRoute]:
    """What can be asked; the same for every application, and a tenth of a second's work to make."""
    router = APIRouter(
        generate_unique_id_function=operation_id, responses=documents.DEFAULT_RESPONSES
    )
    # Routers are asked in turn, and this one is asked most. What such doors do not know, they do
    # not mind.
    router.include_router(exchange_door.router)
    router.include_router(health.router)
    router.include_router(documents.router)
    for room in (
        markets,
        families,
        suggestions,
        exchange_router,
        credentials,
        accounts,
        pnl_router,
    ):
        router.include_router(room.router, dependencies=[only_known_parameters])
    router.include_router(dashboard_door.router)
    return router.routes


class Gateway(FastAPI):
    """The application, with what the server may answer without asking it."""

    def __init__(self, front: Front, **built: Any) -> None:
        super().__init__(**built)
        self.front = front


def layers(settings: Settings, metrics: Metrics, front: Front) -> list[Middleware]:
    """What a request passes before it is routed, outermost first."""
    origins = settings.cors_origins
    with_cors = partial(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=CORS_METHODS,
        allow_headers=CORS_REQUEST_HEADERS,
        expose_headers=CORS_ANSWER_HEADERS,
    )
    limits = Limits(
        body_bytes=settings.gateway_max_body_bytes,
        time=timedelta(seconds=settings.gateway_request_seconds),
    )
    entrance = Middleware(
        Entrance,
        metrics=metrics,
        rates=front.rates,
        local_only=_local_only(settings),
        with_cors=with_cors if origins else None,
        log_all=settings.gateway_log_level == "debug",
    )
    return [
        entrance,
        *([Middleware(with_cors)] if origins else []),
        Middleware(Hot, ready=front.ready, together=front.together),
        Middleware(Bounded, limits=limits),
    ]


def _local_only(settings: Settings) -> LocalOnly | None:
    if settings.gateway_auth != "off":
        return None
    return LocalOnly(frozenset(settings.cors_origins))


def opened(
    settings: Settings,
    database_url: str,
    metrics: Metrics,
    exchange: httpx.AsyncBaseTransport | None,
    front: Front,
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """The lifespan: opens what the application shares, closes it in reverse."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(Database.opened(database_url))
            gatekeeper = None
            verifier = front.rates.verifier = Verifier(database, hears=False)
            believers: dict[str, Gatekeeper | Verifier] = {"key": verifier}
            if settings.gateway_auth == "token":
                gatekeeper = front.rates.gatekeeper = Gatekeeper(database, hears=False)
                believers["token"] = gatekeeper
            for topic, believer in believers.items():
                stack.push_async_callback(believer.note_last_uses)
                noting = every(
                    auth.NOTE_USES_EVERY,
                    believer.note_uses,
                    f"{topic} uses",
                    failures=metrics.job_failures,
                )
                await stack.enter_async_context(beside(noting, f"{topic} uses"))
            http = await stack.enter_async_context(
                http_client(settings.kalshi_base_url, transport=exchange)
            )
            kalshi = upstream.kalshi(settings, http, metrics)
            progress = Progress(
                database,
                changes_every=settings.catalogue_refresh_every,
                prices_every=settings.price_refresh_every,
            )
            lookup = Lookup(database, kalshi, progress)
            vault = Vault(
                database,
                ring_of(settings),
                settings.kalshi_base_url,
                clock=kalshi.clock,
                own=upstream.own_key(settings),
            )
            lines = Lines(http, kalshi)
            stack.push_async_callback(lines.close)
            refresher = Refresher(
                database,
                vault,
                lines,
                kalshi,
                lookup,
                progress,
                Roll(database),
                settings.account_refresh_every,
            )
            await stack.enter_async_context(refresher.opened())
            watched = Watched(refresher)
            noting_watched = every(
                due.NOTE_WATCHED_EVERY,
                watched.note,
                "watched accounts",
                failures=metrics.job_failures,
            )
            await stack.enter_async_context(beside(noting_watched, "watched accounts"))
            reads = front.reads = Reads(kalshi, vault, lines)
            keeping = {"user": Several(front.ready, reads, vault), **believers}
            listener = Listener(database_url, keeping, silent=database.doubt)
            await stack.enter_async_context(beside(listener.run(), "news"))
            writes = Writes(
                database,
                vault,
                lines,
                reads,
                refresher,
                enabled=settings.kalshi_trading_enabled,
            )
            stack.push_async_callback(writes.settled)
            app.state.resources = Resources(
                settings=settings,
                database=database,
                metrics=metrics,
                readiness=Readiness(database, {"memory": partial(_is_hot, front, gatekeeper)}),
                gatekeeper=gatekeeper,
                verifier=verifier,
                kalshi=kalshi,
                progress=progress,
                lookup=lookup,
                tiers=Tiers(kalshi, lookup),
                exchange=ExchangeWatch(kalshi),
                vault=vault,
                keeper=Keeper(vault, Doctor(http, kalshi)),
                accounts=Accounts(
                    database, vault, refresher, watched, fresh_for=settings.account_fresh_for
                ),
                refresher=refresher,
                profits=Profits(database),
                reads=reads,
                writes=writes,
            )
            learning = every(
                upstream.TRY_AGAIN_EVERY,
                upstream.Learning(kalshi, signed=bool(settings.service_key)).learn,
                "budget",
                failures=metrics.job_failures,
                after=timedelta(0) if settings.gateway_jobs else upstream.REPLICAS_LEARN_AFTER,
            )
            await stack.enter_async_context(beside(learning, "budget"))
            if settings.gateway_jobs:
                forgetting = every(
                    keys.FORGET_EVERY,
                    partial(keys.forget_spent, database),
                    "spent signatures",
                    failures=metrics.job_failures,
                )
                await stack.enter_async_context(beside(forgetting, "spent signatures"))
                sync = Sync(
                    database_url,
                    kalshi,
                    changes_every=settings.catalogue_refresh_every,
                    prices_every=settings.price_refresh_every,
                )
                await stack.enter_async_context(beside(sync.run(), "catalogue"))
                accounts_due = DueAccounts(refresher, settings.kalshi_user_id)
                await stack.enter_async_context(beside(accounts_due.run(), "accounts"))
                own_user = None if settings.service_key is None else settings.kalshi_user_id
                account_ages = AccountAges(own_user)
                metrics.registry.register(account_ages)
                looking = every(
                    ages.LOOK_EVERY,
                    partial(account_ages.look, database),
                    "account ages",
                    failures=metrics.job_failures,
                )
                await stack.enter_async_context(beside(looking, "account ages"))
            yield

    return lifespan


def _is_hot(front: Front, gatekeeper: Gatekeeper | None) -> bool:
    """Whether answers lie in memory, and there is anybody who may have them."""
    return len(front.ready) > 0 and (gatekeeper is None or gatekeeper.trusts_any())


async def rise(_: Request, error: Exception) -> Response:
    """Leave every error to `Entrance`, which answers them all."""
    raise error


def operation_id(route: APIRoute) -> str:
    """The handler's name as generated clients spell it: `read_account` is `readAccount`."""
    first, *rest = route.name.split("_")
    return first + "".join(word.capitalize() for word in rest)
