"""The documents in force become the desired state of one cluster: paths whole, policy complete.

Two specs for one VM freeze both and nothing else. A document that is absent asks for nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from controller.model.desired import (
    Conflict,
    Connection,
    DesiredState,
    DiskTemplate,
    Enforcement,
    Failback,
    MaintenanceDesired,
    MigrationKind,
    StartPolicy,
    VMDesired,
    VMTemplate,
)
from controller.model.document import Document
from controller.model.findings import Finding
from controller.model.names import fold
from controller.model.policy import Balancer, DefaultPaths, Mode, NativePolicy, Policy
from controller.model.source import SourceState
from controller.model.spec import FailoverCluster, NodeMaintenance, VirtualMachinePlacement
from controller.model.spec.cluster import FailoverClusterSpec, Window
from controller.model.spec.placement import IDE_DISKS_MAX, Template
from controller.model.window import ChangeWindow, WindowEffect, parse_cron


def resolve(
    cluster: Document,
    placements: Sequence[Document],
    findings: Sequence[Finding],
    revision: str,
    sources: Sequence[SourceState] = (),
) -> DesiredState:
    """Merge the cluster's document and the placements that name it; their order is irrelevant.

    Placements of other clusters are left out. `findings` and `revision` are passed on as they are,
    of `sources` only what concerns this cluster.
    """
    model = cluster.model
    assert isinstance(model, FailoverCluster)
    wanted = sorted(
        (
            _vm(document, document.model)
            for document in placements
            if isinstance(document.model, VirtualMachinePlacement)
            and document.model.spec.cluster == cluster.name
            and may_place(document, cluster)
        ),
        key=lambda vm: (vm.key, vm.spec_name, vm.source),
    )
    groups = _same(wanted)
    return DesiredState(
        cluster=cluster.name,
        revision=revision,
        policy=_policy(model.spec),
        connection=_connection(model.spec),
        vms=tuple(group[0] for group in groups if len(group) == 1),
        conflicts=tuple(Conflict(key=g[0].key, vms=g) for g in groups if len(g) > 1),
        findings=tuple(findings),
        sources=tuple(_of_cluster(source, cluster.name, wanted) for source in sources),
        maintenances=_maintenances(cluster.name, placements),
    )


def _maintenances(cluster: str, documents: Sequence[Document]) -> tuple[MaintenanceDesired, ...]:
    """One for each node that a document names; two for one node contradict each other."""
    found: dict[str, MaintenanceDesired] = {}
    for document in sorted(documents, key=lambda d: (d.name, d.place)):
        model = document.model
        if not isinstance(model, NodeMaintenance) or model.spec.cluster != cluster:
            continue
        fresh = _maintenance(document, model)
        first = found.setdefault(fresh.key, fresh)
        if first is not fresh:
            places = (*first.contradicts, fresh.source)
            found[fresh.key] = replace(first, contradicts=places)
    return tuple(found[key] for key in sorted(found))


def _maintenance(document: Document, model: NodeMaintenance) -> MaintenanceDesired:
    spec, start, end = model.spec, None, None
    if spec.window is not None:
        start = datetime.fromisoformat(spec.window.start)
        end = start + timedelta(seconds=spec.window.duration_seconds)
    return MaintenanceDesired(
        key=f"node:{fold(spec.node)}",
        spec_name=document.name,
        node=spec.node,
        source=document.place,
        start=start,
        end=end,
        returns=spec.afterwards == "Return",
        suspended=spec.suspend,
        generation=document.generation,
    )


def _of_cluster(source: SourceState, cluster: str, wanted: Sequence[VMDesired]) -> SourceState:
    """The source without undeclared VMs of other clusters, or that another source declares."""
    if not source.undeclared:
        return source
    declared = {fold(vm.name or vm.id or "") for vm in wanted}
    left = (vm for vm in source.undeclared if vm.cluster == cluster and fold(vm.vm) not in declared)
    return replace(source, undeclared=tuple(left))


def strays(clusters: Iterable[Document], placements: Sequence[Document]) -> tuple[Finding, ...]:
    """A finding for each placement that no configured cluster takes: nothing would act on it."""
    known = {cluster.name: cluster for cluster in clusters}
    return tuple(
        finding
        for document in placements
        if isinstance(document.model, VirtualMachinePlacement | NodeMaintenance)
        and (finding := _stray(document, document.model.spec.cluster, known)) is not None
    )


def may_place(document: Document, cluster: Document) -> bool:
    """Whether the cluster takes placements from there: the operator's own have no namespace."""
    assert isinstance(cluster.model, FailoverCluster)
    return not document.namespace or document.namespace in cluster.model.spec.allowed_namespaces


