"""The API description for code generators: what no generator may trip over, and what stays."""

import copy
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from typer.testing import CliRunner

from kalshi_gateway import documents, sdk
from kalshi_gateway.app import create_app
from kalshi_gateway.commands.cli import cli
from kalshi_gateway.kalshi.client import http_client
from kalshi_gateway.markets.sync import Sync
from kalshi_gateway.metrics import Metrics
from kalshi_gateway.settings import Settings
from kalshi_gateway.simulator.app import create_app as create_exchange
from kalshi_gateway.simulator.exchange import Exchange
from kalshi_gateway.upstream import kalshi

Schema = dict[str, Any]

PROBLEM = {"$ref": "#/components/schemas/Problem"}
KEYWORDS_OF_31 = {"anyOf", "const", "examples", "prefixItems", "$defs", "title"}
TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}


@pytest.fixture(scope="module")
def described() -> Schema:
    """The description as FastAPI makes it."""
    settings = Settings.model_construct()
    return documents.description(create_app(settings, database_url="postgresql://localhost"))


@pytest.fixture(scope="module")
def flat(described: Schema) -> Schema:
    return sdk.flattened(described)


# --- the rules


def test_every_schema_is_plain(flat: Schema) -> None:
    """No schema of the whole description has a shape of which generators lose something."""
    found = [offence for where, schema in schemas(flat) for offence in offences(where, schema)]

    assert flat["openapi"] == "3.0.3"
    assert len(list(schemas(flat))) > 300
    assert found == []


def test_rules_find_something(described: Schema) -> None:
    """The same rules do not hold for the description as it was."""
    found = {
        offence.rpartition(": ")[2]
        for where, schema in schemas(described)
        for offence in offences(where, schema)
    }

    assert found >= {"anyOf", "examples", "prefixItems", "title", "no type", "null"}


def test_nothing_is_lost(described: Schema, flat: Schema) -> None:
    """Each operation, parameter, answer, model and member is there, and as required as it was."""
    assert outline(flat) == outline(described)


def test_description_stays_as_it_is(described: Schema) -> None:
    """What is flattened is a copy."""
    before = copy.deepcopy(described)

    sdk.flattened(described)

    assert described == before


def test_one_model_of_errors(flat: Schema) -> None:
    """Whatever goes wrong is a problem; only readiness says no in words of its own."""
    for name, operation in operations(flat):
        answers = dict(operation["responses"])
        content = answers.pop("default")["content"]
        assert content == {"application/problem+json": {"schema": PROBLEM}}
        others = [said for status, said in answers.items() if not status.startswith(("2", "3"))]
        problems = [said["content"] for said in others if said["content"] == content]
        assert len(others) - len(problems) == (1 if name == "readReadiness" else 0)


def test_answers_leave_no_list_out(flat: Schema) -> None:
    """An empty list is sent as one: no member of an answer falls back to a default value."""
    bodies = [
        operation["requestBody"] for _, operation in operations(flat) if "requestBody" in operation
    ]
    asked = {
        media["schema"]["$ref"].rpartition("/")[2]
        for body in bodies
        for media in body["content"].values()
    }

    found = [
        f"{name}.{member}"
        for name, model in flat["components"]["schemas"].items()
        if name not in asked
        for member, schema in model.get("properties", {}).items()
        if "default" in schema
    ]

    assert found == []


