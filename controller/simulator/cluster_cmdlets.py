"""The FailoverClusters cmdlets, as Microsoft's pages and the reflected module describe them.

Each takes one bound call and gives the objects that it would write. A cmdlet that would wait
returns at once here, as with `-Wait 0`: the world's time does not move during a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from controller.model.names import fold, same_name
from controller.simulator.call import Call, text_of
from controller.simulator.cluster_objects import TYPE, View, cluster_object, parameter
from controller.simulator.cmdlet_errors import (
    ACCESS_DENIED,
    AFFINITY_CONFLICT,
    GROUP_NOT_FOUND,
    INVALID_PARAMETER,
    NODE_NOT_FOUND,
    RESOURCE_NOT_FOUND,
    Refusal,
    command_not_found,
)
from controller.simulator.drain import resume_node, suspend_node
from controller.simulator.failover import choose_node, start_role
from controller.simulator.inventory import (
    AFFINITY_TYPES,
    AffinityRule,
    Node,
    Role,
    VirtualMachine,
)
from controller.simulator.migration import cancel_move, request_move
from controller.simulator.roles import register_role, set_possible_owners, set_preferred_owners
from controller.simulator.states import Cause
from controller.simulator.values import PSObject, Value

Cmdlet = Callable[[Call], list[Value]]
_AFFINITY_RULES_SINCE = 20348
_AFFINITY_TYPE = (
    "Microsoft.Management.Infrastructure.CimInstance#root/MSCluster/MSCluster_AffinityRule"
)
_APART = (3, 4)
"""DifferentFaultDomain and DifferentNode; the others keep roles together."""


def get_cluster(call: Call) -> list[Value]:
    cluster = call.sim.view_from(call.node)
    if call.has("Name") and not same_name(call.text("Name"), cluster.name):
        raise Refusal(ACCESS_DENIED, "Another cluster can't be reached from here.")
    return [cluster_object(cluster)]


def get_cluster_node(call: Call) -> list[Value]:
    view = _view(call)
    return _named(view.nodes(), call.texts("Name"), NODE_NOT_FOUND, "cluster node")


def get_cluster_group(call: Call) -> list[Value]:
    view = _view(call)
    if call.has("VMId"):
        role = view.cluster.roles.get((call.text("VMId") or "").lower())
        return [view.group(role)] if role else _no_such_vm(call)
    nodes = [i for i in call.objects("InputObject") if i.type_name == TYPE + "ClusterNode"]
    groups = view.groups(fold(text_of(nodes[-1], "Name"))) if nodes else view.groups()
    return _named(groups, call.texts("Name"), GROUP_NOT_FOUND, "cluster group")


def get_cluster_resource(call: Call) -> list[Value]:
    view = _view(call)
    if call.has("VMId"):
        role = view.cluster.roles.get((call.text("VMId") or "").lower())
        return [*view.resources_of(role)] if role else _no_such_vm(call)
    if call.has("InputObject"):
        found: list[Value] = []
        for item in call.objects("InputObject"):
            role = _role_of(view, item)
            found += view.resources_of(role) if role else []
        return found
    return _named(view.resources(), call.texts("Name"), RESOURCE_NOT_FOUND, "cluster resource")


def get_cluster_owner_node(call: Call) -> list[Value]:
    """Preferred owners of a group in order, possible owners of a resource."""
    view = _view(call)
    found: list[Value] = []
    for owned, role in _owned(call, view):
        match owned.properties["Name"]:
            case role.vm_resource:
                names = role.possible
            case role.configuration_resource:
                names = role.possible_configuration
            case _:
                names = role.preferred
        found.append(view.owner_list(owned, names))
    return found


def get_cluster_parameter(call: Call) -> list[Value]:
    view = _view(call)
    wanted = {fold(name) for name in call.texts("Name")}
    found: list[Value] = []
    for item in call.objects("InputObject"):
        if item.type_name == TYPE + "ClusterResourceType":
            threshold = view.cluster.move_type_threshold
            shown = threshold != 2000 or call.sim.doubts.move_type_threshold_unset == "default"
            rows = [parameter(item, "MoveTypeThreshold", threshold)] if shown else []
        elif item.type_name == TYPE + "Cluster":
            rows = view.cluster_parameters(item)
        else:
            role = _role_of(view, item)
            rows = view.parameters(item, role) if role else []
        found += [r for r in rows if not wanted or fold(text_of(r, "Name")) in wanted]
    return found


def set_cluster_parameter(call: Call) -> list[Value]:
    """Write, make or take away one private property of the cluster; it keeps the name's case."""
    call.sim.require_quorum(call.node)
    if not any(item.type_name == TYPE + "Cluster" for item in call.objects("InputObject")):
        raise Refusal(INVALID_PARAMETER, "Only a cluster's own parameters are simulated.")
    name = call.text("Name")
    if name is None:
        raise call.missing("Name")
    parameters = call.sim.cluster.parameters
    if fold(name) not in parameters and not call.flag("Create"):
        raise Refusal(INVALID_PARAMETER, f"Unable to find parameter '{name}'.")
    if call.flag("Delete"):
        parameters.pop(fold(name), None)
        return []
    match call.arguments.get("Value"):
        case int() | str() as value if not isinstance(value, bool):
            parameters[fold(name)] = (name, value)
        case _:
            raise Refusal(INVALID_PARAMETER, f"Parameter '{name}' can't have this value.")
    return []


