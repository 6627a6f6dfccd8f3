"""No field is accepted and ignored: each leaf is refused, or a story shows what it changes."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.specs.documents import OPERATOR_KINDS, PLACEMENT_KINDS
from controller.model.schemas import schema_of
from controller.model.spec import KINDS
from controller.model.spec.support import NOT_YET
from tests.unit.specs.writing import CLUSTER, said

ROOT = Path(__file__).parents[3]
HERE = "tests/unit/specs/test_field_effects.py"
LOGONS = "tests/contract/test_logons.py"
WAYS_IN = "tests/contract/test_ways_in.py"
TEMPLATE = f"{HERE}::test_template_field_reaches_the_node"

# Kind -> field -> the scenario (a folder of tests/scenarios) or the test in which it changes the
# outcome.
SHOWN: Mapping[str, Mapping[str, str]] = {
    "FailoverCluster": {
        "spec.connection.nodes": (
            "tests/contract/test_cluster.py::test_two_seeds_lead_to_all_nodes_and_vms"
        ),
        "spec.connection.addresses": (
            "tests/protocol/test_simulated_site.py::test_each_node_answers_at_its_own_address"
        ),
        "spec.connection.authentication": f"{LOGONS}::test_basic_is_never_spoken_in_clear_text",
        "spec.connection.credentials.file": f"{HERE}::test_account_is_read_from_the_file",
        "spec.connection.credentials.env": f"{HERE}::test_account_is_read_from_the_environment",
        "spec.connection.credentials.secretRef.name": (
            "tests/kube/test_orders.py::test_account_of_a_secret_is_read_again_when_it_changes"
        ),
        "spec.connection.tls.ca": (
            f"{LOGONS}::test_unknown_authority_gets_no_byte_of_the_credentials"
        ),
        "spec.connection.tls.pins": f"{WAYS_IN}::test_pinned_certificate_needs_no_authority",
        "spec.connection.transport": f"{WAYS_IN}::test_the_document_chooses_the_jea_endpoint",
        "spec.connection.ntlmOverHTTP": (
            f"{WAYS_IN}::test_ntlm_over_plain_http_needs_its_own_word"
        ),
        "spec.mode": f"{HERE}::test_mode_decides_whether_commands_may_leave",
        "spec.interval": f"{HERE}::test_interval_is_the_time_to_the_next_look",
        "spec.migration.perNode": f"{HERE}::test_limits_bound_what_starts_now",
        "spec.migration.perCluster": f"{HERE}::test_cluster_limit_counts_where_nodes_differ",
        "spec.capacity.memoryReserve": f"{HERE}::test_memory_reserve_closes_a_target",
        "spec.capacity.tolerateNodeFailures": "node_failure_must_be_borne",
        "spec.nodes.name": "fault_domains",
        "spec.nodes.faultDomain": "fault_domains",
        "spec.windows.effect": "change_window",
        "spec.windows.schedule": "change_window",
        "spec.windows.duration": "change_window",
        "spec.windows.timeZone": "change_window",
        "spec.brakes.changesPerCommit": (
            f"{HERE}::test_share_of_changes_decides_what_needs_approval"
        ),
        "spec.brakes.movesPerVMPerDay": "contested_vm",
        "spec.brakes.cooldown": f"{HERE}::test_cooldown_holds_a_vm_that_was_just_moved",
        "spec.allowedNamespaces": f"{HERE}::test_namespace_counts_only_where_it_is_allowed",
        "spec.nativePolicy": "native_manage",
        "spec.defaultPaths": "default_paths_report",
        "spec.defaultFolder": "default_paths_manage",
        "spec.balancer": "balancer_coexist",
        "spec.foreignMoves.respect": "administrators_move",
        "spec.timing.settle": (f"{HERE}::test_settle_time_decides_when_a_lost_command_is_not_done"),
        "spec.timing.nodeStable": "node_flaps",
        "spec.timing.failurePause": "failures_in_a_row",
    },
    "VirtualMachinePlacement": {
        "spec.cluster": f"{HERE}::test_placement_acts_on_its_own_cluster_only",
        "spec.vm.name": "case_differences",
        "spec.vm.id": f"{HERE}::test_vm_of_an_id_is_found_under_any_name",
        "spec.owners.preferred": "three_misplaced",
        "spec.owners.possible": f"{HERE}::test_possible_owners_end_a_stay_elsewhere",
        "spec.owners.enforcement": (
            f"{HERE}::test_enforcement_tells_a_later_choice_from_a_wrong_node"
        ),
        "spec.owners.failback": "failback_never",
        "spec.highAvailability.accept": "availability_accepted",
        "spec.highAvailability.priority": "native_manage",
        "spec.highAvailability.register": "two_vms_without_ha",
        "spec.highAvailability.start": "start_once",
        "spec.migration.kind": "migration_never",
        "spec.migration.processorCompatibility": "processor_compatibility",
        "spec.suspend": "suspended",
        "spec.template.generation": f"{HERE}::test_generation_and_location_reach_the_node",
        "spec.template.memory.startup": TEMPLATE,
        "spec.template.memory.dynamic.minimum": TEMPLATE,
        "spec.template.memory.dynamic.maximum": TEMPLATE,
        "spec.template.processors.count": TEMPLATE,
        "spec.template.location": f"{HERE}::test_generation_and_location_reach_the_node",
        "spec.template.disks.path": TEMPLATE,
        "spec.template.disks.create.size": TEMPLATE,
        "spec.template.secureBoot.template": TEMPLATE,
        "spec.template.network.switch": TEMPLATE,
        "spec.template.disks.controller": TEMPLATE,
        "spec.template.network.vlan": TEMPLATE,
        "spec.template.automaticStop": TEMPLATE,
        "spec.template.install.network": "create_to_install_from_the_network",
        "spec.template.install.physicalDrive": "create_with_the_nodes_own_drive",
        "spec.template.install.iso": "create_with_new_disk_and_local_iso",
    },
    "PlacementRule": {},
    "NodeMaintenance": {
        "spec.cluster": f"{HERE}::test_maintenance_is_of_its_own_cluster_and_node",
        "spec.node": f"{HERE}::test_maintenance_is_of_its_own_cluster_and_node",
        "spec.window.start": "maintenance",
        "spec.window.duration": "maintenance",
        "spec.afterwards": "maintenance_stays",
        "spec.suspend": f"{HERE}::test_suspended_maintenance_leaves_the_node_as_it_is",
    },
}

# The envelope: what a document is and is called. Labels and annotations are for people and their
# tools, as everywhere in Kubernetes, and say so in their descriptions.
ENVELOPE = {
    "apiVersion",
    "kind",
    "metadata.name",
    "metadata.namespace",
    "metadata.labels",
    "metadata.annotations",
}


def leaves(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Every field without fields of its own; the entries of a list count as the list."""
    schema = schema.get("items", schema)
    if "properties" not in schema:
        yield path
        return
    for name, part in schema["properties"].items():
        yield from leaves(part, f"{path}.{name}" if path else name)


