"""The API description, flattened for code generators: one plain type for every value."""

from typing import Any

Schema = dict[str, Any]

#: More generators read 3.0 than 3.1; and 3.0 says "or null" beside a type, with no union that a
#: generator would have to take apart.
VERSION = "3.0.3"

#: Keywords of a schema that mean the same in both versions.
KEPT = (
    {"type", "format", "enum", "required", "description", "deprecated", "discriminator"}
    | {"minimum", "maximum", "multipleOf", "minLength", "maxLength", "pattern"}
    | {"minItems", "maxItems", "uniqueItems", "readOnly", "writeOnly"}
)

#: Titles repeat a member's name, and some generators name types after them.
DROPPED = {"title"}

MODELS = "#/components/schemas/"


class CannotBeFlat(Exception):
    """A shape of which generators lose values; it has to be described otherwise."""


def flattened(description: dict[str, Any]) -> dict[str, Any]:
    """The same API in OpenAPI 3.0.3, without unions with null, tuples or unnamed objects.

    What may be null is `nullable`, and still required where its key is always there: Swift gets
    an optional, TypeScript `| null`, which is what arrives.
    """
    return _Flattening(description).done()


class _Flattening:
    """One description on its way; models that had no name gather in `_models`."""

    def __init__(self, description: dict[str, Any]) -> None:
        self._description = description
        self._models: dict[str, Schema] = {}

    def done(self) -> dict[str, Any]:
        components = self._description["components"]
        models = components["schemas"]
        self._models = {name: {} for name in models}
        for name, schema in models.items():
            self._models[name] = self._described(schema, name)
        paths = {
            path: {method: self._operation(operation) for method, operation in operations.items()}
            for path, operations in self._description["paths"].items()
        }
        return {
            **self._description,
            "openapi": VERSION,
            "paths": paths,
            "components": {**components, "schemas": self._models},
        }

    def _operation(self, operation: dict[str, Any]) -> dict[str, Any]:
        name = _pascal(operation["operationId"])
        flat = dict(operation)
        if "parameters" in operation:
            flat["parameters"] = [self._parameter(one, name) for one in operation["parameters"]]
        if "requestBody" in operation:
            flat["requestBody"] = self._body(operation["requestBody"], f"{name}Body")
        flat["responses"] = {
            status: self._body(answer, f"{name}Answer" + ("" if status == "200" else status))
            for status, answer in operation["responses"].items()
        }
        return flat

    def _parameter(self, parameter: dict[str, Any], operation: str) -> dict[str, Any]:
        flat = {key: value for key, value in parameter.items() if key != "examples"}
        schema = self._flat(parameter["schema"], operation + _pascal(parameter["name"]))
        # Nobody sends null in a query: what is not meant is left out.
        schema.pop("nullable", None)
        schema.pop("description", None)
        return {**flat, "schema": schema}

    def _body(self, body: dict[str, Any], name: str) -> dict[str, Any]:
        """A request's body or an answer, with each of its media types."""
        if "content" not in body:
            return body
        content = {
            media_type: {"schema": self._flat(media["schema"], name)}
            for media_type, media in body["content"].items()
        }
        return {**body, "content": content}

    def _flat(self, schema: Schema, name: str) -> Schema:
        """A schema where it is used; one that needs a model of its own becomes a reference."""
        flat = self._described(schema, name)
        if not ("properties" in flat or "oneOf" in flat):
            return flat
        if name in self._models:
            raise CannotBeFlat(f"{name}: two models of this name")
        nullable = flat.pop("nullable", False)
        self._models[name] = flat
        return _reference(MODELS + name, nullable=nullable)

    def _described(self, schema: Schema, name: str) -> Schema:
        """A schema with everything inside it flat; `name` is for what has none."""
        schema, nullable = _without_null(schema, name)
        if "$ref" in schema:
            return _reference(schema["$ref"], schema.get("description"), nullable=nullable)
        flat: Schema = {}
        for keyword, value in schema.items():
            if keyword in KEPT:
                flat[keyword] = value
            elif keyword not in DROPPED:
                flat.update(self._translated(keyword, value, name))
        if nullable:
            flat["nullable"] = True
        return flat

    def _translated(self, keyword: str, value: Any, name: str) -> Schema:
        """What a keyword of 3.1 is in 3.0, or what lies within it made flat."""
        match keyword:
            case "properties":
                members = {key: self._flat(one, name + _pascal(key)) for key, one in value.items()}
                return {"properties": members}
            case "items":
                return {"items": self._flat(value, f"{name}Item")}
            case "prefixItems":
                return self._places(value, name)
            case "additionalProperties" if isinstance(value, bool):
                return {keyword: value}
            case "additionalProperties":
                return {keyword: self._flat(value, f"{name}Value")}
            case "oneOf":
                return {"oneOf": [self._flat(one, f"{name}{n}") for n, one in enumerate(value, 1)]}
            case "const":
                return {"enum": [value]}
            case "examples":
                return {"example": value[0]}
            case "exclusiveMinimum" | "exclusiveMaximum":
                return {keyword: True, keyword.replace("exclusiveM", "m"): value}
            case "default":
                # The description says null is possible; as a default it is no value of the type.
                return {} if value is None else {"default": value}
        # Unknown keywords are not passed on in the hope that they do no harm.
        raise CannotBeFlat(f"{name}: {keyword}")

    def _places(self, kinds: list[Schema], name: str) -> Schema:
        """A tuple as an array of the one type its places share; mixed ones would be lost."""
        found = [self._flat(kind, f"{name}Item") for kind in kinds]
        if len({kind.get("type") for kind in found}) != 1 or "type" not in found[0]:
            raise CannotBeFlat(f"{name}: a tuple of several types")
        said = " ".join(f"{n}. {kind.get('description', '')}" for n, kind in enumerate(found, 1))
        return {"items": {"type": found[0]["type"]}, "description": said}


def _without_null(schema: Schema, name: str) -> tuple[Schema, bool]:
    """The one kind of value that a schema allows, and whether null is allowed, too."""
    if isinstance(schema.get("type"), list):
        kinds = [{"type": kind} for kind in schema["type"]]
        rest = {key: value for key, value in schema.items() if key != "type"}
    elif "anyOf" in schema or ("oneOf" in schema and "discriminator" not in schema):
        keyword = "anyOf" if "anyOf" in schema else "oneOf"
        kinds = schema[keyword]
        rest = {key: value for key, value in schema.items() if key != keyword}
    else:
        return schema, False
    values = [kind for kind in kinds if kind.get("type") != "null"]
    nullable = len(values) < len(kinds)
    if [kind.get("type") for kind in values] == ["number", "string"]:
        del values[1]  # an amount may also be sent as a string, and need not be
    if len(values) != 1:
        raise CannotBeFlat(f"{name}: a union of several types")
    return {**values[0], **rest}, nullable


def _reference(target: str, description: str | None = None, *, nullable: bool = False) -> Schema:
    """A reference; in 3.0 whatever else is said of it has to stand around it, not beside it."""
    if not nullable:
        return {"$ref": target}
    said = {"description": description} if description else {}
    return {"allOf": [{"$ref": target}], "nullable": True, **said}


def _pascal(name: str) -> str:
    """A model's name from a member's or an operation's: `price_steps` is `PriceSteps`."""
    return "".join(part[:1].upper() + part[1:] for part in name.replace("-", "_").split("_"))
