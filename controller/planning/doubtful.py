"""What about Windows no source settles, and what the answers of a real cluster say of it.

Judged on what was answered before names are taken out, since one of the facts is a name.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from controller.model.transcript import Fact, NodeTranscript

Answer = Callable[[Sequence[NodeTranscript]], str | None]
_MIGRATING = 32774


def settle(nodes: Sequence[NodeTranscript]) -> tuple[Fact, ...]:
    """Every doubtful fact, answered where the recording answers it."""
    return tuple(
        Fact(name=name, question=question, answer=answer(nodes) if answer else None)
        for name, question, answer in _FACTS
    )


def _data(nodes: Sequence[NodeTranscript], operation: str) -> Iterator[Mapping[str, Any]]:
    for node in nodes:
        for exchange in node.exchanges:
            if exchange.operation == operation and exchange.data is not None:
                yield exchange.data


def _roles_in_flight(nodes: Sequence[NodeTranscript]) -> Iterator[Mapping[str, Any]]:
    for seen in _data(nodes, "observe"):
        moving = {vm["id"] for vm in seen["vms"] if _MIGRATING in vm["status"]}
        yield from (role for role in seen["roles"] if role["vmId"] in moving)


def _agent_starts(nodes: Sequence[NodeTranscript]) -> str | None:
    versions = {ping["powershell"] for ping in _data(nodes, "ping")}
    return f"yes, under {', '.join(sorted(versions))}" if versions else None


def _levels(nodes: Sequence[NodeTranscript]) -> str | None:
    builds = {own["build"] for own in _data(nodes, "doctor") if own["build"]}
    levels = {seen["cluster"]["functionalLevel"] for seen in _data(nodes, "observe")}
    if not builds or not levels:
        return None
    return f"level {', '.join(map(str, sorted(levels)))} on build {', '.join(sorted(builds))}"


def _limit_property(nodes: Sequence[NodeTranscript]) -> str | None:
    for seen in _data(nodes, "observe"):
        cluster = seen["cluster"]["migrationsParallelMax"]
        host = (seen["self"]["hardware"] or {}).get("migrationsMax")
        if cluster is None:
            return f"there is no limit of the cluster; a node's own is {host}"
        mirrored = "the same" if cluster == host else "another"
        return f"cluster {cluster}, node {host}: {mirrored}"
    return None


def _import_cost(nodes: Sequence[NodeTranscript]) -> str | None:
    seconds = [x.seconds for n in nodes for x in n.exchanges if x.operation == "doctor" and x.data]
    return f"first call {min(seconds):.1f} to {max(seconds):.1f} s" if seconds else None


def _group_state(nodes: Sequence[NodeTranscript]) -> str | None:
    states = {role["state"] for role in _roles_in_flight(nodes)}
    return f"seen: {', '.join(map(str, sorted(states)))}" if states else None


def _migration_state(nodes: Sequence[NodeTranscript]) -> str | None:
    found = [role["migration"] for role in _roles_in_flight(nodes) if role["migration"]]
    if not found:
        return None
    filled = [name for name in ("state", "progress") if any(m[name] is not None for m in found)]
    return f"filled: {', '.join(filled)}" if filled else "absent"


def _scvmm(nodes: Sequence[NodeTranscript]) -> str | None:
    names = [role["name"] for seen in _data(nodes, "observe") for role in seen["roles"]]
    mine = [name for name in names if name.startswith("SCVMM ") and name.endswith(" Resources")]
    return "roles named SCVMM <VM> Resources are here" if mine else None


def _default_folders(nodes: Sequence[NodeTranscript]) -> str | None:
    owns = tuple(_data(nodes, "doctor"))
    told = [own[name] for own in owns for name in ("vmPath", "vhdPath") if own[name]]
    ended = sum(str(path).endswith("\\") for path in told)
    return f"{ended} of {len(told)} end with one" if told else None


_FACTS: Sequence[tuple[str, str, Answer | None]] = (
    ("agentStarts", "Does -InputFormat None leave stdin to the script?", _agent_starts),
    ("functionalLevel", "Which ClusterFunctionalLevel has which version?", _levels),
    ("migrationLimit", "Does Get-VMHost show the cluster's migration limit?", _limit_property),
    ("importCost", "What does importing both modules cost over WinRM?", _import_cost),
    ("groupState", "Is a role Pending or Online while its VM is transferred?", _group_state),
    ("migrationState", "Are MigrationState and -Progress filled today?", _migration_state),
    ("defaultFolders", "Does Get-VMHost end a folder with a backslash?", _default_folders),
    ("scvmmNames", "Does SCVMM name its roles 'SCVMM <VM> Resources'?", _scvmm),
    # What no look at a cluster can tell, or nothing that these operations read.
    ("queuedFlag", "How long does Queued stay set?", None),
    ("statusText", "Which texts does ResourceSpecificStatus hold, by language?", None),
    ("refusedMoves", "Which errors does Move-ClusterVirtualMachineRole give, and when?", None),
    ("reportFolder", "Where does the report of a registration go?", None),
    ("compareClustered", "Do Compare-VM and Move-VM work on clustered VMs?", None),
    ("balancerLevel", "What does AutoBalancerLevel 3 mean?", None),
    ("compatibilityMode", "Does -CompatibilityForMigrationMode exist on Server 2025?", None),
    ("moveTypeThreshold", "What is MoveTypeThreshold where nobody set it?", None),
    ("credentialGuard", "Does Credential Guard hinder migrations inside a cluster?", None),
    ("resourceLinks", "Are OwnerGroup and ResourceType objects or text?", None),
    ("antiAffinity", "Does AntiAffinityClassNames take an array of text?", None),
    ("eventIds", "Which events tell of a migration that succeeded?", None),
    ("moveWithoutCredSSP", "Does a move over plain WinRM ever need CredSSP?", None),
    ("notFound", "How does each version say that there is no such object?", None),
    ("limitCounts", "Does the migration limit count in and out together?", None),
    ("processors", "Can a VM have more processors than its target?", None),
)
