"""CustomResourceDefinitions of the four kinds, as a Kubernetes API server takes them.

"Structural" means one tree of typed nodes in the server's dialect of OpenAPI (Kubernetes docs,
"Specifying a structural schema"). What that dialect can't say (closed objects, patterns of keys) is
checked again when the controller reads the object.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.model.schemas import Schema, schema_of
from controller.model.spec import API_VERSION

GROUP, VERSION = API_VERSION.split("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    plural: str
    short: str
    scope: str
    columns: tuple[tuple[str, str, int], ...]
    """Header, JSON path, priority (1: only with -o wide)."""


_NAMES: Mapping[str, _Names] = {
    "FailoverCluster": _Names(
        plural="failoverclusters",
        short="fcl",
        scope="Cluster",
        columns=(("Mode", ".spec.mode", 0),),
    ),
    "VirtualMachinePlacement": _Names(
        plural="virtualmachineplacements",
        short="vmp",
        scope="Namespaced",
        columns=(
            ("Node", ".status.node", 0),
            ("Verdict", ".status.verdict", 0),
            ("Cluster", ".spec.cluster", 1),
            ("VM", ".spec.vm.name", 1),
        ),
    ),
    "PlacementRule": _Names(
        plural="placementrules",
        short="plr",
        scope="Namespaced",
        columns=(("Rule", ".spec.rule", 0), ("Cluster", ".spec.cluster", 1)),
    ),
    "NodeMaintenance": _Names(
        plural="nodemaintenances",
        short="hvnm",
        scope="Namespaced",
        columns=(("Node", ".spec.node", 0), ("Cluster", ".spec.cluster", 1)),
    ),
}

_KEPT = frozenset({"type", "properties", "required", "items", "enum", "default", "description"})
_KEPT |= {"pattern", "format", "minimum", "maximum", "minLength", "maxLength"}
_KEPT |= {"minItems", "maxItems", "maxProperties"}
_DROPPED = frozenset({"additionalProperties", "propertyNames"})


def crds() -> dict[str, dict[str, Any]]:
    """File name -> CRD, for each kind."""
    return {f"{GROUP}_{names.plural}.yaml": _crd(kind) for kind, names in _NAMES.items()}


def structural(schema: Mapping[str, Any]) -> Schema:
    """Put an inlined JSON Schema into the structural form. ValueError for a word it lacks."""
    out: Schema = {}
    for key, value in schema.items():
        if key == "properties":
            out[key] = {name: structural(part) for name, part in value.items()}
        elif key == "items":
            out[key] = structural(value)
        elif key == "patternProperties":
            (out["additionalProperties"],) = (structural(part) for part in value.values())
        elif key in _KEPT or key.startswith("x-kubernetes-"):
            out[key] = value
        elif key not in _DROPPED:
            raise ValueError(f"a structural schema has no {key}")
    return out


def _crd(kind: str) -> dict[str, Any]:
    names = _NAMES[kind]
    spec = structural(schema_of(kind)["properties"]["spec"])
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": names.scope,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": names.plural,
                "singular": kind.lower(),
                "shortNames": [names.short],
                "categories": ["hyperv"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": _columns(names),
                    "schema": {"openAPIV3Schema": _root(kind, spec)},
                }
            ],
        },
    }


def _columns(names: _Names) -> list[dict[str, Any]]:
    ready = '.status.conditions[?(@.type=="Ready")]'
    columns = (
        ("Ready", f"{ready}.status", 0),
        ("Reason", f"{ready}.reason", 0),
        *names.columns,
    )
    made: list[dict[str, Any]] = [
        {"name": name, "type": "string", "jsonPath": path, "priority": priority}
        for name, path, priority in columns
    ]
    return [*made, {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]


def _root(kind: str, spec: Schema) -> Schema:
    return {
        "type": "object",
        "description": schema_of(kind)["description"],
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": _status(),
        },
    }


def _status() -> Schema:
    """What the controller writes back; conditions are merged by type under server-side apply."""

    def text(description: str, length_max: int) -> Schema:
        return {"type": "string", "maxLength": length_max, "description": description}

    condition = {
        "type": "object",
        "required": ["type", "status", "reason", "message", "lastTransitionTime"],
        "properties": {
            "type": text("Ready, Reconciling, Stalled, Placed, Drifted or Reachable.", 64),
            "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "reason": text("CamelCase word from a closed list.", 128),
            "message": text("A sentence for a person.", 4096),
            "lastTransitionTime": {"type": "string", "format": "date-time"},
            "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
        },
    }
    return {
        "type": "object",
        "description": "What the controller last saw and did.",
        "properties": {
            "observedGeneration": {
                "type": "integer",
                "format": "int64",
                "minimum": 0,
                "description": "The generation of the spec that this status is about.",
            },
            "node": text("The owner node, where there is one.", 64),
            "verdict": text("The VM's one verdict.", 64),
            "conditions": {
                "type": "array",
                "maxItems": 16,
                "items": condition,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
            },
        },
    }
