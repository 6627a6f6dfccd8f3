"""The four kinds of document, as pydantic models: the single source of CRDs and JSON Schemas.

Models hold numbers in the unit of their field's name; documents hold text such as `8Gi` or `10m`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from controller.model.spec.base import API_VERSION, Contradiction, Resource
from controller.model.spec.cluster import FailoverCluster
from controller.model.spec.maintenance import NodeMaintenance
from controller.model.spec.placement import VirtualMachinePlacement
from controller.model.spec.rule import PlacementRule

KINDS: Mapping[str, type[Resource]] = MappingProxyType(
    {
        "FailoverCluster": FailoverCluster,
        "VirtualMachinePlacement": VirtualMachinePlacement,
        "PlacementRule": PlacementRule,
        "NodeMaintenance": NodeMaintenance,
    }
)

__all__ = [
    "API_VERSION",
    "KINDS",
    "Contradiction",
    "FailoverCluster",
    "NodeMaintenance",
    "PlacementRule",
    "Resource",
    "VirtualMachinePlacement",
]
