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
        columns=(
            ("Mode", ".spec.mode", 0),
            ("Settled", ".status.summary", 0),
            ("Plan", ".status.plan.digest", 1),
        ),
    ),
    "VirtualMachinePlacement": _Names(
        plural="virtualmachineplacements",
        short="vmp",
        scope="Namespaced",
        columns=(
            ("Node", ".status.node", 0),
            ("Wanted", ".status.wanted", 0),
            ("Cluster", ".spec.cluster", 1),
            ("VM", ".spec.vm.name", 1),
            ("Message", ".status.message", 1),
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
        scope="Cluster",
        columns=(
            ("Node", ".spec.node", 0),
            ("Phase", ".status.phase", 0),
            ("Remaining", ".status.remainingCount", 0),
            ("Cluster", ".spec.cluster", 1),
            ("Message", ".status.message", 1),
        ),
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
            "status": _status(kind),
        },
    }


def _status(kind: str) -> Schema:
    """What the controller writes back; conditions are merged by type under server-side apply."""
    condition = {
        "type": "object",
        "required": ["type", "status", "reason", "message", "lastTransitionTime"],
        "properties": {
            "type": _text("Ready, Reconciling, Stalled, Placed, Drifted or Reachable.", 64),
            "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "reason": _text("CamelCase word from a closed list.", 128),
            "message": _text("A sentence for a person.", 4096),
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
            "conditions": {
                "type": "array",
                "maxItems": 16,
                "items": condition,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
            },
            "lastHandledReconcileAt": _text(
                "The ownernode.io/reconcile-at that a cycle has followed.", 256
            ),
            **_STATUS[kind],
        },
    }


def _text(description: str, length_max: int) -> Schema:
    return {"type": "string", "maxLength": length_max, "description": description}


def _count(description: str) -> Schema:
    return {"type": "integer", "minimum": 0, "description": description}


def _texts(description: str, items_max: int, length_max: int) -> Schema:
    return {
        "type": "array",
        "maxItems": items_max,
        "items": {"type": "string", "maxLength": length_max},
        "x-kubernetes-list-type": "atomic",
        "description": description,
    }


def _part(description: str, **properties: Schema) -> Schema:
    return {"type": "object", "description": description, "properties": properties}


_STATUS: Mapping[str, Schema] = {
    "FailoverCluster": {
        "mode": _text("The mode in force.", 16),
        "revision": _text("The revision of the specs in force that come from elsewhere.", 512),
        "summary": _text("How many of the declared VMs are settled.", 32),
        "nodes": _count("Nodes of the cluster."),
        "vms": _part(
            "VMs by where they stand.",
            declared=_count("VMs that a spec declares."),
            settled=_count("Declared VMs that are right where they are."),
            moving=_count("Declared VMs that are being moved."),
            unknown=_count("Declared VMs that could not be seen."),
            undeclared=_count("VMs of no spec, which are left alone."),
        ),
        "holds": _texts("What holds everything new, and what would release it.", 20, 1024),
        "plan": _part(
            "What would be done, in order; absent when nothing is due.",
            digest=_text("What an approval names.", 128),
            actions={
                "type": "object",
                "maxProperties": 16,
                "additionalProperties": _count("Actions of that kind."),
                "description": "How many actions of each kind.",
            },
            first=_texts("The first twenty actions.", 20, 512),
            waitingForApproval=_texts("Digests that wait for somebody's yes.", 20, 128),
        ),
        "approval": _text(
            "The ownernode.io/approve that was taken up, and what became of it.", 1024
        ),
        "memory": _part(
            "What the next leader must know: ids bound, moves counted, approvals, open intents.",
            format=_text("How the data is written.", 64),
            term=_text("Of the replica that leads; only it may write.", 64),
            data=_text("Compressed; for the controller alone.", 1_200_000),
        ),
    },
    "VirtualMachinePlacement": {
        "cluster": _text("The cluster that the VM was looked for in.", 253),
        "node": _text("The owner node, where there is one.", 64),
        "wanted": _text("The node where it should be, where one is named.", 64),
        "verdict": _text("The VM's one verdict.", 64),
        "vmID": _text("The id of the VM.", 64),
        "message": _text("What a colleague would say of it.", 4096),
    },
    "PlacementRule": {},
    "NodeMaintenance": {
        "cluster": _text("The cluster of the node.", 253),
        "phase": _text("How far it got.", 64),
        "message": _text("What a colleague would say of it.", 4096),
        "remainingCount": _count("How many VMs are still on the node."),
        "remaining": {
            "type": "array",
            "maxItems": 20,
            "items": _part(
                "One VM that is still on the node.",
                vm=_text("Its name.", 256),
                vmID=_text("Its id.", 64),
                why=_text("CamelCase word from a closed list.", 64),
                message=_text("The same for a person.", 256),
            ),
            "x-kubernetes-list-type": "atomic",
            "description": "The first twenty of them, by name, and why each is there.",
        },
    },
}
