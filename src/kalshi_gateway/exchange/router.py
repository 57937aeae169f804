"""GET /kalshi/exchange and /kalshi/status: how the exchange and this gateway are."""

from fastapi import APIRouter, Response

from kalshi_gateway import answers
from kalshi_gateway.dependencies import CatalogueProgress, Exchange, Terms, Upstream, requires
from kalshi_gateway.directives import RESPONSES

from .exchange import ExchangeDetail
from .status import GatewayStatus, gateway_status

router = APIRouter(prefix="/kalshi", tags=["Exchange"], dependencies=[requires("read")])


@router.get("/exchange", response_model=ExchangeDetail, responses=RESPONSES)
async def read_exchange(terms: Terms, watch: Exchange) -> Response:
    """Whether the exchange is open, shard by shard, its week, and when it pauses next."""
    return answers.kept(*await watch.exchange(terms))


@router.get("/status", response_model=GatewayStatus)
async def read_status(kalshi: Upstream, progress: CatalogueProgress) -> Response:
    """How far the catalogue is, what is left of the exchange's budget, and what looked odd."""
    walks, complete = await progress.walks(), await progress.is_complete()
    return answers.made(gateway_status(kalshi, walks, complete=complete))
