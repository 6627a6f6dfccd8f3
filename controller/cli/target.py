"""Which cluster, which specs and which state a command that looks once is about."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.errors import SpecError

if TYPE_CHECKING:
    from controller.model.desired import DesiredState
    from controller.model.observed import ObservedState

ConfigMaybe = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="OWNERNODE_CONFIG",
        exists=True,
        help="File, or folder of files, of FailoverCluster documents: which cluster to ask.",
    ),
]
SnapshotMaybe = Annotated[
    Path | None,
    typer.Option("--snapshot", exists=True, help="A snapshot to plan on instead of a cluster."),
]
ClusterMaybe = Annotated[
    str | None, typer.Option("--cluster", help="Which cluster, when several are configured.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where desired and observed state come from."""

    config: Path | None
    snapshot: Path | None
    cluster: str | None

    def states(self, specs: Sequence[str]) -> "tuple[DesiredState, ObservedState]":
        """Both states, as of now. Raises SpecError where it is not clear which, or what is wrong.

        With a snapshot, limits are those of the cluster's document if one is given, else the
        defaults.
        """
        from controller.adapters.specs import once
        from controller.app import look
        from controller.model.json_documents import read_snapshot

        if self.snapshot is not None:
            observed = read_snapshot(once.bytes_of(self.snapshot), str(self.snapshot))
            return self.desired(specs, observed), observed
        if self.config is None:
            raise SpecError("give --config to ask a cluster, or --snapshot to plan on a file")
        clusters = once.read_clusters(self.config)
        cluster = once.choose_cluster(clusters, self.cluster)
        desired = look.declare(cluster, look.read_specs(specs), clusters=clusters)
        return desired, asyncio.run(look.observe_once(cluster))

    def desired(self, specs: Sequence[str], observed: "ObservedState") -> "DesiredState":
        """The desired state of the cluster that was observed."""
        from controller.adapters.specs import once
        from controller.app import look

        placements = look.read_specs(specs)
        if self.config is None:
            return look.declare_with_defaults(observed.cluster, placements)
        clusters = once.read_clusters(self.config)
        cluster = once.choose_cluster(clusters, self.cluster or observed.cluster)
        return look.declare(cluster, placements, clusters=clusters)
