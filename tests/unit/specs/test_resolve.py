"""Documents become the desired state of one cluster."""

from itertools import permutations

from controller.adapters.specs.documents import OPERATOR_KINDS
from controller.model.desired import (
    DesiredState,
    DiskTemplate,
    Enforcement,
    Failback,
    StartPolicy,
    VMTemplate,
)
from controller.model.policy import GIB, Balancer, Mode, Policy
from controller.planning.resolve import resolve, strays
from tests.unit.specs.writing import CLUSTER, only, placement, read, small

VOLUME = "C:\\ClusterStorage\\Volume1"


def resolved(text: str, cluster: str = CLUSTER) -> DesiredState:
    reading = read(text)
    assert all(finding.path == "metadata.name" for finding in reading.findings)
    document = only(read(cluster, OPERATOR_KINDS))
    return resolve(document, reading.documents, reading.findings, "rev")


def test_full_placement_is_understood() -> None:
    """Sizes in bytes, paths whole, words of the model."""
    (vm,) = resolved(placement("sql01")).vms
    assert (vm.key, vm.spec_name, vm.name, vm.id) == ("name:sql01", "sql01", "SQL01", None)
    assert vm.source == "a.yaml:1"
    assert vm.preferred == ("HV01", "HV02")
    assert vm.possible == ("HV01", "HV02", "HV03")
    assert (vm.enforcement, vm.failback) == (Enforcement.REQUIRED, Failback.WHEN_AVAILABLE)
    assert (vm.register, vm.start, vm.suspended) == (True, StartPolicy.AFTER_REGISTRATION, True)
    assert vm.template == VMTemplate(
        generation=2,
        memory_startup_bytes=8 * GIB,
        memory_minimum_bytes=4 * GIB,
        memory_maximum_bytes=16 * GIB,
        processors=4,
        location=VOLUME,
        disks=(DiskTemplate(path=f"{VOLUME}\\SQL01\\os.vhdx", create_bytes=80 * GIB),),
        secure_boot_template="MicrosoftWindows",
        switch="Prod",
        iso=f"{VOLUME}\\iso\\ws2025.iso",
    )


def test_absolute_disk_stays_where_it_is() -> None:
    """An existing disk may lie anywhere on the shared volumes."""
    path = f"{VOLUME}\\images\\data.vhdx"
    text = placement("a").replace("path: os.vhdx, create: {size: 80Gi}", f"path: '{path}'")
    (vm,) = resolved(text).vms
    assert vm.template is not None
    assert vm.template.disks == (DiskTemplate(path=path, create_bytes=None),)


def test_default_policy_is_the_default_policy() -> None:
    """The models and the table of defaults say the same figures."""
    assert resolved(small("a")).policy == Policy()


def test_policy_takes_every_figure() -> None:
    """Each limit that the operator may set arrives."""
    cluster = CLUSTER + (
        "  mode: Enforce\n  interval: 5s\n  balancer: Coexist\n"
        "  migration: {perNode: 3, perCluster: 5}\n  capacity: {memoryReserve: 25%}\n"
        "  brakes: {cooldown: 1m}\n  foreignMoves: {respect: 20s}\n  timing: {settle: 7s}\n"
    )
    assert resolved(small("a"), cluster).policy == Policy(
        mode=Mode.ENFORCE,
        interval_seconds=5,
        balancer=Balancer.COEXIST,
        moves_per_node_max=3,
        moves_per_cluster_max=5,
        memory_reserve_share=0.25,
        memory_reserve_bytes_min=0,
        cooldown_seconds=60,
        foreign_respect_seconds=20,
        settle_seconds=7,
    )


