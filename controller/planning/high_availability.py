"""The high-availability report of a VM, as the cluster's own wizard words it.

Registration itself only warns and the VM then fails to start elsewhere (Microsoft docs,
Add-ClusterVirtualMachineRole), so configuration and disks off the shared volumes block here. Media
elsewhere warns, as in the wizard: the VM fails over once the medium is taken out.
"""

from typing import Final

from controller.model.observed import VMObserved, Volume
from controller.model.report import CheckVerdict, HACheck

_PHYSICAL: Final = "physical:"
_ON_CSV: Final = "on a cluster shared volume"


def ha_checks(seen: VMObserved, volumes: tuple[Volume, ...]) -> tuple[HACheck, ...]:
    """Check configuration, disks, media and devices of a VM."""
    mounts = tuple(v.path.lower() + "\\" for v in volumes)
    return (
        _configuration(seen, mounts),
        _disks(seen, mounts),
        _media(seen, mounts),
        _DEVICES_BLOCK if seen.pass_through else _DEVICES_PASS,
    )


def blocking_check(seen: VMObserved, volumes: tuple[Volume, ...]) -> HACheck | None:
    """The first check that forbids registration; what can't be told forbids it too."""
    bad = (CheckVerdict.BLOCKS, CheckVerdict.CANNOT_TELL)
    return next((c for c in ha_checks(seen, volumes) if c.verdict in bad), None)


def is_on_volume(path: str, mounts: tuple[str, ...]) -> bool:
    """Whether a path is below a mount; mounts are folded and end with a backslash.

    With the backslash, since `Volume1` is a prefix of `Volume10`.
    """
    return (path.lower() + "\\").startswith(mounts) if mounts else False


def _configuration(seen: VMObserved, mounts: tuple[str, ...]) -> HACheck:
    if not seen.configuration_path:
        return HACheck(
            name="configuration",
            verdict=CheckVerdict.CANNOT_TELL,
            found="the node gave no configuration path",
            remedy="look at the VM in Hyper-V Manager",
        )
    if is_on_volume(seen.configuration_path, mounts):
        return _CONFIGURATION_PASS
    return HACheck(
        name="configuration",
        verdict=CheckVerdict.BLOCKS,
        found=seen.configuration_path,
        remedy="move the VM's storage to a cluster shared volume (Move-VMStorage)",
    )


def _disks(seen: VMObserved, mounts: tuple[str, ...]) -> HACheck:
    elsewhere = [path for path in seen.disk_paths if not is_on_volume(path, mounts)]
    if not elsewhere:
        return _DISKS_PASS
    return HACheck(
        name="disks",
        verdict=CheckVerdict.BLOCKS,
        found=", ".join(elsewhere),
        remedy="move these disks to a cluster shared volume (Move-VMStorage)",
    )


def _media(seen: VMObserved, mounts: tuple[str, ...]) -> HACheck:
    elsewhere = [path for path in seen.media_paths if not is_on_volume(path, mounts)]
    if not elsewhere:
        return _MEDIA_PASS
    physical = any(path.startswith(_PHYSICAL) for path in elsewhere)
    return HACheck(
        name="media",
        verdict=CheckVerdict.WARNS,
        found=", ".join(elsewhere),
        remedy="take the node's own drive out of the VM"
        if physical
        else "eject the ISO, or put it on a cluster shared volume",
    )


# One object each for the many VMs that pass: a report of 8,000 VMs is made every cycle.
_CONFIGURATION_PASS: Final = HACheck(
    name="configuration", verdict=CheckVerdict.PASSES, found=_ON_CSV, remedy=""
)
_DISKS_PASS: Final = HACheck(name="disks", verdict=CheckVerdict.PASSES, found=_ON_CSV, remedy="")
_MEDIA_PASS: Final = HACheck(
    name="media", verdict=CheckVerdict.PASSES, found="none outside shared volumes", remedy=""
)
_DEVICES_PASS: Final = HACheck(
    name="devices", verdict=CheckVerdict.PASSES, found="no pass-through disk", remedy=""
)
_DEVICES_BLOCK: Final = HACheck(
    name="devices",
    verdict=CheckVerdict.BLOCKS,
    found="a pass-through disk",
    remedy="replace it by a virtual disk on a cluster shared volume",
)
