"""Whether an answer is what the API description says of it: every key, and no other."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

Schema = dict[str, Any]


def differences(app: FastAPI, path: str, answer: Any) -> list[str]:
    """Where the answer to GET of this path differs from its description."""
    description = app.openapi()
    answers = description["paths"][path]["get"]["responses"]
    schema = answers["200"]["content"]["application/json"]["schema"]
    return list(_differences(answer, schema, description["components"]["schemas"], "$"))


def _differences(value: Any, schema: Schema, named: dict[str, Schema], at: str) -> Iterator[str]:
    while "$ref" in schema:
        schema = named[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        tried = [list(_differences(value, one, named, at)) for one in schema["anyOf"]]
        if [] not in tried:
            yield from max(tried, key=len)
        return
    if not _is_a(value, schema.get("type")):
        yield f"{at}: {value!r} is no {schema.get('type')}"
    elif schema.get("type") == "object" and "properties" in schema:
        known, required = schema["properties"], set(schema.get("required", ()))
        yield from (f"{at}.{key}: missing" for key in required - value.keys())
        yield from (f"{at}.{key}: not described" for key in value.keys() - known.keys())
        for key in value.keys() & known.keys():
            yield from _differences(value[key], known[key], named, f"{at}.{key}")
    elif schema.get("type") == "array":
        kinds = schema.get("prefixItems")
        for number, item in enumerate(value):
            kind = kinds[number] if kinds else schema["items"]
            yield from _differences(item, kind, named, f"{at}[{number}]")


def _is_a(value: Any, kind: str | None) -> bool:
    match kind:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
    return True
