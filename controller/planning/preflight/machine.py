"""Rules of a VM as it is, wherever it would go: storage, media and devices that tie it to a node.

Registration itself only warns and the VM then fails to start elsewhere (Microsoft docs,
Add-ClusterVirtualMachineRole): what a failover would not find must be asked before.
"""

from collections.abc import Iterable
from typing import Final

from controller.model.names import fold
from controller.model.observed import VMObserved
from controller.planning.preflight.ask import Ask, Finding, Untold, is_on_volume

PHYSICAL: Final = "physical:"


def configuration(ask: Ask) -> Finding:
    """The folder of the configuration."""
    seen = _seen(ask)
    if not seen.configuration_path:
        return Untold("the node gave no configuration path")
    return _elsewhere(ask, (seen.configuration_path,))


def disks(ask: Ask) -> Finding:
    """Every virtual disk."""
    return _elsewhere(ask, _seen(ask).disk_paths)


def media(ask: Ask) -> Finding:
    """ISO files and physical drives in the DVD drives."""
    return _elsewhere(ask, _seen(ask).media_paths)


def pass_through(ask: Ask) -> Finding:
    """A disk of the node itself; it can't be on a cluster shared volume."""
    return "a pass-through disk" if _seen(ask).pass_through else None


def same_name(ask: Ask) -> Finding:
    """Another VM of the name that is no role: an orphan, a replica or an old copy of this one."""
    seen = _seen(ask)
    named = ask.around.names.get(fold(seen.name), ())
    twins = [vm for vm in named if vm.id != seen.id and vm.role is None]
    if not twins:
        return None
    where = ", ".join(sorted({vm.host or "an unknown node" for vm in twins}))
    return f"another VM called {seen.name} on {where}"


def _elsewhere(ask: Ask, paths: Iterable[str]) -> Finding:
    """The paths that not every node reaches."""
    mounts = ask.around.mounts
    found = [path for path in paths if not (is_on_volume(path, mounts) or _is_share(path))]
    return ", ".join(found) if found else None


def _is_share(path: str) -> bool:
    r"""Whether it is on an SMB share: `\\server\share\...`, and no device path."""
    return path.startswith("\\\\") and not path.startswith(("\\\\?\\", "\\\\.\\"))


def _seen(ask: Ask) -> VMObserved:
    assert ask.seen is not None, "asked about a VM that does not exist"
    return ask.seen