# --- shapes


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (
            {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None, "title": "X"},
            {"type": "integer", "nullable": True},
        ),
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        (
            {"anyOf": [{"$ref": "#/components/schemas/Y"}, {"type": "null"}], "description": "y"},
            {
                "allOf": [{"$ref": "#/components/schemas/Y"}],
                "nullable": True,
                "description": "y",
            },
        ),
        (
            {"anyOf": [{"type": "number"}, {"type": "string", "pattern": "^1$"}]},
            {"type": "number"},
        ),
        ({"const": "yes", "type": "string"}, {"enum": ["yes"], "type": "string"}),
        ({"type": "string", "examples": ["A", "B"]}, {"type": "string", "example": "A"}),
        (
            {"type": "number", "exclusiveMinimum": 0},
            {"type": "number", "minimum": 0, "exclusiveMinimum": True},
        ),
        (
            {
                "type": "array",
                "prefixItems": [
                    {"type": "number", "description": "Dollars."},
                    {"type": "number", "description": "Contracts."},
                ],
                "minItems": 2,
                "maxItems": 2,
            },
            {
                "type": "array",
                "items": {"type": "number"},
                "minItems": 2,
                "maxItems": 2,
                "description": "1. Dollars. 2. Contracts.",
            },
        ),
        (
            {"type": "object", "additionalProperties": {"type": ["integer", "null"]}},
            {"type": "object", "additionalProperties": {"type": "integer", "nullable": True}},
        ),
    ],
)
def test_shapes(shape: Schema, expected: Schema) -> None:
    """What a member's shape becomes."""
    model = {"type": "object", "properties": {"it": shape}}

    flat = sdk.flattened(a_description(X=model))

    assert flat["components"]["schemas"]["X"]["properties"]["it"] == expected


@pytest.mark.parametrize(
    "shape",
    [
        {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        {"oneOf": [{"$ref": "#/components/schemas/Y"}, {"$ref": "#/components/schemas/Z"}]},
        {"anyOf": [{"type": "null"}]},
        {"prefixItems": [{"type": "number"}, {"type": "string"}]},
        {"prefixItems": [{"$ref": "#/components/schemas/Y"}]},
        {"type": "object", "patternProperties": {"^x": {"type": "string"}}},
    ],
)
def test_shapes_that_would_be_lost(shape: Schema) -> None:
    """A shape that has no plain equivalent is refused by name, not bent."""
    model = {"type": "object", "properties": {"it": shape}}

    with pytest.raises(sdk.CannotBeFlat, match=r"^XIt: "):
        sdk.flattened(a_description(X=model))


def test_objects_get_names() -> None:
    """An object within another becomes a model, named after where it stood."""
    strike = {"type": "object", "properties": {"floor": {"type": "number"}}}
    model = {
        "type": "object",
        "properties": {
            "strike": {"anyOf": [strike, {"type": "null"}]},
            "price_steps": {"type": "array", "items": strike},
        },
    }

    models = sdk.flattened(a_description(Market=model))["components"]["schemas"]

    assert models["MarketStrike"] == models["MarketPriceStepsItem"] == strike
    assert models["Market"]["properties"] == {
        "strike": {"allOf": [{"$ref": "#/components/schemas/MarketStrike"}], "nullable": True},
        "price_steps": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/MarketPriceStepsItem"},
        },
    }


def test_kinds_get_names() -> None:
    """Kinds told apart by a member are a model of their own; generators invent a name else."""
    kinds = {
        "oneOf": [{"$ref": "#/components/schemas/A"}, {"$ref": "#/components/schemas/B"}],
        "discriminator": {"propertyName": "kind"},
    }

    models = sdk.flattened(a_description(X={"type": "object", "properties": {"it": kinds}}))

    assert models["components"]["schemas"]["XIt"] == kinds


def test_names_are_not_taken_twice() -> None:
    """A model that would take another's name is refused."""
    inner = {"type": "object", "properties": {"a": {"type": "string"}}}
    outer = {"type": "object", "properties": {"it": inner}}

    with pytest.raises(sdk.CannotBeFlat, match=r"^XIt: two models"):
        sdk.flattened(a_description(X=outer, XIt=inner))


def test_what_is_asked_and_sent() -> None:
    """Parameters are left out rather than null; bodies get a model named after the operation."""
    body = {"type": "object", "properties": {"count": {"type": "integer"}}}
    operation = {
        "operationId": "placeOrder",
        "parameters": [
            {
                "name": "q",
                "in": "query",
                "examples": ["a"],
                "description": "Words.",
                "schema": {
                    "anyOf": [{"type": "string"}, {"type": "null"}],
                    "description": "Words.",
                },
            }
        ],
        "requestBody": {"content": {"application/json": {"schema": body}}},
        "responses": {"204": {"description": "Done."}},
    }

    flat = sdk.flattened({**a_description(), "paths": {"/orders": {"post": operation}}})

    made = flat["paths"]["/orders"]["post"]
    assert made["parameters"] == [
        {"name": "q", "in": "query", "description": "Words.", "schema": {"type": "string"}}
    ]
    assert made["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/PlaceOrderBody"
    }
    assert made["responses"] == {"204": {"description": "Done."}}
    assert flat["components"]["schemas"] == {"PlaceOrderBody": body}


