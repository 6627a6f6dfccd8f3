"""The kinds of objects that we read and write, and the words that stand on them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from controller.adapters.kube.api import Resource
from controller.model.crd import GROUP, VERSION, crds


def _ours() -> Mapping[str, Resource]:
    found = {}
    for crd in crds().values():
        names = crd["spec"]["names"]
        found[names["kind"]] = Resource(
            group=GROUP,
            version=VERSION,
            plural=names["plural"],
            namespaced=crd["spec"]["scope"] == "Namespaced",
        )
    return MappingProxyType(found)


OURS: Final = _ours()
"""By kind."""
CLUSTER: Final = "FailoverCluster"
PLACEMENT: Final = "VirtualMachinePlacement"
MAINTENANCE: Final = "NodeMaintenance"
LEASES: Final = Resource(
    group="coordination.k8s.io", version="v1", plural="leases", namespaced=True
)
EVENTS: Final = Resource(group="events.k8s.io", version="v1", plural="events", namespaced=True)
SECRETS: Final = Resource(group="", version="v1", plural="secrets", namespaced=True)

APPROVE: Final = f"{GROUP}/approve"
"""On a FailoverCluster: the digest of the plan that waits for somebody's yes."""
RECONCILE: Final = f"{GROUP}/reconcile-at"
"""On a FailoverCluster or a placement: any new value lets a cycle begin at once."""
PAUSE: Final = f"{GROUP}/pause"
"""On a FailoverCluster: the reason why nothing new is to start there, for as long as it stands."""


def annotation(item: Mapping[str, Any], name: str) -> str | None:
    """The value of an annotation of an object."""
    found = (item["metadata"].get("annotations") or {}).get(name)
    return str(found) if found is not None else None