def is_refused(kind: str, field: str) -> bool:
    """Whether the field, or something that it is a part of, has no value that changes anything."""
    return any(
        (field == path or field.startswith(f"{path}.")) and len(accepted) <= 1
        for path, accepted in NOT_YET[kind].items()
    )


def defaults(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every default of a leaf."""
    for name, part in schema.get("properties", {}).items():
        field = f"{path}.{name}" if path else name
        if "default" in part:
            yield field, part["default"]
        yield from defaults(part.get("items", part), field)


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_refused_or_shown(kind: str) -> None:
    """A new field comes with its story or its refusal; a story that is told needs its field."""
    fields = set(leaves(schema_of(kind)))
    refused = {field for field in fields if is_refused(kind, field)}
    assert fields - refused - ENVELOPE == set(SHOWN[kind])


@pytest.mark.parametrize(
    ("field", "where"),
    [(field, where) for shown in SHOWN.values() for field, where in shown.items()],
)
def test_story_exists_and_tells_of_the_field(field: str, where: str) -> None:
    """A scenario writes the field; a test function is there under its name."""
    if "::" in where:
        file, function = where.split("::")
        tree = ast.parse((ROOT / file).read_text())
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert function in names
    else:
        text = (ROOT / "tests" / "scenarios" / where / "scenario.yaml").read_text()
        assert f"{field.rsplit('.', 1)[-1]}: " in text


@pytest.mark.parametrize("kind", KINDS)
def test_table_of_refusals_names_fields_that_exist(kind: str) -> None:
    """A misspelt line of the table would refuse nothing."""
    for path, accepted in NOT_YET[kind].items():
        part: Mapping[str, Any] = schema_of(kind)
        for name in path.split("."):
            part = part["properties"][name]
            part = part.get("items", part)
        assert accepted <= set(part.get("enum", accepted))


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_are_supported(kind: str) -> None:
    """Kubernetes writes defaults into objects: they must be read back without complaint."""
    for field, default in defaults(schema_of(kind)):
        for path, accepted in NOT_YET[kind].items():
            if field == path:
                assert default in accepted


ISO = r"iso: 'C:\ClusterStorage\Volume1\iso\ws2025.iso'"
REFUSED = (
    (f"{CLUSTER}  nodes: [{{name: HV01, labels: {{a: b}}}}]\n", "labels: is not supported yet"),
)


@pytest.mark.parametrize(("text", "finding"), REFUSED)
def test_field_without_effect_is_refused(text: str, finding: str) -> None:
    """It is the one finding, and the document is not in force."""
    (only,) = said(text, OPERATOR_KINDS | PLACEMENT_KINDS)
    assert finding in only


def test_every_refusal_is_shown() -> None:
    """Each line of the table has its example; the kinds that are refused whole have theirs too."""
    lines = [
        path.rsplit(".", 1)[-1]
        for kind in ("FailoverCluster", "VirtualMachinePlacement")
        for path in NOT_YET[kind]
    ]
    told = "\n".join(finding for text, _ in REFUSED for finding in said(text, frozenset(KINDS)))
    assert [line for line in lines if f".{line}: " not in told] == []
