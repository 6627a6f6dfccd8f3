"""One field is written otherwise, and the plan, or what a node is told, is another."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.specs.documents import OPERATOR_KINDS
from controller.adapters.winrm.credentials import CredentialSource
from controller.engine.reconciler import requeue_after_seconds
from controller.model.desired import DesiredState
from controller.model.history import IntentState
from controller.model.observed import ObservedState
from controller.model.plan import ActionKind, HoldReason, Plan, Verdict
from controller.planning.absorb import absorb
from controller.planning.decide import decide, may_act
from controller.planning.resolve import resolve
from tests.builders import NOW, history, intent, node, observed, own_move, vm, vm_id
from tests.unit.specs.writing import CLUSTER, only, placement, read, small

ENFORCE = CLUSTER + "  mode: Enforce\n"


def state(*texts: str, cluster: str = ENFORCE) -> DesiredState:
    documents = read("---\n".join(texts)).documents
    assert len(documents) == len(texts)
    return resolve(only(read(cluster, OPERATOR_KINDS)), documents, (), "rev-1")


def planned(world: ObservedState, *texts: str, cluster: str = ENFORCE, **past: Any) -> Plan:
    plan, findings = decide(state(*texts, cluster=cluster), world, history(**past), NOW)
    assert findings == ()
    return plan


def moves(plan: Plan) -> list[tuple[str, str]]:
    return [(action.vm, action.target) for action in plan.ready()]


NODES = (node("HV01"), node("HV02"), node("HV03"))


def test_possible_owners_end_a_stay_elsewhere() -> None:
    """A node outside possible is left, whatever the failback; without the list every node is."""
    world = observed(*NODES, vm("A", "HV03"))
    stays = "owners: {failback: Never}"
    goes = "owners: {failback: Never, possible: [HV01]}"
    assert moves(planned(world, small("a", stays))) == []
    assert moves(planned(world, small("a", goes))) == [("A", "HV01")]


def test_enforcement_tells_a_later_choice_from_a_wrong_node() -> None:
    """With Preferred a possible node is a later choice, on which failback Never lets it stay."""
    world = observed(*NODES, vm("A", "HV03"))
    owners = "owners: {{preferred: [HV01], failback: Never, enforcement: {}}}"
    assert moves(planned(world, small("a", owners.format("Preferred")))) == []
    assert moves(planned(world, small("a", owners.format("Required")))) == [("A", "HV01")]


def test_memory_reserve_closes_a_target() -> None:
    """20 GiB free, a VM of 8: too little for a tenth of 128 GiB, enough for 4 GiB."""
    world = observed(node("HV01", free=20), node("HV02"), vm("A", "HV02"))
    spec = small("a", "owners: {preferred: [HV01]}")
    tight, roomy = (f"{ENFORCE}  capacity: {{memoryReserve: {r}}}\n" for r in ("10%", "4Gi"))
    assert moves(planned(world, spec, cluster=tight)) == []
    assert moves(planned(world, spec, cluster=roomy)) == [("A", "HV01")]


@pytest.mark.parametrize(
    ("limits", "ready"),
    [
        ("{perNode: 1, perCluster: 1}", 1),
        ("{perNode: 1, perCluster: 4}", 1),
        ("{perNode: 2, perCluster: 4}", 2),
        ("{perNode: 4, perCluster: 4}", 3),
        ("{perNode: 3, perCluster: 3}", 3),
    ],
)
def test_limits_bound_what_starts_now(limits: str, ready: int) -> None:
    """Three VMs leave one node."""
    world = observed(*NODES, *(vm(name, "HV03") for name in "ABC"), migrations_parallel_max=100)
    specs = [small(name, "owners: {preferred: [HV01, HV02]}") for name in "abc"]
    cluster = f"{ENFORCE}  migration: {limits}\n"
    assert len(moves(planned(world, *specs, cluster=cluster))) == ready


def test_cluster_limit_counts_where_nodes_differ() -> None:
    """Two moves that share no node: perCluster alone decides."""
    world = observed(
        *NODES, node("HV04"), vm("A", "HV01"), vm("B", "HV03"), migrations_parallel_max=100
    )
    specs = (small("a", "owners: {preferred: [HV02]}"), small("b", "owners: {preferred: [HV04]}"))
    for limit in (1, 2):
        cluster = f"{ENFORCE}  migration: {{perNode: 1, perCluster: {limit}}}\n"
        assert len(moves(planned(world, *specs, cluster=cluster))) == limit


def test_mode_decides_whether_commands_may_leave() -> None:
    """The plan is the same; in Observe, the default, and before a yes in Suggest, none of it is."""
    world = observed(*NODES, vm("A", "HV02"))
    spec = small("a", "owners: {preferred: [HV01]}")
    suggest = ENFORCE.replace("Enforce", "Suggest")
    for cluster, acts in ((CLUSTER, False), (suggest, False), (ENFORCE, True)):
        desired, past = state(spec, cluster=cluster), history()
        plan, findings = decide(desired, world, past, NOW)
        assert moves(plan) == [("A", "HV01")]
        assert may_act(desired, past, findings, plan) is acts


def test_cooldown_holds_a_vm_that_was_just_moved() -> None:
    """By us, a minute ago."""
    world = observed(*NODES, vm("A", "HV02"))
    spec = small("a", "owners: {preferred: [HV01]}")
    for cooldown, acts in (("30s", True), ("5m", False)):
        cluster = f"{ENFORCE}  brakes: {{cooldown: {cooldown}}}\n"
        plan = planned(world, spec, cluster=cluster, moves=(own_move("A", "HV01", "HV02"),))
        assert bool(moves(plan)) is acts
        assert [hold.reason for hold in plan.holds] == ([] if acts else [HoldReason.COOLDOWN])


def test_interval_is_the_time_to_the_next_look() -> None:
    """With nothing in flight."""
    world = observed(*NODES)
    for interval, seconds in (("5s", 5), ("1m", 60)):
        policy = state(small("a"), cluster=f"{ENFORCE}  interval: {interval}\n").policy
        assert requeue_after_seconds(history(), world, policy) == seconds


def test_settle_time_decides_when_a_lost_command_is_not_done() -> None:
    """Two quiet looks twelve seconds apart."""
    outcome = {}
    for settle in ("10s", "60s"):
        desired = state(
            small("a", "owners: {preferred: [HV01]}"),
            cluster=f"{ENFORCE}  timing: {{settle: {settle}}}\n",
        )
        past = history(intents=(intent("A", "HV01", source="HV02"),), bound={"name:a": vm_id("A")})
        for seconds in (0, 12):
            now = NOW + timedelta(seconds=seconds)
            past = absorb(past, desired, observed(*NODES, vm("A", "HV02"), at=now), now)
        outcome[settle] = past.intents[0].state
    assert outcome == {"10s": IntentState.NOT_DONE, "60s": IntentState.OPEN}


def test_vm_of_an_id_is_found_under_any_name() -> None:
    """An id names one VM, whatever it is called now."""
    world = observed(*NODES, vm("RENAMED", "HV02"))
    owners = "owners: {preferred: [HV01]}"
    by_id = small("a", owners).replace("{name: A}", f"{{id: {vm_id('RENAMED')}}}")
    assert moves(planned(world, by_id)) == [("a", "HV01")]
    missing = planned(world, small("a", owners))
    assert [standing.verdict for standing in missing.standings] == [Verdict.MISSING]


def test_placement_acts_on_its_own_cluster_only() -> None:
    """The same VM name exists in many clusters."""
    world = observed(*NODES, vm("A", "HV02"))
    spec = small("a", "owners: {preferred: [HV01]}")
    assert moves(planned(world, spec)) == [("A", "HV01")]
    other = planned(world, spec.replace("cluster: prod", "cluster: test"))
    assert (other.actions, other.standings) == ((), ())


def test_namespace_counts_only_where_it_is_allowed() -> None:
    """Who may place VMs in a cluster is for its operator to say; no namespace is the operator."""
    world = observed(*NODES, vm("A", "HV02"))
    own = small("a", "owners: {preferred: [HV01]}")
    tenants = own.replace("{name: a}", "{name: a, namespace: team-a}")
    allowed = ENFORCE + "  allowedNamespaces: [team-a]\n"
    assert moves(planned(world, own)) == [("A", "HV01")]
    assert (planned(world, tenants).actions, planned(world, tenants).standings) == ((), ())
    assert moves(planned(world, tenants, cluster=allowed)) == [("A", "HV01")]
    other = tenants.replace("team-a", "team-b")
    assert planned(world, other, cluster=allowed).standings == ()


def test_document_name_is_what_two_documents_may_not_share() -> None:
    """Under names of their own both VMs move; under one name both are frozen."""
    world = observed(*NODES, vm("A", "HV02"), vm("B", "HV02"))
    a, b = (small(name, "owners: {preferred: [HV01]}") for name in "ab")
    assert len(planned(world, a, b).moves) == 2
    frozen = planned(world, a, b.replace("metadata: {name: b}", "metadata: {name: a}"))
    assert frozen.moves == ()
    assert {standing.verdict for standing in frozen.standings} == {Verdict.CONFLICT}


ABSENT = {"absent_since": {"name:a": NOW - timedelta(minutes=2)}, "absent_cycles": {"name:a": 5}}


def created(text: str) -> Any:
    """The template that the node is given for a VM that is nowhere."""
    plan = planned(observed(*NODES), text.replace("suspend: true", "suspend: false"), **ABSENT)
    (action,) = (a for a in plan.actions if a.kind is ActionKind.CREATE)
    return action.template


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("secureBoot: {template: MicrosoftWindows}\n    ", "", "secure_boot_template"),
        ("startup: 8Gi", "startup: 6Gi", "memory_startup_bytes"),
        ("minimum: 4Gi", "minimum: 3Gi", "memory_minimum_bytes"),
        ("maximum: 16Gi", "maximum: 17Gi", "memory_maximum_bytes"),
        ("count: 4", "count: 8", "processors"),
        ("path: os.vhdx", "path: c.vhdx", "disks"),
        ("size: 80Gi", "size: 90Gi", "disks"),
        ("    network: {switch: Prod}\n", "", "switch"),
        ("{switch: Prod}", "{switch: Prod, vlan: 20}", "vlan"),
        (
            "    network: {switch",
            "    automaticStop: ShutDown\n    network: {switch",
            "automatic_stop",
        ),
        ("create: {size: 80Gi}", "create: {size: 80Gi}, controller: SCSI", None),
        ("iso\\ws2025.iso", "iso\\ws2022.iso", "iso"),
    ],
)
def test_template_field_reaches_the_node(old: str, new: str, field: str | None) -> None:
    """What is written is what is created: this field differs, and no other."""
    text = placement("a")
    assert old in text
    before, after = created(text), created(text.replace(old, new))
    changed = {name for name in before.__slots__ if getattr(before, name) != getattr(after, name)}
    assert changed == ({field} if field else set())


def test_generation_and_location_reach_the_node() -> None:
    """The generation takes secure boot with it, the location the relative disks."""
    text = placement("a").replace("    secureBoot: {template: MicrosoftWindows}\n", "")
    assert created(text.replace("generation: 2", "generation: 1")).generation == 1
    location = "C:\\ClusterStorage\\Volume1\\team"
    moved = created(text.replace("location: C:\\ClusterStorage\\Volume1", f"location: {location}"))
    assert moved.location == location
    assert moved.disks[0].path == f"{location}\\A\\os.vhdx"


def test_a_first_generation_boots_from_ide_and_has_room_for_three() -> None:
    """The fourth place is the DVD drive's; what is told its controller keeps it."""
    text = placement("a").replace("    secureBoot: {template: MicrosoftWindows}\n", "")
    text = text.replace("generation: 2", "generation: 1")
    more = ", ".join(f"{{path: d{n}.vhdx}}" for n in range(4))
    wanted = "[{path: os.vhdx}, {path: x.vhdx, controller: SCSI}, " + more + "]"
    made = created(text.replace("[{path: os.vhdx, create: {size: 80Gi}}]", wanted))
    assert [d.controller for d in made.disks] == ["IDE", "SCSI", "IDE", "IDE", "SCSI", "SCSI"]


