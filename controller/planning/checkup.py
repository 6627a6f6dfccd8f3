"""Judges what a node says of itself against what this controller needs. Rules only."""

from collections.abc import Callable, Iterator, Sequence

from controller.model.checkup import Check, CheckName, CheckResult, NodeCondition
from controller.model.desired import DesiredState
from controller.model.policy import Balancer, Mode
from controller.planning.folders import is_shared
from controller.planning.guards.permission import LOCAL_ACCOUNTS

FUNCTIONAL_LEVEL_MIN = 9
"""Windows Server 2016 (Microsoft docs, Cluster functional level)."""
CLOCK_SECONDS_WARN = 30.0
CLOCK_SECONDS_MAX = 300.0
"""Kerberos takes no more (Microsoft docs, Maximum tolerance for computer clock synchronization)."""
CALL_SECONDS_WARN = 1.0
QUOTAS_MIN = {
    # What one agent and its jobs use, with room.
    "MaxEnvelopeSizekb": 500,
    "MaxTimeoutms": 20_000,
    "MaxShellsPerUser": 5,
    "MaxMemoryPerShellMB": 1024,
    "MaxConcurrentOperationsPerUser": 100,
}

Judgement = tuple[CheckResult, str, str]
Judge = Callable[[NodeCondition, DesiredState], Judgement]


def judge(condition: NodeCondition, desired: DesiredState) -> Iterator[Check]:
    """Every check of a node that let us in."""
    for name, rule in _RULES:
        result, found, remedy = rule(condition, desired)
        yield Check(node=condition.node, name=name, result=result, found=found, remedy=remedy)


def judge_together(conditions: Sequence[NodeCondition]) -> Iterator[Check]:
    """What only all nodes together show: that they are of one cluster, by their own word."""
    ids = sorted({condition.cluster_id for condition in conditions})
    for condition in conditions if len(ids) > 1 else ():
        yield Check(
            node=condition.node,
            name=CheckName.CLUSTER,
            result=CheckResult.FAIL,
            found=f"{condition.cluster} {condition.cluster_id}, another than other nodes say",
            remedy="give each cluster a document of its own, with its own nodes",
        )


def _passed(found: str) -> Judgement:
    return CheckResult.PASS, found, ""


def _authentication(condition: NodeCondition, desired: DesiredState) -> Judgement:
    kind = desired.connection.authentication
    if condition.domain_joined and kind in LOCAL_ACCOUNTS:
        found = f"{kind}, which logs on a local account, on a node of domain {condition.domain}"
        remedy = (
            "use Kerberos, or NTLM with a domain account: a VM made by a local account can fail to"
            " migrate later"
        )
        return CheckResult.FAIL, found, remedy
    if kind == "CredSSP":
        remedy = "use Kerberos, or NTLM over HTTPS: nothing here needs a second hop"
        found = "CredSSP hands the password to every node, for whoever rules it to take"
        return CheckResult.WARN, found, remedy
    where = f"domain {condition.domain}" if condition.domain_joined else "a workgroup"
    return _passed(f"{kind}, in {where}")


def _rights(condition: NodeCondition, _: DesiredState) -> Judgement:
    who = condition.user or "the account"
    if condition.administrator is False:
        return (
            CheckResult.WARN,
            f"{who} reads cluster and Hyper-V, and is no administrator of the node",
            "give it Full access to the cluster, and make it a Hyper-V Administrator of each node",
        )
    return _passed(f"{who} reads cluster and Hyper-V")


def _powershell(condition: NodeCondition, _: DesiredState) -> Judgement:
    if condition.powershell.startswith("5.1."):
        return _passed(condition.powershell)
    remedy = "install Windows Management Framework 5.1"
    return CheckResult.FAIL, f"{condition.powershell}, not 5.1", remedy


def _modules(condition: NodeCondition, _: DesiredState) -> Judgement:
    missing = sorted({"FailoverClusters", "Hyper-V"} - set(condition.modules))
    if missing:
        remedy = "Install-WindowsFeature RSAT-Clustering-PowerShell, Hyper-V-PowerShell"
        return CheckResult.FAIL, f"not there: {', '.join(missing)}", remedy
    return _passed(", ".join(sorted(condition.modules)))


def _clock(condition: NodeCondition, _: DesiredState) -> Judgement:
    off_seconds = (condition.clock - condition.asked_at).total_seconds()
    found = f"{abs(off_seconds):.1f} s {'ahead of' if off_seconds > 0 else 'behind'} ours"
    remedy = "let node and controller take their time from the same source (w32tm /query /status)"
    if abs(off_seconds) > CLOCK_SECONDS_MAX:
        return CheckResult.FAIL, found, remedy
    if abs(off_seconds) > CLOCK_SECONDS_WARN:
        return CheckResult.WARN, found, remedy
    return _passed(f"within {max(1, round(abs(off_seconds) + 0.5))} s of ours")


