"""Requests made up from the API's own description, and what may be said to them."""

import os
from collections.abc import Iterator
from typing import Any, TypeAlias

import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode, Response
from schemathesis.generation.meta import CoveragePhaseData
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
)

from kalshi_gateway import documents
from kalshi_gateway.app import create_app
from kalshi_gateway.settings import Settings

from .served import Gateway

#: How many requests are made up of each kind: few in the suite, more in `make fuzz`.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "5"))

#: What may be answered while everything works.
PLAIN = frozenset({200, 204, 304, 400, 404, 405, 414, 422})
#: The exchange may fail in these words; never is anything our own fault.
AWAY = frozenset({502, 503, 504})

#: Read as Unix seconds, too, which a plain type cannot say.
TIMES = frozenset({"start", "end", "closes_before", "closes_after"})
#: What no schema says of them: which of two is the earlier, what is a key, or a time zone.
BEYOND_SCHEMA = frozenset(
    {
        *(f"/query/{name}" for name in ("start", "end", "cursor", "timezone")),
        *(f"/query/{name}" for name in ("min_price", "max_price", "min_volume")),
        "/body",
    }
)

Case: TypeAlias = schemathesis.Case[Any]
Operation: TypeAlias = APIOperation[Any, Any, Any, Any]


def _api() -> Any:
    """The description of the application, as the tool reads it."""
    app = create_app(Settings.model_construct(), database_url="postgresql://localhost")
    config = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})
    return schemathesis.openapi.from_dict(documents.description(app), config=config)


API = _api()
OPERATIONS: list[Operation] = [found.ok() for found in API.get_all_operations()]

few = settings(
    max_examples=EXAMPLES,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def edges(operation: Operation) -> Iterator[Case]:
    """Requests at and just beyond the bounds of each parameter, and by other methods."""
    cases: Iterator[Case] = API.iter_coverage_cases(
        operation,
        generation_modes=list(GenerationMode),
        generation_config=API.config.generation,
    )
    return cases


def anything(operation: Operation, gateway: Gateway) -> SearchStrategy[Case]:
    """Requests as described, of names that exist and that do not, and requests not as described."""
    made = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if names := gateway.named(operation.path):
        made = made | operation.as_strategy(path_parameters=names)
    if operation.query or operation.headers or operation.body or operation.path_parameters:
        made = made | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    return made


def sensible(operation: Operation, gateway: Gateway) -> SearchStrategy[Case]:
    """Requests as described, of names that exist."""
    return operation.as_strategy(path_parameters=gateway.named(operation.path) or None)


def ask(case: Case, gateway: Gateway, statuses: frozenset[int] = PLAIN) -> Response:
    """The answer, once it was found to be one that is described."""
    shown = {"Authorization": f"Bearer {gateway.secret}"}
    response = case.call(base_url=gateway.url, headers=shown)
    said = f"{response.request.method} {response.request.url}: {response.text[:500]}"
    assert response.status_code in statuses, f"{response.status_code} to {said}"
    checks = [content_type_conformance, response_headers_conformance, response_schema_conformance]
    if response.status_code < 500:
        checks.append(unsupported_method)
        # That a URL is too long is an answer to whatever is in it, which the tool does not know.
        if response.status_code != 414 and not _mutated(case) <= TIMES:
            checks.append(negative_data_rejection)
    case.validate_response(response, checks=checks, headers=shown)
    if response.status_code == 422 and _is_valid(case):
        pointers = {error["pointer"] for error in response.json()["errors"]}
        assert pointers <= BEYOND_SCHEMA, f"refused, though as described: {said}"
    return response


def _is_valid(case: Case) -> bool:
    return case.meta is not None and case.meta.generation.mode.is_positive


def _mutated(case: Case) -> set[str]:
    """The parameters that are not as described."""
    if case.meta is None or _is_valid(case):
        return set()
    data = case.meta.phase.data
    names = {mutation.parameter for mutation in getattr(data, "mutations", ())}
    if isinstance(data, CoveragePhaseData):
        names.add(data.parameter)
    return {name for name in names if name}