# --- where it is found


async def test_served(client: httpx.AsyncClient, app: FastAPI) -> None:
    """The gateway serves it."""
    response = await client.get("/openapi-sdk.json")

    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == sdk.flattened(documents.description(app))


def test_printed(flat: Schema) -> None:
    """The command line prints it."""
    result = CliRunner().invoke(cli, ["openapi", "--sdk"])

    assert result.exit_code == 0
    assert json.loads(result.output) == flat


# --- answers


@pytest.fixture
def settings(settings: Settings, exchange: Exchange) -> Settings:
    """With a key of the gateway's own, so that there is a user to be asked about."""
    key_id, pem = exchange.keys.issue("ed25519")
    own = {"kalshi_api_key_id": key_id, "kalshi_api_secret": SecretStr(pem)}
    return settings.model_copy(update=own)


@pytest.fixture
async def walked(app: FastAPI, database_url: str, exchange: Exchange, settings: Settings) -> None:
    """The gateway's catalogue is that of the simulated exchange."""
    exchange.limits.on = False
    transport = httpx.ASGITransport(create_exchange(exchange))
    minute = timedelta(minutes=1)
    async with http_client(settings.kalshi_base_url, transport=transport) as http:
        line = kalshi(settings, http, Metrics())
        walks = await Sync(database_url, line, changes_every=minute, prices_every=minute).once()
    assert all(walk.complete for walk in walks)


async def test_answers_are_as_described(
    walked: None, client: httpx.AsyncClient, flat: Schema
) -> None:
    """Every operation's answer fits the flattened schema: no key more, none less."""
    busiest = await client.get("/kalshi/markets?sort=volume_24h&limit=1")
    market = busiest.json()["markets"][0]
    words = {"q": market["title"][:20]}
    empty = set()

    for path, operation in reads(flat):
        asked = [one["name"] for one in operation.get("parameters", ()) if one.get("required")]
        query = {name: value for name, value in words.items() if name in asked}
        response = await client.get(path.format(user_id="default", **market), params=query)
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert response.status_code == 200, path
        assert list(differences(response.json(), schema, flat, path)) == []
        empty |= {key for key, value in response.json().items() if value == []}

    assert empty.isdisjoint({"markets", "events", "series", "categories", "trades"})


async def test_problems_are_as_described(client: httpx.AsyncClient, flat: Schema) -> None:
    """So does what goes wrong."""
    unknown = await client.get("/kalshi/markets/NO-SUCH")
    invalid = await client.get("/kalshi/markets?limit=0")

    assert (unknown.status_code, invalid.status_code) == (404, 422)
    for response in (unknown, invalid):
        assert list(differences(response.json(), PROBLEM, flat, "problem")) == []


def test_differences_are_found(flat: Schema) -> None:
    """The comparison that the two tests above stand on can fail."""
    step = {"$ref": "#/components/schemas/PriceStep"}
    levels = flat["components"]["schemas"]["BookDetail"]["properties"]["bids"]

    assert list(differences({"start": None, "end": 1, "step": 0.01}, step, flat, "$")) == []
    assert list(differences({"start": "0", "end": 1, "sep": 0}, step, flat, "$")) == [
        "$.step: missing",
        "$.sep: not described",
        "$.start: '0' is no number",
    ]
    assert list(differences([[0.5, 3], [0.4]], levels, flat, "$")) == ["$[1]: 1 items"]
    assert list(differences([None], levels, flat, "$")) == ["$[0]: None is no array"]


def a_description(**models: Schema) -> Schema:
    return {"openapi": "3.1.0", "paths": {}, "components": {"schemas": models}}


def schemas(description: Schema) -> Iterator[tuple[str, Schema]]:
    """Every schema anywhere in a description, and where it stands."""
    for name, model in description["components"]["schemas"].items():
        yield from within(name, model)
    for name, operation in operations(description):
        for parameter in operation.get("parameters", ()):
            yield from within(f"{name}({parameter['name']})", parameter["schema"])
        for body in (*operation["responses"].values(), operation.get("requestBody", {})):
            for media in body.get("content", {}).values():
                yield from within(f"{name}()", media["schema"])