def test_reserve_is_a_share_or_a_size() -> None:
    """A figure replaces both parts of the default; 0% is a figure."""
    for reserve, of_64_gib in (("10%", 64 * GIB // 10), ("0%", 0), ("6Gi", 6 * GIB)):
        cluster = f"{CLUSTER}  capacity: {{memoryReserve: {reserve}}}\n"
        assert resolved(small("a"), cluster).policy.reserve_bytes(64 * GIB) == of_64_gib


def test_connection_is_passed_on() -> None:
    """Addresses by folded node name; the account's place, never the account."""
    cluster = CLUSTER.replace(
        "authentication: NTLM",
        "authentication: Basic\n    addresses: {HV07: '10.1.2.7:5986'}\n    tls: {ca: /etc/ca.pem}",
    )
    connection = resolved(small("a"), cluster).connection
    assert connection.seeds == ("hv01.corp.example", "hv02.corp.example")
    assert dict(connection.addresses) == {"hv07": "10.1.2.7:5986"}
    assert connection.authentication == "Basic"
    assert connection.credentials_file == "/run/secrets/hv"
    assert connection.credentials_env is None
    assert connection.ca_file == "/etc/ca.pem"


def test_two_specs_for_one_vm_freeze_both_and_nothing_else() -> None:
    """Last writer wins would move the VM with every reading."""
    text = "---\n".join((small("a", vm="SQL01"), small("b", vm="sql01"), small("c")))
    state = resolved(text)
    assert [vm.spec_name for vm in state.vms] == ["c"]
    (conflict,) = state.conflicts
    assert conflict.key == "name:sql01"
    assert [vm.spec_name for vm in conflict.vms] == ["a", "b"]


def test_two_specs_of_one_id_freeze_both() -> None:
    """GUIDs are compared without regard to case too."""
    guid = "2b8a7d0e-1c53-4f0a-9e6d-1f2a3b4c5d6e"
    by_id = [
        small(n).replace(f"name: {n.upper()}", f"id: {g}")
        for n, g in (("a", guid), ("b", guid.upper()), ("c", guid.replace("2b8a", "2b8b")))
    ]
    state = resolved("---\n".join(by_id))
    assert [vm.spec_name for vm in state.vms] == ["c"]
    assert [conflict.key for conflict in state.conflicts] == [f"id:{guid}"]


def test_two_documents_of_one_name_freeze_both_vms() -> None:
    """Which of both somebody meant to replace is not known."""
    text = "---\n".join((small("a", vm="X"), small("a", vm="Z"), small("b", vm="z"), small("c")))
    state = resolved(text)
    assert [vm.spec_name for vm in state.vms] == ["c"]
    (conflict,) = state.conflicts
    assert [vm.name for vm in conflict.vms] == ["X", "Z", "z"]


def test_order_of_documents_is_irrelevant() -> None:
    """The same set of specs is the same desired state, conflicts included."""
    texts = (small("a", vm="X"), small("b", vm="x"), small("c"), small("a", vm="Z"))
    documents = read({f"{i}.yaml": text for i, text in enumerate(texts)}).documents
    cluster = only(read(CLUSTER, OPERATOR_KINDS))
    states = [resolve(cluster, order, (), "rev") for order in permutations(documents)]
    assert all(state == states[0] for state in states)


def test_placement_of_another_cluster_is_left_out_and_a_stray_is_told() -> None:
    """A misspelt cluster is a spec that nothing would ever act on."""
    documents = read(small("a") + "---\n" + small("b").replace("cluster: prod", "cluster: prd"))
    cluster = only(read(CLUSTER, OPERATOR_KINDS))
    state = resolve(cluster, documents.documents, (), "rev")
    assert [vm.spec_name for vm in state.vms] == ["a"]
    assert [str(finding) for finding in strays([cluster], documents.documents)] == [
        "a.yaml:8:1: spec.cluster: no cluster prd is configured (expected prod)"
    ]


def test_nothing_declared_asks_for_nothing() -> None:
    """Absence never acts."""
    state = resolve(only(read(CLUSTER, OPERATOR_KINDS)), (), (), "rev")
    assert (state.vms, state.conflicts, state.revision) == ((), (), "rev")
