"""/healthz, /readyz, /metrics."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from . import __version__
from .dependencies import Bearer, Metrics, Readiness
from .metrics import CONTENT_TYPE
from .problems import JSON
from .readiness import Report
from .settings import is_loopback
from .tokens.token import Scope

router = APIRouter(tags=["operation"])

ALIVE = f'{{"status":"ok","version":"{__version__}"}}'.encode()

#: What a proxy adds: then the loopback address is the proxy's, not the reader's.
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")

_bearer = Bearer()


@router.get("/healthz", response_model=dict[str, str])
async def read_health() -> Response:
    """Whether the process lives; touches nothing."""
    return Response(ALIVE, media_type=JSON)


@router.get("/readyz", response_model=Report, responses={503: {"model": Report}})
async def read_readiness(readiness: Readiness) -> Response:
    """Whether requests can be answered: from the database, or from memory. 503 if neither."""
    report = await readiness.report()
    return Response(report.model_dump_json(), 200 if report.ready else 503, media_type=JSON)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def read_metrics(request: Request, metrics: Metrics) -> Response:
    """Prometheus metrics: open to this machine itself, otherwise by a token with `read`."""
    if not _from_this_machine(request):
        caller = await _bearer(request)
        caller.require(Scope.READ)
    return Response(metrics.exposition(), media_type=CONTENT_TYPE)


def _from_this_machine(request: Request) -> bool:
    return (
        request.client is not None
        and is_loopback(request.client.host)
        and is_loopback(request.url.hostname or "")
        and not any(name in request.headers for name in FORWARDED)
    )