def _stray(document: Document, name: str, known: Mapping[str, Document]) -> Finding | None:
    cluster = known.get(name)
    if cluster is None:
        at, message = "spec.cluster", f"no cluster {name} is configured"
        expected = " or ".join(sorted(known))
    elif not may_place(document, cluster):
        at = "metadata.namespace"
        message = f"{document.namespace} may not place VMs in {name}"
        expected = f"it among the allowedNamespaces of FailoverCluster {name}"
    else:
        return None
    return Finding(
        file=document.file,
        line=document.line,
        column=1 if document.line else 0,
        path=at,
        message=message,
        expected=expected,
    )


def _same(vms: Sequence[VMDesired]) -> tuple[tuple[VMDesired, ...], ...]:
    """Group the specs that mean one VM or bear one name, in the order of their keys.

    One name for two VMs counts too: which of both somebody meant to replace is not known.
    """
    leader: dict[str, str] = {}

    def find(word: str) -> str:
        while leader.setdefault(word, word) != word:
            word = leader[word]
        return word

    for vm in vms:
        leader[find(f"spec:{vm.spec_name}")] = find(vm.key)
    groups: dict[str, list[VMDesired]] = {}
    for vm in vms:
        groups.setdefault(find(vm.key), []).append(vm)
    return tuple(tuple(group) for group in groups.values())


def _vm(document: Document, model: VirtualMachinePlacement) -> VMDesired:
    spec = model.spec
    vm_id = spec.vm.id.lower() if spec.vm.id is not None else None
    name = spec.vm.name
    key = f"id:{vm_id}" if vm_id is not None else f"name:{fold(name or '')}"
    availability = spec.high_availability
    compatible = spec.migration.processor_compatibility == "Enabled"
    return VMDesired(
        key=key,
        spec_name=document.name,
        name=name,
        id=vm_id,
        source=document.place,
        generation=document.generation,
        preferred=spec.owners.preferred,
        possible=spec.owners.possible,
        enforcement=Enforcement(spec.owners.enforcement),
        failback=Failback(spec.owners.failback),
        register=availability.registers,
        accepts=frozenset(name[0].lower() + name[1:] for name in availability.accept),
        start=StartPolicy(availability.start),
        priority=_PRIORITIES[availability.priority] if availability.priority else None,
        migration=MigrationKind(spec.migration.kind),
        processor_compatibility=compatible,
        suspended=spec.suspend,
        template=_template(spec.template, name or "", compatible)
        if spec.template is not None
        else None,
    )


_PRIORITIES = {"NoAutoStart": 0, "Low": 1000, "Medium": 2000, "High": 3000}
"""Of a cluster group (Microsoft docs, CLUSTER_GROUP_PRIORITY)."""