def get_cluster_resource_type(call: Call) -> list[Value]:
    kinds = ("Network Name", "Virtual Machine", "Virtual Machine Configuration")
    types = [PSObject(TYPE + "ClusterResourceType", {"Name": k, "DisplayName": k}) for k in kinds]
    _view(call)
    return _named(types, call.texts("Name"), RESOURCE_NOT_FOUND, "cluster resource type")


def get_cluster_shared_volume(call: Call) -> list[Value]:
    view = _view(call)
    volumes = sorted(view.cluster.volumes, key=lambda volume: fold(volume.name))
    found = [view.volume(volume) for volume in volumes]
    return _named(found, call.texts("Name"), RESOURCE_NOT_FOUND, "cluster shared volume")


def get_cluster_shared_volume_state(call: Call) -> list[Value]:
    return list(_view(call).volume_states())


def move_cluster_virtual_machine_role(call: Call) -> list[Value]:
    """Ask for a live migration, or cancel one; success means accepted, nothing more."""
    call.sim.require_quorum(call.node)
    role = _one_role(call)
    vm = call.sim.cluster.vms[role.vm_id]
    _require_session(call, vm)
    if call.flag("Cancel"):
        cancel_move(call.sim, role)
        return _group_now(call, role)
    if call.text("MigrationType") not in (None, "Live", "4") and call.has("MigrationType"):
        raise Refusal(INVALID_PARAMETER, "Only live migration is simulated.")
    wanted = call.text("Node")
    target: Node | None
    if wanted is None:
        free = call.sim.cluster.memory_free_bytes()
        target = choose_node(call.sim, role, free, not_on=role.owner)
    else:
        target = call.sim.node(wanted)
    if target is None:
        raise Refusal(NODE_NOT_FOUND, f"No node can take '{role.name}'.")
    _apart_from(call, role, target)
    request_move(call.sim, role, target, Cause.CONTROLLER)
    _bring_along(call, role, target)
    return _group_now(call, role)


def add_cluster_virtual_machine_role(call: Call) -> list[Value]:
    """Make a VM highly available; by id it must be on this node, by name it is sought on all."""
    call.sim.require_quorum(call.node)
    wanted = call.text("VMId") or call.text("VMName") or call.text("VirtualMachine")
    for item in call.objects("InputObject"):
        wanted = text_of(item, "Id")
    if wanted is None:
        raise call.missing("VMName")
    listed = call.sim.vms_listed_on(call.node)
    if call.has("VMId") or call.has("InputObject"):
        found = [vm for vm in listed if vm.id == wanted.lower()]
    else:
        found = [vm for vm in listed if same_name(vm.name, wanted)]
    if not found and call.sim.cluster.second_hop:
        found = [call.sim.vm(wanted)]
    if len(found) != 1:
        raise Refusal(ACCESS_DENIED, "Access is denied.")
    _require_session(call, found[0])
    role = register_role(call.sim, found[0], call.text("Name"))
    return _group_now(call, role)


def start_cluster_group(call: Call) -> list[Value]:
    call.sim.require_quorum(call.node)
    role = _one_role(call)
    start_role(call.sim, role)
    return _group_now(call, role)


def suspend_cluster_node(call: Call) -> list[Value]:
    call.sim.require_quorum(call.node)
    target = call.text("TargetNode")
    for node in _nodes(call):
        suspend_node(
            call.sim,
            node,
            drain=call.flag("Drain"),
            target=None if target is None else call.sim.node(target),
        )
    return [_view(call).node(node.name) for node in _nodes(call)]