def _quotas(condition: NodeCondition, _: DesiredState) -> Judgement:
    if condition.quotas is None:
        remedy = "compare `winrm get winrm/config` with docs/log-on.md"
        return CheckResult.WARN, "the account may not read them", remedy
    low = [
        f"{name} {condition.quotas[name]}, needs {least}"
        for name, least in QUOTAS_MIN.items()
        if condition.quotas.get(name, least) < least
    ]
    if low:
        return CheckResult.FAIL, "; ".join(low), "winrm set winrm/config @{...} on the node"
    return _passed("enough for one agent")


def _cluster(condition: NodeCondition, _: DesiredState) -> Judgement:
    return _passed(f"{condition.cluster}, {len(condition.nodes)} nodes")


def _functional_level(condition: NodeCondition, _: DesiredState) -> Judgement:
    level = condition.functional_level
    if level is None or level < FUNCTIONAL_LEVEL_MIN:
        remedy = "Windows Server 2016 to 2025 are supported; Update-ClusterFunctionalLevel"
        return CheckResult.FAIL, "not told" if level is None else str(level), remedy
    return _passed(str(level))


def _migration_limits(condition: NodeCondition, desired: DesiredState) -> Judgement:
    cluster = condition.migrations_parallel_max
    found = f"node {condition.migrations_max}, cluster {'-' if cluster is None else cluster}"
    limit = min(condition.migrations_max, condition.migrations_max if cluster is None else cluster)
    if limit < 1:
        return CheckResult.FAIL, found, "Set-VMHost -MaximumVirtualMachineMigrations"
    wanted = desired.policy.moves_per_node_max
    if wanted > limit:
        remedy = f"migration.perNode is {wanted}; no more than {limit} will be used"
        return CheckResult.WARN, found, remedy
    return _passed(found)


def _balancer(condition: NodeCondition, desired: DesiredState) -> Judgement:
    mode, policy = condition.balancer_mode, desired.policy
    found = "not told" if mode is None else {0: "off"}.get(mode, f"on (mode {mode})")
    remedy = "(Get-Cluster).AutoBalancerMode = 0, or `balancer: Coexist`: Enforce is held else"
    if condition.scvmm_agent:
        found += "; SCVMM's agent is here"
        remedy = "take the cluster out of SCVMM, or `balancer: Coexist`: Enforce is held else"
    free = mode == 0 and not condition.scvmm_agent
    if free or policy.balancer is Balancer.COEXIST:
        return _passed(found)
    acts = policy.mode is not Mode.OBSERVE
    return CheckResult.FAIL if acts else CheckResult.WARN, found, remedy


def _default_paths(condition: NodeCondition, _: DesiredState) -> Judgement:
    paths = {"VMs": condition.vm_path, "disks": condition.vhd_path}
    off = [
        f"{what} {path}"
        for what, path in paths.items()
        if not is_shared(path or "", condition.volumes)
    ]
    if off:
        remedy = (
            "Set-VMHost, or `defaultPaths`: a VM that is created there can't be made highly"
            " available as it is"
        )
        return CheckResult.WARN, f"on no shared volume: {'; '.join(off)}", remedy
    return _passed("on shared volumes")


def _time_per_call(condition: NodeCondition, _: DesiredState) -> Judgement:
    found = f"{condition.call_seconds * 1000:.0f} ms"
    if condition.call_seconds > CALL_SECONDS_WARN:
        return CheckResult.WARN, found, "look at the node's load, and at the network in between"
    return _passed(f"under {CALL_SECONDS_WARN:.0f} s" if condition.call_seconds < 0.1 else found)


_RULES: Sequence[tuple[CheckName, Judge]] = (
    (CheckName.AUTHENTICATION, _authentication),
    (CheckName.RIGHTS, _rights),
    (CheckName.POWERSHELL, _powershell),
    (CheckName.MODULES, _modules),
    (CheckName.CLOCK, _clock),
    (CheckName.QUOTAS, _quotas),
    (CheckName.CLUSTER, _cluster),
    (CheckName.FUNCTIONAL_LEVEL, _functional_level),
    (CheckName.MIGRATION_LIMITS, _migration_limits),
    (CheckName.BALANCER, _balancer),
    (CheckName.DEFAULT_PATHS, _default_paths),
    (CheckName.TIME_PER_CALL, _time_per_call),
)
