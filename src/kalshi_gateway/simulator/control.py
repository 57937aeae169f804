"""A door for whoever runs the simulator: faults, counters and its desk, from loopback only."""

import ipaddress
from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from . import refusals, wire
from .desk_routes import Action, desk_actions
from .exchange import Exchange
from .faults import Fault

PREFIX = "/_simulator"


def control_routes(exchange: Exchange) -> list[Route]:
    """The routes of the control door."""

    async def faults(request: Request) -> Response:
        if not _ours(request):
            return Response(status_code=403)
        if request.method == "POST":
            try:
                exchange.faults.add(msgspec.json.decode(await request.body(), type=Fault))
            except msgspec.DecodeError as error:
                return _json({"error": str(error)}, 400)
        elif request.method == "DELETE":
            exchange.faults.clear()
        return _json({"faults": exchange.faults.active})

    async def counters(request: Request) -> Response:
        if not _ours(request):
            return Response(status_code=403)
        return _json(exchange.counters.describe())

    return [
        Route(f"{PREFIX}/faults", faults, methods=["GET", "POST", "DELETE"]),
        Route(f"{PREFIX}/counters", counters, methods=["GET"]),
        *(
            Route(PREFIX + path, _guarded(action), methods=[method])
            for (method, path), action in desk_actions(exchange).items()
        ),
    ]


def _guarded(action: Action) -> Callable[[Request], Awaitable[Response]]:
    """An action of the desk, for callers of ours alone; it refuses in the exchange's words."""

    async def answered(request: Request) -> Response:
        if not _ours(request):
            return Response(status_code=403)
        try:
            return _json(await action(request))
        except refusals.Refused as refused:
            return Response(refused.body, refused.status, media_type="application/json")
        except ValueError as error:  # a body that cannot be read, too
            return _json({"error": str(error)}, 400)

    return answered


def _ours(request: Request) -> bool:
    """From this machine, and not by a page open in a browser on it."""
    if request.client is None or "origin" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _json(body: object, status: int = 200) -> Response:
    return Response(wire.encode(body), status, media_type="application/json")
