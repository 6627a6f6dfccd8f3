"""Rules of a VM as it is, wherever it would go: storage, media and devices that tie it to a node.

Registration itself only warns and the VM then fails to start elsewhere (Microsoft docs,
Add-ClusterVirtualMachineRole): what a failover would not find must be asked before.
"""

from collections.abc import Iterable

from controller.model.names import fold
from controller.model.observed import VMObserved
from controller.planning.preflight.ask import Ask, Finding, Untold, is_on_volume


def configuration(ask: Ask) -> Finding:
    """The folder of the configuration."""
    seen = _seen(ask)
    if not seen.configuration_path:
        return Untold("the node gave no configuration path")
    return _elsewhere(ask, (seen.configuration_path,))


def disks(ask: Ask) -> Finding:
    """Every virtual disk."""
    return _elsewhere(ask, _seen(ask).disk_paths)


def checkpoints(ask: Ask) -> Finding:
    """The folder of the checkpoints."""
    path = _seen(ask).checkpoint_path
    return _elsewhere(ask, (path,)) if path else None


def smart_paging(ask: Ask) -> Finding:
    """The folder of the smart paging file."""
    path = _seen(ask).paging_path
    return _elsewhere(ask, (path,)) if path else None


def redirected(ask: Ask) -> Finding:
    """Nodes that reach a volume of its only by way of another node."""
    seen = _seen(ask)
    paths = (seen.configuration_path, *seen.disk_paths)
    found = [
        f"{node.name} reaches {mount} only by way of another node"
        for node in ask.around.nodes.values()
        for mount in node.volumes_redirected
        if any(is_on_volume(path, (fold(mount) + "\\",)) for path in paths)
    ]
    return "; ".join(found) or None


def media(ask: Ask) -> Finding:
    """ISO files and physical drives in the DVD drives."""
    return _elsewhere(ask, _seen(ask).media_paths)


def pass_through(ask: Ask) -> Finding:
    """A disk of the node itself; it can't be on a cluster shared volume."""
    return "a pass-through disk" if _seen(ask).pass_through else None


def shared_disk(ask: Ask) -> Finding:
    """A disk that guests of several VMs use at once."""
    shared = _seen(ask).shared_disks
    return f"shared disk {', '.join(shared)}" if shared else None


def assigned_device(ask: Ask) -> Finding:
    """Discrete device assignment."""
    devices = _seen(ask).assigned_devices
    return f"{devices} assigned devices" if devices else None


def fibre_channel(ask: Ask) -> Finding:
    """Virtual fibre channel; whether its second set of addresses is zoned shows nowhere."""
    adapters = _seen(ask).fibre_channel
    return f"{adapters} virtual fibre channel adapters" if adapters else None


def inner_switch(ask: Ask) -> Finding:
    """A switch of that name elsewhere is another network."""
    seen = _seen(ask)
    host = ask.around.nodes.get(fold(seen.host or ""))
    if host is None or not host.switches_inner:
        return None
    inner = {fold(name) for name in host.switches_inner}
    found = [name for name in seen.switches if fold(name) in inner]
    return f"internal or private switch {', '.join(found)}" if found else None


def tpm(ask: Ask) -> Finding:
    """A virtual TPM needs the certificates of its key protector, which no cmdlet shows."""
    if not (_seen(ask).tpm or _seen(ask).shielded):
        return None
    return Untold("it has a virtual TPM; whether other nodes hold its certificates is not shown")


def replica(ask: Ask) -> Finding:
    """The replica of a VM that runs elsewhere."""
    return "it is a replica of a VM that runs elsewhere" if _seen(ask).replica else None


def move_type(ask: Ask) -> Finding:
    """What a drain, or a node that shuts down, does to it; our own moves are always live."""
    role, threshold = _seen(ask).role, ask.around.move_type_threshold
    if role is None or role.priority >= threshold:
        return None
    return f"its priority {role.priority} is below MoveTypeThreshold {threshold}"


def affinity(ask: Ask) -> Finding:
    """A rule of the cluster that keeps it together with others: moving one moves all."""
    rule = ask.around.together.get(_seen(ask).id) if ask.around.together else None
    return f"affinity rule {rule} moves other VMs with it" if rule is not None else None


def unmonitored(ask: Ask) -> Finding:
    """The cluster has no contact with the node that it is on."""
    role = _seen(ask).role
    return "the cluster does not monitor it now" if role is not None and role.unmonitored else None


def same_name(ask: Ask) -> Finding:
    """Another VM of the name that is no role: an orphan, a replica or an old copy of this one."""
    seen = _seen(ask)
    named = ask.around.names.get(fold(seen.name), ())
    if len(named) < 2:
        return None
    twins = [vm for vm in named if vm.id != seen.id and vm.role is None]
    if not twins:
        return None
    where = ", ".join(sorted({vm.host or "an unknown node" for vm in twins}))
    return f"another VM called {seen.name} on {where}"


def _elsewhere(ask: Ask, paths: Iterable[str]) -> Finding:
    """The paths that not every node reaches."""
    mounts = ask.around.mounts
    found = [path for path in paths if not (is_on_volume(path, mounts) or _is_share(path))]
    return ", ".join(found) or None


def _is_share(path: str) -> bool:
    r"""Whether it is on an SMB share: `\\server\share\...`, and no device path."""
    return path.startswith("\\\\") and not path.startswith(("\\\\?\\", "\\\\.\\"))


def _seen(ask: Ask) -> VMObserved:
    assert ask.seen is not None, "asked about a VM that does not exist"
    return ask.seen
