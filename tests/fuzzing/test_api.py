"""Whatever is asked, however the exchange is: an answer that the description describes."""

from collections.abc import Callable, Iterator
from zlib import crc32

import httpx
import pytest
from hypothesis import given

from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.simulator.faults import Fault, Faults
from tests import postgres

from .asking import (
    API,
    AWAY,
    OPERATIONS,
    PLAIN,
    Case,
    Operation,
    anything,
    ask,
    edges,
    few,
    sensible,
)
from .served import Gateway, running

#: How the exchange fails; one that hangs is given up on after a while, so it hangs seldom.
FAILURES: list[Callable[[Faults], Fault]] = [
    lambda faults: faults.status(500),
    lambda faults: faults.status(429),
    lambda faults: faults.status(503),
    lambda faults: faults.html(),
    lambda faults: faults.html(200),
    lambda faults: faults.truncated(),
    lambda faults: faults.reset(),
    lambda faults: faults.empty(),
    lambda faults: faults.status(401),
    lambda faults: faults.status(200, body="[]"),
    lambda faults: faults.status(200, body='{"market": 7, "orderbook_fp": [], "trades": {}}'),
    lambda faults: faults.rows(retyped={"ticker": None, "event_ticker": 7, "status": []}),
]

# The gateway's thread draws its request ids while requests are being made up here.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")

every_operation = pytest.mark.parametrize(
    "operation", OPERATIONS, ids=lambda operation: operation.label
)
every_read = pytest.mark.parametrize(
    "operation",
    [operation for operation in OPERATIONS if operation.path.startswith("/kalshi")],
    ids=lambda operation: operation.label,
)


@pytest.fixture(scope="module")
def gateway(cluster: postgres.Cluster) -> Iterator[Gateway]:
    with running(cluster, Exchange.generated(20)) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def impatient_gateway(cluster: postgres.Cluster) -> Iterator[Gateway]:
    with running(cluster, Exchange.generated(20), request_seconds=0.4) as gateway:
        yield gateway


@pytest.fixture
def impatient(impatient_gateway: Gateway) -> Iterator[Gateway]:
    """It waits for no exchange that hangs; after each test the exchange is well again."""
    yield impatient_gateway
    impatient_gateway.exchange.faults.clear()
    impatient_gateway.exchange.faults.release()


@every_operation
def test_at_the_bounds(operation: Operation, gateway: Gateway) -> None:
    """Each parameter's least, longest and oddest values, and each other method, are answered."""
    asked = [ask(case, gateway) for case in edges(operation)]

    assert asked


@every_operation
def test_anything_is_answered(operation: Operation, gateway: Gateway) -> None:
    """What is as described is answered, what is not is refused, in the words of the description."""

    @few
    @given(case=anything(operation, gateway))
    def answered(case: Case) -> None:
        ask(case, gateway)

    answered()


@every_read
def test_while_the_exchange_fails(operation: Operation, impatient: Gateway) -> None:
    """However it fails: the last known answer, or a problem that says who failed."""
    faults = impatient.exchange.faults

    @few
    @given(case=sensible(operation, impatient))
    def answered(case: Case) -> None:
        faults.clear()
        # The same request meets the same failure, whenever it is repeated.
        FAILURES[crc32(repr(case.query).encode()) % len(FAILURES)](faults)
        ask(case, impatient, PLAIN | AWAY)

    answered()


@every_read
def test_every_failure(operation: Operation, impatient: Gateway) -> None:
    """Each operation has an answer to each way of failing, and says that it was not our own."""
    faults = impatient.exchange.faults
    case = operation.Case(path_parameters=impatient.named(operation.path), query={})

    for fail in FAILURES:
        faults.clear()
        fail(faults)

        response = ask(case, impatient, PLAIN | AWAY)

        if response.status_code in AWAY:
            # Asked again and again, it may have been given up on.
            assert response.json()["code"].startswith(("upstream", "timed_out"))


@every_read
def test_while_the_exchange_hangs(operation: Operation, impatient: Gateway) -> None:
    """Nobody waits for ever."""
    impatient.exchange.faults.hang()
    case = operation.Case(
        path_parameters=impatient.named(operation.path), query={"refresh": "true"}
    )

    ask(case, impatient, PLAIN | AWAY)


@every_read
def test_unknown_parameters_are_refused(operation: Operation, gateway: Gateway) -> None:
    """A misspelt parameter is never silently none, on any route."""
    response = httpx.request(
        operation.method.upper(),
        gateway.url + operation.path.format(**gateway.names),
        params={"colour": "red", "limit " + "x" * 80: "1"},
        headers={"Authorization": f"Bearer {gateway.secret}"},
        trust_env=False,
        timeout=60,
    )

    assert response.status_code == 422
    pointers = {error["pointer"] for error in response.json()["errors"]}
    assert "/query/colour" in pointers


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/openapi-sdk.json", "/healthz"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_documents(path: str, method: str, gateway: Gateway) -> None:
    """Pages and documents are there, and refuse what they do not answer as a problem."""
    response = httpx.request(method, gateway.url + path, trust_env=False, timeout=60)

    if method in ("GET", "HEAD"):
        assert response.status_code == 200
    else:
        assert response.status_code == 405
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["allow"] == "GET, HEAD"


def test_the_description_is_the_one_that_is_served(gateway: Gateway) -> None:
    """What all of this is held to is what clients are shown."""
    served = httpx.get(f"{gateway.url}/openapi.json", trust_env=False, timeout=60).json()

    assert served["paths"].keys() == API.raw_schema["paths"].keys()
    assert served["components"] == API.raw_schema["components"]