def test_without_template_nothing_is_created() -> None:
    """A VM that is nowhere and has no template is reported missing."""
    plan = planned(observed(*NODES), small("a"), **ABSENT)
    assert plan.actions == ()
    assert [hold.reason for hold in plan.holds] == [HoldReason.NO_TEMPLATE]


def test_account_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`credentials.env` names the variable that holds it."""
    cluster = CLUSTER.replace("{file: /run/secrets/hv}", "{env: HV_ACCOUNT}")
    connection = state(small("a"), cluster=cluster).connection
    monkeypatch.setenv("HV_ACCOUNT", "username=svc\npassword=x\n")
    source = CredentialSource(file=connection.credentials_file, env=connection.credentials_env)
    assert source.read().username == "svc"


def test_account_is_read_from_the_file(tmp_path: Path) -> None:
    """`credentials.file` names the file that holds it."""
    (tmp_path / "account").write_text("username=svc\npassword=x\n")
    cluster = CLUSTER.replace("/run/secrets/hv", str(tmp_path / "account"))
    connection = state(small("a"), cluster=cluster).connection
    source = CredentialSource(file=connection.credentials_file, env=connection.credentials_env)
    assert source.read().username == "svc"


def test_share_of_changes_decides_what_needs_approval() -> None:
    """Of sixty VMs six may be changed unasked, or twelve."""
    names = [f"v{number}" for number in range(60)]
    world = observed(*NODES, *(vm(name.upper(), "HV01", memory=1) for name in names))
    before = [small(name, "owners: {preferred: [HV01]}") for name in names]
    after = [small(name, "owners: {preferred: [HV02]}") for name in names[:7]] + before[7:]
    for share, waiting in (("10%", 7), ("20%", 0)):
        cluster = f"{ENFORCE}  brakes: {{changesPerCommit: {share}}}\n"
        past = absorb(history(), state(*before, cluster=cluster), world, NOW)
        desired = state(*after, cluster=cluster)
        plan, _ = decide(desired, world, absorb(past, desired, world, NOW), NOW)
        held = [hold for hold in plan.holds if hold.reason is HoldReason.APPROVAL_NEEDED]
        assert len(held) == waiting


def maintenance(spec: str) -> str:
    head = "apiVersion: ownernode.io/v1alpha1\nkind: NodeMaintenance\nmetadata: {name: patch}\n"
    return f"{head}spec: {{{spec}}}\n"


def test_maintenance_is_of_its_own_cluster_and_node() -> None:
    """A document for another cluster, or another node, suspends nothing here."""
    world = observed(*NODES, vm("A", "HV01"))
    of_ours, of_other = (maintenance(f"cluster: {c}, node: hv01") for c in ("prod", "other"))
    plan = planned(world, small("a"), of_ours)
    assert [(a.kind, a.target) for a in plan.ready()] == [(ActionKind.SUSPEND_NODE, "HV01")]
    assert planned(world, small("a"), of_other).actions == ()


def test_suspended_maintenance_leaves_the_node_as_it_is() -> None:
    """Neither is it suspended, nor resumed if it was: somebody wants to look first."""
    world = observed(*NODES, vm("A", "HV01"))
    plan = planned(world, small("a"), maintenance("cluster: prod, node: HV01, suspend: true"))
    assert plan.actions == ()
    assert [hold.reason for hold in plan.holds] == [HoldReason.SUSPENDED]
