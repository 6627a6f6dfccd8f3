"""The conditions under which a setting is written (docs/protocol.md: `setRole`, `setFolders`)."""

from __future__ import annotations

from controller.model.names import fold, same_name
from controller.simulator.invoke import invoke
from controller.simulator.responder_case import Case, Finding, name_of, unless
from controller.simulator.responder_values import items_of, text_of
from controller.simulator.values import PSObject


def owners_of(case: Case, item: PSObject) -> list[str]:
    """Names in the list of owners of a group or a resource, in the cluster's order."""
    found = case.run("Get-ClusterOwnerNode", InputObject=item)
    owners = found[0].properties["OwnerNodes"] if found else []
    assert isinstance(owners, list)
    return [name_of(owner) for owner in owners if isinstance(owner, PSObject)]


def _setting_now(case: Case) -> list[str]:
    group = case.seen["group"]
    match case.setting:
        case "Failback":
            return ["on" if case.number("group", "AutoFailbackType") else "off"]
        case "Priority":
            return [str(case.number("group", "Priority"))]
        case "PreferredOwners":
            return owners_of(case, group)
        case _:
            machine = owners_of(case, case.resource("Virtual Machine"))
            other = owners_of(case, case.resource("Virtual Machine Configuration"))
            return sorted(n for n in machine if any(same_name(n, o) for o in other))


def setting_unchanged(case: Case) -> Finding:
    now = ", ".join(_setting_now(case))
    return unless(same_name(now, ", ".join(case.texts("before"))), now or "none")


def owners_exist(case: Case) -> Finding:
    if case.setting not in ("PossibleOwners", "PreferredOwners"):
        return None
    nodes = {fold(name_of(node)) for node in case.run("Get-ClusterNode")}
    return next((name for name in case.texts("after") if fold(name) not in nodes), None)


def owner_kept(case: Case) -> Finding:
    if case.setting != "PossibleOwners":
        return None
    owner, after = case.seen["group"].properties["OwnerNode"], case.texts("after")
    name = name_of(owner) if isinstance(owner, PSObject) else ""
    if not any(same_name(name, kept) for kept in after):
        return name
    return None if len(after) > 1 else "alone"


def folders_unchanged(case: Case) -> Finding:
    hypervisor = case.run("Get-VMHost")[0]
    now = ", ".join(text_of(hypervisor, f"Virtual{of}Path") for of in ("Machine", "HardDisk"))
    return unless(same_name(now, ", ".join(case.texts("before"))), now)


def folder_shared(case: Case) -> Finding:
    """Below a volume, not at its root."""
    folder = case.text("folder")
    mounts = [
        fold(text_of(mount, "FriendlyVolumeName"))
        for volume in case.run("Get-ClusterSharedVolume")
        for mount in items_of(volume, "SharedVolumeInfo")
    ]
    below = any(fold(folder).startswith(f"{mount}\\") for mount in mounts)
    plain = not {"", ".", ".."} & set(folder.split("\\"))
    return unless(below and plain, folder)


def folder_exists(case: Case) -> Finding:
    folder = case.text("folder")
    found = invoke(case.world, case.node, "Test-Path", {"LiteralPath": folder})
    return unless(found == [True], folder)
