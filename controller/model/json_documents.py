"""Snapshot, plan and report as versioned JSON documents, and back.

Each document is the frozen dataclass of the same name with its fields in camelCase, plus `schema`,
which names the document and its version. Reading is strict: an unknown field, a wrong type or
another document is refused with its place, because a plan made on a misread world is worse than
none. docs/snapshot.md and docs/plan.md describe them for people.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic import Field as FieldInfo
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from controller.errors import SpecError
from controller.model.names import fold
from controller.model.observed import ObservedState
from controller.model.plan import Plan
from controller.model.report import ClusterReport

SNAPSHOT = "ownernode.io/snapshot/v1"
PLAN = "ownernode.io/plan/v1"
REPORT = "ownernode.io/report/v1"

FAULTS_SHOWN_MAX = 10
"""Of one document: a systematic fault repeats itself for each VM."""

T = TypeVar("T", ObservedState, Plan, ClusterReport)
_TYPES: dict[str, type[Any]] = {SNAPSHOT: ObservedState, PLAN: Plan, REPORT: ClusterReport}


def write_document(value: ObservedState | Plan | ClusterReport) -> str:
    """The document as indented JSON with a final line feed; equal values give equal bytes."""
    return json.dumps(as_json(value), indent=2, ensure_ascii=False) + "\n"


def as_json(value: ObservedState | Plan | ClusterReport) -> dict[str, Any]:
    """The document of the value as plain JSON data, `schema` first."""
    schema = next(name for name, kind in _TYPES.items() if isinstance(value, kind))
    form = _DOCUMENTS[schema].model_validate(
        value, from_attributes=True, by_name=True, by_alias=False
    )
    return {"schema": schema, **form.model_dump(mode="json", by_alias=True, fallback=dict)}


def read_snapshot(text: str | bytes, source: str) -> ObservedState:
    """Read a snapshot document; `source` names it in the message.

    Raises SpecError with every fault's place (the first `FAULTS_SHOWN_MAX`), what is there and
    what would be right.
    """
    return _read(ObservedState, SNAPSHOT, text, source)


def read_plan(text: str | bytes, source: str) -> Plan:
    """Read a plan document. Raises SpecError as `read_snapshot` does."""
    return _read(Plan, PLAN, text, source)


def read_report(text: str | bytes, source: str) -> ClusterReport:
    """Read a report document. Raises SpecError as `read_snapshot` does."""
    return _read(ClusterReport, REPORT, text, source)


def document_schema(schema: str) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the document of that name and version."""
    body = _DOCUMENTS[schema].model_json_schema(by_alias=True)
    properties = {"schema": {"const": schema, "description": "Kind and version of this document."}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **body,
        "properties": properties | body["properties"],
        "required": ["schema", *body["required"]],
    }


def _read(kind: type[T], schema: str, text: str | bytes, source: str) -> T:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise SpecError(f"{source}: not JSON: {fault}") from fault
    found = data.pop("schema", None) if isinstance(data, dict) else None
    if found != schema:
        raise SpecError(f"{source}: schema is {json.dumps(found)}, expected {json.dumps(schema)}")
    try:
        value: T = _value_of(_DOCUMENTS[schema].model_validate_json(json.dumps(data)))
    except ValidationError as error:
        raise SpecError(_listed(source, [_sentence(e) for e in error.errors()])) from None
    faults = [*_times_without_zone(value, ""), *_repetitions(value)]
    if faults:
        raise SpecError(_listed(source, faults))
    return value


def _listed(source: str, faults: list[str]) -> str:
    shown = [f"{source}: {fault}" for fault in faults[:FAULTS_SHOWN_MAX]]
    if len(faults) > FAULTS_SHOWN_MAX:
        shown.append(f"{source}: and {len(faults) - FAULTS_SHOWN_MAX} more")
    return "\n".join(shown)


def _sentence(error: ErrorDetails) -> str:
    path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error["loc"]).lstrip(".")
    match error["type"]:
        case "extra_forbidden":
            return f"{path}: this field does not exist"
        case "missing":
            return f"{path}: this field is missing"
        case _:
            shown = json.dumps(error["input"], default=str)
            return f"{path}: {error['msg']}, found {shown[:80]}"


def _times_without_zone(value: Any, path: str) -> Iterator[str]:
    """Times are compared: one without a zone would mean another moment elsewhere."""
    match value:
        case datetime() if value.tzinfo is None:
            yield f"{path}: a time needs its zone, as in 2026-01-31T12:00:00Z"
        case tuple():
            for index, item in enumerate(value):
                yield from _times_without_zone(item, f"{path}[{index}]")
        case _ if is_dataclass(value):
            for field in fields(value):
                below = f"{path}.{to_camel(field.name)}".lstrip(".")
                yield from _times_without_zone(getattr(value, field.name), below)


def _repetitions(value: Any) -> Iterator[str]:
    """Names and ids that are keys in a snapshot, so they occur once."""
    if not isinstance(value, ObservedState):
        return
    for index, vm in enumerate(value.vms):
        if vm.id != vm.id.lower():
            yield f"vms[{index}].id: {vm.id} is not in lower case"
    ids = Counter(vm.id for vm in value.vms)
    yield from (f"vms: the id {vm_id} occurs {n} times" for vm_id, n in ids.items() if n > 1)
    nodes = Counter(fold(node.name) for node in value.nodes)
    yield from (f"nodes: {name} occurs {n} times" for name, n in nodes.items() if n > 1)


def _value_of(form: Any) -> Any:
    """The dataclass that the form was made from, with all that it holds."""
    if isinstance(form, BaseModel):
        kind = _KINDS[type(form)]
        return kind(**{name: _value_of(getattr(form, name)) for name in type(form).model_fields})
    return tuple(map(_value_of, form)) if isinstance(form, tuple) else form


def _form_of(kind: type[Any]) -> type[BaseModel]:
    """A model with the dataclass's fields, spelt as in JSON and closed.

    The dataclasses themselves stay as they are: others write and read them in other forms.
    """
    if kind not in _FORMS:
        hints = get_type_hints(kind)
        members: dict[str, Any] = {
            f.name: (_formed(hints[f.name]), _default(f)) for f in fields(kind)
        }
        form = create_model(kind.__name__, __config__=_CONFIG, __doc__=kind.__doc__, **members)
        _FORMS[kind], _KINDS[form] = form, kind
    return _FORMS[kind]


def _formed(hint: Any) -> Any:
    """The type hint with each dataclass in it replaced by its form."""
    if isinstance(hint, type) and is_dataclass(hint):
        return _form_of(hint)
    parts = get_args(hint)
    if not parts:
        return hint
    formed = tuple(_formed(part) for part in parts)
    return reduce(or_, formed) if isinstance(hint, UnionType) else get_origin(hint)[formed]


def _default(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return FieldInfo(default_factory=field.default_factory)
    return ... if field.default is MISSING else field.default


_CONFIG = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True, frozen=True)
_FORMS: dict[type[Any], type[BaseModel]] = {}
_KINDS: dict[type[BaseModel], type[Any]] = {}
_DOCUMENTS = {schema: _form_of(kind) for schema, kind in _TYPES.items()}
