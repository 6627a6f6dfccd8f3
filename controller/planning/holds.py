"""How a hold is made, and which holds wait for a person rather than for time."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Protocol

from controller.model.plan import Action, ActionKind, Hold, HoldReason

WAITS_FOR_OTHERS: Final = frozenset(
    {
        HoldReason.NOT_RUNNING,
        HoldReason.ROLE_NOT_ONLINE,
        HoldReason.NEEDS_OFF,
        HoldReason.MIGRATION_NEVER,
        HoldReason.SUSPENDED,
        HoldReason.SPEC_CONFLICT,
        HoldReason.NAME_AMBIGUOUS,
        HoldReason.NAME_TAKEN_BY_ANOTHER,
        HoldReason.NO_TEMPLATE,
        HoldReason.HALF_CREATED,
        HoldReason.DISK_IN_USE,
        HoldReason.NOT_CLUSTERED,
        HoldReason.HA_BLOCKED,
        HoldReason.PREFLIGHT,
        HoldReason.TARGET_UNFIT,
        HoldReason.NO_ROOM,
        HoldReason.NO_HOP,
        HoldReason.NODE_UNKNOWN,
        HoldReason.RULES_CONFLICT,
        HoldReason.PAUSED,
        HoldReason.NODE_FAILURES,
        HoldReason.LOCAL_ACCOUNT,
        HoldReason.PINNED,
        HoldReason.NODE_AWAY,
        HoldReason.NODE_NOT_UP,
        HoldReason.NODE_PAUSED,
        HoldReason.NODE_IN_MAINTENANCE,
        HoldReason.FOLDER_NOT_SHARED,
    }
)
"""Nothing that this program could do would release these: a cluster with only them converged."""

STOPS_ACTING: Final = frozenset(
    {
        HoldReason.FIRST_CYCLES,
        HoldReason.JOURNAL_BROKEN,
        HoldReason.BALANCER_ON,
        HoldReason.NOT_FIT,
        HoldReason.EPOCH_NOT_CLAIMED,
        HoldReason.SUPERSEDED,
        HoldReason.STOPPED,
        HoldReason.SUGGESTED,
        HoldReason.FAILURES,
        HoldReason.SPECS_SHRANK,
        HoldReason.OUTSIDE_WINDOW,
        HoldReason.QUORUM_AT_RISK,
    }
)
"""Holds on the cluster that cast no doubt on what is seen: where nothing is due, they hold nothing.
"""


class Declared(Protocol):
    """A VM or a node that a document names."""

    @property
    def key(self) -> str:
        """Its identity within the cluster."""
        ...

    @property
    def title(self) -> str:
        """What a person calls it."""
        ...


def hold_on(
    want: Declared,
    reason: HoldReason,
    *,
    until: datetime | None = None,
    action: ActionKind | None = None,
    target: str | None = None,
    **evidence: str,
) -> Hold:
    """A hold on one VM, or on one node."""
    return Hold(
        key=want.key,
        vm=want.title,
        reason=reason,
        evidence=evidence,
        until=until,
        action=action,
        target=target,
    )


def hold_on_action(
    action: Action,
    reason: HoldReason,
    evidence: Mapping[str, str],
    until: datetime | None = None,
) -> Hold:
    """A hold on one action of a draft. On a move it leaves the VM's other actions alone."""
    return Hold(
        key=action.key,
        vm=action.vm,
        reason=reason,
        evidence=dict(evidence),
        until=until,
        action=action.kind,
        target=action.target,
    )


def hold_on_cluster(
    reason: HoldReason, evidence: Mapping[str, str], until: datetime | None = None
) -> Hold:
    """A hold on everything new in the cluster."""
    return Hold(key="", vm="", reason=reason, evidence=dict(evidence), until=until)


def gib(memory_bytes: int) -> str:
    """A size for people."""
    return f"{memory_bytes / 1024**3:.4g} GiB"
