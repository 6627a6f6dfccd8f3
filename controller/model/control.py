"""What people order the controller itself to do: stop, pause, resume, approve.

A stop never touches what runs: it only keeps new commands from leaving.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class StopScope(StrEnum):
    """How much a stop covers."""

    VM = "VM"
    NODE = "Node"
    CLUSTER = "Cluster"
    EVERYTHING = "Everything"


class StopSource(StrEnum):
    """The way by which it came; each works without the others."""

    API = "API"
    FLAG_FILE = "FlagFile"
    SIGNAL = "Signal"
    CLUSTER_FLAG = "ClusterFlag"
    ANNOTATION = "Annotation"
    """On an object in Kubernetes, for as long as it stands there."""
    LEASE = "Lease"
    """Not ordered by anybody: another replica leads, or may lead by now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A pause in force. `name` is the VM's or node's; empty for the wider scopes."""

    id: str
    scope: StopScope
    name: str
    source: StopSource
    owner: str
    """Who ordered it."""
    reason: str
    since: datetime
    until: datetime | None = None
    """None: until somebody resumes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Somebody's yes to exactly one plan on exactly one state of the cluster."""

    digest: str
    """The plan's digest: it covers what the plan does and what it rests on. Or that of a brake."""
    owner: str
    reason: str
    at: datetime
    revision: str = ""
    """Of the specs that the plan was made of."""
    actions: tuple[str, ...] = ()
    """What was approved: an identity of each action (`planning.approvals`). Empty for a brake."""
    given: tuple[str, ...] = ()
    """Those of them whose command was given; none is given twice on one approval."""


class Verb(StrEnum):
    """What a person can tell a running controller."""

    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"
    APPROVE = "approve"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """A verb as a person gives it, before anybody has looked whether it makes sense."""

    verb: Verb
    owner: str
    """Who gives it."""
    reason: str
    name: str = ""
    """Of a VM or a node; empty for the cluster, or for everything."""
    cluster: str = ""
    """Empty: whichever has the name, or all."""
    seconds: int | None = None
    """How long a stop lasts; None: until somebody resumes."""
    digest: str = ""
    """What is approved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One verb as it was given; kept for people to read, whatever came of it."""

    id: str
    verb: Verb
    cluster: str
    """Empty: everything that the process runs."""
    owner: str
    reason: str
    at: datetime
    what: str
    """Its object in words: `VM SQL01`, a digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """The right to act on a cluster: each command carries it, and the node compares.

    Whoever claims takes a higher epoch than the cluster database holds, so that everybody who
    acted before can act no more.
    """

    epoch: int
    holder: str
    """GUID of the claiming process."""
