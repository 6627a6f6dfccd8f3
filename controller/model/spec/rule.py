"""PlacementRule: what holds for sets of VMs, chosen by their labels."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from controller.model.spec.base import (
    ATOMIC,
    Contradiction,
    LabelKey,
    Labels,
    LabelValue,
    NamespacedMetadata,
    NodeName,
    ObjectName,
    Part,
    Resource,
    Spec,
)


class LabelRequirement(Part):
    """One condition on a label."""

    key: LabelKey = Field(description="The label's key.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="How the label's value relates to `values`."
    )
    values: Annotated[tuple[LabelValue, ...], Field(max_length=64)] = Field(
        default=(), description="Values of In and NotIn.", json_schema_extra=ATOMIC
    )


class LabelSelector(Part):
    """All conditions hold for a thing that is selected."""

    match_labels: Labels = Field(default_factory=dict, description="Labels that must be equal.")
    match_expressions: Annotated[tuple[LabelRequirement, ...], Field(max_length=16)] = Field(
        default=(), description="Further conditions.", json_schema_extra=ATOMIC
    )


class NodeSelector(LabelSelector):
    """Nodes by name, by label, or both."""

    names: Annotated[tuple[NodeName, ...], Field(max_length=64)] = Field(
        default=(), description="Nodes by their names in the cluster.", json_schema_extra=ATOMIC
    )


class PlacementRuleSpec(Spec):
    """What holds for the VMs that the selector chooses."""

    cluster: ObjectName = Field(description="Name of the FailoverCluster that it applies to.")
    rule: Literal["KeepApart", "KeepTogether", "Spread", "RunOn", "NotOn"] = Field(
        description="What must hold."
    )
    vms: LabelSelector = Field(description="The VMs that it holds for, by their labels.")
    enforcement: Literal["Required", "Preferred"] = Field(
        default="Preferred", description="Required: hard. Preferred: costs `weight` if broken."
    )
    weight: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=1000, description="Cost of a broken preferred rule, in GiB of migration."
    )
    over: LabelKey | None = Field(
        default=None,
        description="Node label whose values are the places to keep apart from, together on, or "
        "spread over. Absent: the node itself.",
    )
    nodes: NodeSelector | None = Field(
        default=None, description="The nodes of RunOn and NotOn, by name or label."
    )
    suspend: bool = Field(default=False, description="The rule counts for nothing while true.")

    def contradictions(self) -> Iterator[Contradiction]:
        """RunOn and NotOn speak of nodes, the others don't."""
        if (self.rule in ("RunOn", "NotOn")) != (self.nodes is not None):
            yield Contradiction(
                at=("nodes",),
                message=f"does not go with rule {self.rule}"
                if self.nodes
                else f"is missing for rule {self.rule}",
                expected="nodes with RunOn and NotOn only",
            )


class PlacementRule(Resource):
    """A rule over sets of VMs: apart, together, spread, on or not on some nodes."""

    kind: Literal["PlacementRule"] = Field(description="PlacementRule.")
    metadata: NamespacedMetadata = Field(description="Name and labels of the document.")
    spec: PlacementRuleSpec = Field(description="The rule.")