def resume_cluster_node(call: Call) -> list[Value]:
    call.sim.require_quorum(call.node)
    for node in _nodes(call):
        resume_node(call.sim, node, call.text("Failback") or "NoFailback")
    return [_view(call).node(node.name) for node in _nodes(call)]


def set_cluster_owner_node(call: Call) -> list[Value]:
    call.sim.require_quorum(call.node)
    view = _view(call)
    for owned, role in _owned(call, view):
        name = owned.properties["Name"]
        if owned.type_name == TYPE + "ClusterGroup":
            set_preferred_owners(call.sim, role, call.texts("Owners"))
            continue
        configuration = name == role.configuration_resource
        set_possible_owners(call.sim, role, call.texts("Owners"), configuration=configuration)
    return []


def set_group_property(call: Call) -> list[Value]:
    """What an assignment to a property of a ClusterGroup does."""
    call.sim.require_quorum(call.node)
    value = call.number("Value")
    for _, role in _owned(call, _view(call)):
        match call.text("Name"), value:
            case "AutoFailbackType", 0 | 1:
                role.auto_failback = value == 1
            case "Priority", int() if 0 <= value <= PRIORITY_MAX:
                role.priority = value
            case _:
                raise Refusal(INVALID_PARAMETER, "The parameter is incorrect.")
    return []


def _view(call: Call) -> View:
    return View(call.sim, call.sim.view_from(call.node))


def _named(items: list[PSObject], names: list[str], code: int, kind: str) -> list[Value]:
    """The objects of these names in that order, or all; a name that is missing is an error."""
    if not names:
        return [*items]
    found: list[Value] = []
    for name in names:
        item = next((i for i in items if same_name(text_of(i, "Name"), name)), None)
        if item is None:
            raise Refusal(code, f"The {kind} '{name}' was not found.")
        found.append(item)
    return found


def _no_such_vm(call: Call) -> list[Value]:
    if call.sim.doubts.unknown_vm_id == "empty":
        return []
    raise Refusal(GROUP_NOT_FOUND, f"No role has the virtual machine '{call.text('VMId')}'.")


def _role_of(view: View, item: PSObject) -> Role | None:
    """The role that a group or a resource belongs to; None for the cluster's own."""
    vm_id = view.cluster.vm_of.get(text_of(item, "Id"))
    return None if vm_id is None else view.cluster.roles.get(vm_id)


def _owned(call: Call, view: View) -> list[tuple[PSObject, Role]]:
    """The groups and resources that a call about owners names, each with its role."""
    items = call.objects("InputObject")
    if call.has("Group"):
        items += [g for g in view.groups() if same_name(text_of(g, "Name"), call.text("Group"))]
    if call.has("Resource"):
        wanted = call.text("Resource")
        items += [r for r in view.resources() if same_name(text_of(r, "Name"), wanted)]
    found = [(item, role) for item in items if (role := _role_of(view, item)) is not None]
    if not found:
        raise Refusal(RESOURCE_NOT_FOUND, "The cluster group or resource was not found.")
    return found


def _one_role(call: Call) -> Role:
    roles = call.sim.cluster.roles
    role: Role | None = None
    if call.has("VMId"):
        role = roles.get((call.text("VMId") or "").lower())
    elif call.has("InputObject"):
        for item in call.objects("InputObject"):
            role = roles.get(call.sim.cluster.vm_of.get(text_of(item, "Id"), ""))
    elif call.has("Name"):
        wanted = call.text("Name")
        role = next((r for r in roles.values() if same_name(r.name, wanted)), None)
    else:
        raise call.missing("Name")
    if role is None:
        raise Refusal(GROUP_NOT_FOUND, "The cluster group was not found.")
    return role


def _nodes(call: Call) -> list[Node]:
    names = call.texts("Name") or [text_of(i, "Name") for i in call.objects("InputObject")]
    return [call.sim.node(name) for name in names] or [call.node]


def _group_now(call: Call, role: Role) -> list[Value]:
    return [_view(call).group(role)]


def _require_session(call: Call, vm: VirtualMachine) -> None:
    """Refuse what would need a second hop, or CredSSP where the world says so."""
    elsewhere = not same_name(vm.node, call.node.name)
    over_winrm = call.sim.doubts.role_cmdlets_over_winrm == "refused"
    if (elsewhere or over_winrm) and not call.sim.cluster.second_hop:
        raise Refusal(ACCESS_DENIED, "Access is denied.")


