"""JSON Schemas of the documents that people and other programs write, for editors and tools."""

from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import WithDefaultSchema

from controller.model.spec import KINDS

Schema = dict[str, Any]


def schema_of(kind: str) -> Schema:
    """The JSON Schema (draft 2020-12) of one kind. KeyError for a kind that there is not."""
    model = KINDS[kind]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://ownernode.io/v1alpha1/{kind}.json",
        "title": kind,
        **inlined(model.model_json_schema(by_alias=True, schema_generator=_AsWritten)),
    }


def schema_of_any() -> Schema:
    """One JSON Schema for documents of every kind, for editors that know only the file's name.

    By `if` and `then` and not by `oneOf`, so that an editor speaks of the kind that is meant.
    """
    kinds = {kind: schema_of(kind) for kind in KINDS}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://ownernode.io/v1alpha1/any.json",
        "title": "A document of ownernode",
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {"kind": {"enum": list(kinds)}},
        "allOf": [
            {"if": {"properties": {"kind": {"const": kind}}}, "then": _part(schema)}
            for kind, schema in kinds.items()
        ],
    }


def _part(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if not key.startswith("$")}


class _AsWritten(GenerateJsonSchema):
    """Defaults in the form in which a document writes them, `10m` and not 600."""

    def default_schema(self, schema: WithDefaultSchema) -> JsonSchemaValue:
        """The schema of a field that has a default."""
        made = super().default_schema(schema)
        written = schema["schema"].get("serialization", {})
        if written.get("type") != "function-plain" or schema.get("default") is None:
            return made
        return made | {"default": written["function"](schema["default"])}


def inlined(schema: Mapping[str, Any]) -> Schema:
    """The schema as one tree: no references, no null, no generated titles.

    A field that may be left out is not one that may be null: documents with a null are refused,
    because an empty value is what remains of a line that was cut or forgotten.
    """
    return _inline(schema, schema.get("$defs", {}))


def _inline(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    # Models are finite trees; a recursive one would end here in a RecursionError, in the tests.
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        rest = {k: v for k, v in schema.items() if k != "$ref"}
        return _inline({**definitions[name], **rest}, definitions)
    if "anyOf" in schema:
        (only,) = (s for s in schema["anyOf"] if s != {"type": "null"})
        rest = {k: v for k, v in schema.items() if k != "anyOf"}
        if rest.get("default", ...) is None:
            del rest["default"]
        return _inline({**only, **rest}, definitions)
    out: Schema = {}
    for key, value in schema.items():
        match key:
            case "$defs" | "title":
                continue
            case "properties" | "patternProperties":
                out[key] = {name: _inline(part, definitions) for name, part in value.items()}
            case "items":
                out[key] = _inline(value, definitions)
            case "default" if isinstance(value, dict | list):
                continue  # the parts' own defaults say the same
            case _:
                out[key] = value
    return out