def _template(template: Template, name: str, compatible: bool) -> VMTemplate:
    dynamic, install = template.memory.dynamic, template.install
    return VMTemplate(
        generation=template.generation,
        memory_startup_bytes=template.memory.startup_bytes,
        memory_minimum_bytes=dynamic.minimum_bytes if dynamic else None,
        memory_maximum_bytes=dynamic.maximum_bytes if dynamic else None,
        processors=template.processors.count,
        processor_compatibility=compatible,
        location=template.location,
        disks=tuple(
            DiskTemplate(
                path=_below(disk.path, f"{template.location}\\{name}"),
                create_bytes=disk.create.size_bytes if disk.create else None,
                controller=controller,
            )
            for disk, controller in zip(template.disks, _controllers(template), strict=True)
        ),
        secure_boot_template=template.secure_boot.template if template.secure_boot else None,
        switch=template.network.switch if template.network else None,
        vlan=template.network.vlan if template.network else None,
        iso=install.iso if install else None,
        physical_drive=install.physical_drive if install else None,
        boots_from_network=bool(install and install.network),
        automatic_stop=template.automatic_stop,
    )


def _controllers(template: Template) -> Iterator[str]:
    """Each disk's controller, as the spec says or as there is room."""
    ide_free = IDE_DISKS_MAX if template.generation == 1 else 0
    ide_free -= sum(1 for disk in template.disks if disk.controller == "IDE")
    for disk in template.disks:
        if disk.controller is None and ide_free > 0:
            ide_free -= 1
            yield "IDE"
        else:
            yield disk.controller or "SCSI"


def _below(path: str, folder: str) -> str:
    """The path itself if it has a drive, else within the folder."""
    return path if path[1:2] == ":" else f"{folder}\\{path}"


def _connection(spec: FailoverClusterSpec) -> Connection:
    connection = spec.connection
    return Connection(
        seeds=connection.nodes,
        addresses=_read_only({fold(n): address for n, address in connection.addresses.items()}),
        authentication=connection.authentication,
        credentials_file=connection.credentials.file,
        credentials_env=connection.credentials.env,
        credentials_secret=connection.credentials.secret_ref.name
        if connection.credentials.secret_ref
        else None,
        ca_file=connection.tls.ca if connection.tls else None,
        pins=_read_only({fold(n): pin for n, pin in connection.tls.pins.items()})
        if connection.tls
        else _read_only({}),
        ntlm_over_http=connection.ntlm_over_http,
        transport=connection.transport,
    )


def _policy(spec: FailoverClusterSpec) -> Policy:
    policy = Policy(
        mode=Mode(spec.mode),
        balancer=Balancer(spec.balancer),
        native_policy=NativePolicy(spec.native_policy),
        default_paths=DefaultPaths(spec.default_paths),
        default_folder=spec.default_folder,
        interval_seconds=spec.interval_seconds,
        moves_per_node_max=spec.migration.per_node,
        moves_per_cluster_max=spec.migration.per_cluster,
        foreign_respect_seconds=spec.foreign_moves.respect_seconds,
        cooldown_seconds=spec.brakes.cooldown_seconds,
        settle_seconds=spec.timing.settle_seconds,
        node_stable_seconds=spec.timing.node_stable_seconds,
        failure_pause_seconds=spec.timing.failure_pause_seconds,
        changes_per_commit_share=spec.brakes.changes_per_commit / 100,
        moves_per_vm_per_day_max=spec.brakes.moves_per_vm_per_day,
        node_failures_tolerated=spec.capacity.tolerate_node_failures,
        fault_domains=_read_only(
            {fold(n.name): n.fault_domain for n in spec.nodes if n.fault_domain is not None}
        ),
        windows=tuple(_window(window) for window in spec.windows),
    )
    reserve = spec.capacity.memory_reserve
    if reserve is None:
        return policy
    if reserve.percent is None:
        return replace(policy, memory_reserve_bytes=reserve.size_bytes)
    return replace(policy, memory_reserve_share=reserve.percent / 100, memory_reserve_bytes_min=0)


def _window(window: Window) -> ChangeWindow:
    return ChangeWindow(
        effect=WindowEffect(window.effect),
        cron=parse_cron(window.schedule),
        duration_seconds=window.duration,
        zone=ZoneInfo(window.time_zone),
    )


def _read_only(mapping: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(mapping))