def get_cluster_affinity_rule(call: Call) -> list[Value]:
    """The cmdlet came with Windows Server 2022 (build 20348)."""
    if call.node.build < _AFFINITY_RULES_SINCE:
        raise command_not_found("Get-ClusterAffinityRule")
    call.sim.require_quorum(call.node)
    by_name = call.sim.doubts.affinity_rule_type == "name"
    return [
        PSObject(
            _AFFINITY_TYPE,
            {
                "Name": rule.name,
                "RuleType": AFFINITY_TYPES[rule.type - 1] if by_name else rule.type,
                "Groups": [*rule.groups],
                "Enabled": int(rule.enabled),
            },
        )
        for rule in call.sim.cluster.affinity_rules
    ]


def _rules_of(call: Call, role: Role) -> Iterator[tuple[AffinityRule, list[Role]]]:
    """Enabled rules that the role is of, each with the other roles of it."""
    for rule in call.sim.cluster.affinity_rules:
        names = {fold(name) for name in rule.groups}
        if rule.enabled and fold(role.name) in names:
            roles = call.sim.cluster.roles.values()
            yield rule, [r for r in roles if r is not role and fold(r.name) in names]


def _apart_from(call: Call, role: Role, target: Node) -> None:
    """A move that breaks a rule is refused without -IgnoreAffinityRule."""
    for rule, others in _rules_of(call, role):
        if rule.type in _APART and any(same_name(r.owner, target.name) for r in others):
            raise Refusal(AFFINITY_CONFLICT, f"'{role.name}' would break rule '{rule.name}'.")


def _bring_along(call: Call, role: Role, target: Node) -> None:
    """Moving one role of a rule that keeps them together moves all (Microsoft docs, Cluster
    affinity)."""
    for rule, others in _rules_of(call, role):
        for other in others if rule.type not in _APART else []:
            if not same_name(other.owner, target.name):
                request_move(call.sim, other, target, Cause.CLUSTER)


SET_GROUP_PROPERTY = "Set-ClusterGroup.Property"
"""No cmdlet: scripts assign to the object, and the cluster takes it at once."""
PRIORITY_MAX = 4999
CLUSTER_CMDLETS: dict[str, tuple[Cmdlet, tuple[str, ...]]] = {
    "Get-Cluster": (get_cluster, ("Name",)),
    "Get-ClusterNode": (get_cluster_node, ("Name",)),
    "Get-ClusterGroup": (get_cluster_group, ("Name", "VMId", "InputObject")),
    "Get-ClusterResource": (get_cluster_resource, ("Name", "VMId", "InputObject")),
    "Get-ClusterResourceType": (get_cluster_resource_type, ("Name",)),
    "Get-ClusterOwnerNode": (get_cluster_owner_node, ("Group", "Resource", "InputObject")),
    "Get-ClusterParameter": (get_cluster_parameter, ("Name", "InputObject")),
    "Set-ClusterParameter": (
        set_cluster_parameter,
        ("InputObject", "Name", "Value", "Create", "Delete"),
    ),
    "Get-ClusterAffinityRule": (get_cluster_affinity_rule, ()),
    "Get-ClusterSharedVolume": (get_cluster_shared_volume, ("Name",)),
    "Get-ClusterSharedVolumeState": (get_cluster_shared_volume_state, ()),
    "Move-ClusterVirtualMachineRole": (
        move_cluster_virtual_machine_role,
        ("Name", "VMId", "InputObject", "Node", "MigrationType", "Cancel", "Wait"),
    ),
    "Add-ClusterVirtualMachineRole": (
        add_cluster_virtual_machine_role,
        ("VMId", "VMName", "VirtualMachine", "Name", "InputObject"),
    ),
    "Start-ClusterGroup": (start_cluster_group, ("Name", "InputObject", "Wait")),
    "Suspend-ClusterNode": (
        suspend_cluster_node,
        ("Name", "InputObject", "Drain", "TargetNode", "Wait"),
    ),
    "Resume-ClusterNode": (resume_cluster_node, ("Name", "InputObject", "Failback")),
    SET_GROUP_PROPERTY: (set_group_property, ("InputObject", "Name", "Value")),
    "Set-ClusterOwnerNode": (
        set_cluster_owner_node,
        ("Group", "Resource", "InputObject", "Owners"),
    ),
}
