"""What `ownernode doctor` finds out about a node, and what it makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CheckResult(StrEnum):
    """What a check says."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"
    """It works; an administrator should know."""
    FAIL = "fail"


class CheckName(StrEnum):
    """What is checked at each node, in this order; after a failed way in, no more is asked."""

    NAME = "name"
    PORT = "port"
    TLS = "TLS"
    LOG_ON = "log-on"
    AUTHENTICATION = "authentication"
    RIGHTS = "rights"
    POWERSHELL = "PowerShell"
    MODULES = "modules"
    CLOCK = "clock"
    QUOTAS = "quotas"
    CLUSTER = "cluster"
    FUNCTIONAL_LEVEL = "functional level"
    MIGRATION_LIMITS = "migration limits"
    BALANCER = "balancer"
    DEFAULT_PATHS = "default paths"
    TIME_PER_CALL = "time per call"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check of one node: what was found, and what to do about it."""

    node: str
    name: CheckName
    result: CheckResult
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCondition:
    """What a node says that lets us in. None is what it did not tell."""

    node: str
    powershell: str
    user: str | None
    administrator: bool | None
    domain: str | None
    domain_joined: bool
    system: str | None
    modules: Mapping[str, str]
    """Name -> version."""
    clock: datetime
    """Its clock, at our `asked_at`."""
    asked_at: datetime
    quotas: Mapping[str, int] | None
    """Limits of its WinRM service, under Windows' names for them."""
    cluster: str
    cluster_id: str
    functional_level: int | None
    migrations_parallel_max: int | None
    migrations_max: int
    balancer_mode: int | None
    scvmm_agent: bool
    vm_path: str | None
    vhd_path: str | None
    volumes: tuple[str, ...]
    """Paths of the cluster shared volumes."""
    call_seconds: float
    """Median of three calls that do nothing."""
    nodes: tuple[str, ...]
    """The cluster's nodes."""