def within(where: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    yield where, schema
    for key, member in schema.get("properties", {}).items():
        yield from within(f"{where}.{key}", member)
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from within(f"{where}.{keyword}", schema[keyword])
    for keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for number, kind in enumerate(schema.get(keyword, ())):
            yield from within(f"{where}.{keyword}{number}", kind)


def offences(where: str, schema: Schema) -> Iterator[str]:
    """What generators would make nothing good of."""
    yield from (f"{where}: {keyword}" for keyword in KEYWORDS_OF_31 & schema.keys())
    if "$ref" in schema:
        if len(schema) > 1:
            yield f"{where}: words beside a reference"
    elif "allOf" in schema:
        if schema.get("nullable") is not True or [*schema["allOf"][0]] != ["$ref"]:
            yield f"{where}: allOf that is not a reference or null"
    elif "oneOf" in schema:
        if "discriminator" not in schema:
            yield f"{where}: kinds that nothing tells apart"
    elif schema.get("type") == "null":
        yield f"{where}: null"
    elif schema.get("type") not in TYPES:
        yield f"{where}: no type"
    if "properties" in schema and not where.isalnum():
        yield f"{where}: an object without a name"
    if schema.get("type") == "array" and not schema.get("items"):
        yield f"{where}: an array of anything"
    if "default" in schema and schema["default"] is None:
        yield f"{where}: null as a default"


def operations(description: Schema) -> Iterator[tuple[str, Schema]]:
    for methods in description["paths"].values():
        for operation in methods.values():
            yield operation["operationId"], operation


def reads(description: Schema) -> Iterator[tuple[str, Schema]]:
    """The operations that answer in JSON and change nothing."""
    for path, methods in description["paths"].items():
        answer = methods.get("get", {}).get("responses", {}).get("200", {})
        if "application/json" in answer.get("content", ()):
            yield path, methods["get"]


def outline(description: Schema) -> Schema:
    """What a client can call, ask and read, without how it is shaped."""
    return {
        "operations": {
            (path, method): (
                operation["operationId"],
                operation.get("security"),
                [(one["name"], one["in"], one["required"]) for one in operation["parameters"]]
                if "parameters" in operation
                else [],
                {
                    status: set(one.get("content", ()))
                    for status, one in operation["responses"].items()
                },
            )
            for path, methods in description["paths"].items()
            for method, operation in methods.items()
        },
        "models": {
            name: (set(model.get("properties", ())), model.get("required"))
            for name, model in description["components"]["schemas"].items()
        },
    }


def differences(value: Any, schema: Schema, description: Schema, at: str) -> Iterator[str]:
    """Where a value does not fit a flat schema."""
    if value is None and schema.get("nullable"):
        return
    (schema,) = schema.get("allOf", [schema])
    if "$ref" in schema:
        schema = description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    kind = schema["type"]
    is_bool = isinstance(value, bool)
    if not isinstance(value, TYPES[kind]) or is_bool is not (kind == "boolean"):
        yield f"{at}: {value!r} is no {kind}"
    elif kind == "object":
        yield from differences_of_members(value, schema, description, at)
    elif kind == "array":
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            yield f"{at}: {len(value)} items"
        for number, item in enumerate(value):
            yield from differences(item, schema["items"], description, f"{at}[{number}]")
    elif value not in schema.get("enum", [value]):
        yield f"{at}: {value!r} is none of those named"
    elif not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{at}: {value!r} is out of bounds"


def differences_of_members(
    value: Schema, schema: Schema, description: Schema, at: str
) -> Iterator[str]:
    known = schema.get("properties", {})
    other = schema.get("additionalProperties", False)
    yield from (f"{at}.{key}: missing" for key in schema.get("required", ()) if key not in value)
    for key, member in value.items():
        if key in known:
            continue
        if other is False:
            yield f"{at}.{key}: not described"
        elif other is not True:
            yield from differences(member, other, description, f"{at}.{key}")
    for key in known:
        if key in value:
            yield from differences(value[key], known[key], description, f"{at}.{key}")
