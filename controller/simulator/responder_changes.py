"""The operations that change something: conditions in their order, then one cmdlet or one job.

docs/protocol.md names the conditions and the steps of a creation. A job is a process of its own on
a real node; here its steps are events of the world, so time passes and things change between them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from controller.simulator.cluster_cmdlets import SET_GROUP_PROPERTY
from controller.simulator.cmdlet_errors import NodeHangs
from controller.simulator.invoke import invoke
from controller.simulator.jobs import Job
from controller.simulator.responder_case import Case
from controller.simulator.responder_conditions import first_untrue
from controller.simulator.values import CmdletError, PSObject, Value
from controller.simulator.world import World

_ERROR_CHARACTERS_MAX = 256
_CLAIM = "notStopped epochOlder"
_FENCE = "notStopped epochCurrent"
"""Comes before the conditions of every other change."""
_MOVE = (
    "vmHere roleExists owner vmRunning roleOnline notQueued notLocked noMigration notBusy "
    "targetExists targetUp targetNotDraining targetNotIsolated targetNotQuarantined "
    "targetNotAvoided targetPossible mediaShared"
)
_START = "vmHere roleExists owner vmOff roleOffline notQueued notLocked noMigration notBusy nodeUp"
_SET_ROLE = (
    "vmHere roleExists owner notQueued notLocked noMigration notBusy settingUnchanged ownersExist "
    "ownerKept"
)
_SET_PROCESSOR = "vmHere vmOff noMigration notBusy"
_REGISTER = (
    "intentNew vmHere notClustered roleNameFree vmAtRest noMigration notBusy nodeUp storageShared"
)
_CREATE = (
    "intentNew nameFree roleNameFree nodeUp folderFree disksFree disksExist "
    "disksUnattached mediaExists driveExists switchExists volumeHasRoom"
)
_SUSPEND = "nodeHere nodeUp othersUp"
_RESUME = "nodeHere nodeOnlyPaused"
_SET_FOLDERS = "nodeHere nodeUp foldersUnchanged folderShared folderExists"

Data = dict[str, Any]
Step = tuple[str, Callable[[], None]]


class _Untrue(Exception):
    """A condition that a pause has changed."""


def claim_epoch(world: World, node: str, arguments: Mapping[str, object]) -> Data:
    """The holder first: broken off in between, the old epoch is nobody's."""
    case = Case(world=world, node=node, arguments=arguments)
    epoch, holder = case.epoch, case.holder
    if refusal := _untrue(case, _CLAIM):
        return refusal
    for name, value in (("OwnernodeHolder", holder), ("OwnernodeEpoch", epoch)):
        case.run(
            "Set-ClusterParameter",
            InputObject=case.seen["cluster"],
            Name=name,
            Value=value,
            Create=True,
        )
    return {"outcome": "submitted"}


def move_role(world: World, node: str, arguments: Mapping[str, object]) -> Data:
    case = Case(world=world, node=node, arguments=arguments)
    if refusal := _refusal(case, _MOVE):
        return refusal
    case.run(
        "Move-ClusterVirtualMachineRole",
        VMId=case.vm_id,
        Node=str(case.seen["target"].properties["Name"]),
        MigrationType="Live",
        Wait=0,
    )
    return {"outcome": "submitted"}


def start_role(world: World, node: str, arguments: Mapping[str, object]) -> Data:
    case = Case(world=world, node=node, arguments=arguments)
    if refusal := _refusal(case, _START):
        return refusal
    case.run("Start-ClusterGroup", Name=case.seen["group"].properties["Name"], Wait=0)
    return {"outcome": "submitted"}


def set_role(world: World, node: str, arguments: Mapping[str, object]) -> Data:
    """Property by property: a group has no cmdlet that would set them."""
    case = Case(world=world, node=node, arguments=arguments)
    _ = case.setting, case.texts("before"), case.texts("after")
    if refusal := _refusal(case, _SET_ROLE):
        return refusal
    group, after = case.seen["group"], list[Value](case.texts("after"))
    match case.setting:
        case "Failback":
            case.run(SET_GROUP_PROPERTY, InputObject=group, Name="AutoFailbackType", Value=0)
        case "Priority":
            case.run(
                SET_GROUP_PROPERTY, InputObject=group, Name="Priority", Value=int(str(after[0]))
            )
        case "PreferredOwners":
            case.run("Set-ClusterOwnerNode", InputObject=group, Owners=after)
        case _:
            for kind in ("Virtual Machine", "Virtual Machine Configuration"):
                case.run("Set-ClusterOwnerNode", InputObject=case.resource(kind), Owners=after)
    return {"outcome": "submitted"}


def set_processor(world: World, node: str, arguments: Mapping[str, object]) -> Data:
    case = Case(world=world, node=node, arguments=arguments)
    if refusal := _refusal(case, _SET_PROCESSOR):
        return refusal
    case.run("Set-VMProcessor", VM=case.seen["vm"], CompatibilityForMigrationEnabled=True)
    world.jobs.kept(node).pop(case.vm_id, None)
    return {"outcome": "submitted"}


def suspend_node(world: World, node: str, arguments: Mapping[str, object]) -> Data:
    case = Case(world=world, node=node, arguments=arguments)
    if refusal := _refusal(case, _SUSPEND):
        return refusal
    case.run("Suspend-ClusterNode", Name=node)
    return {"outcome": "submitted"}


def resume_node(world: World, node: str, arguments: Mapping[str, object]) -> Data:
    case = Case(world=world, node=node, arguments=arguments)
    if refusal := _refusal(case, _RESUME):
        return refusal
    case.run("Resume-ClusterNode", Name=node, Failback="NoFailback")
    return {"outcome": "submitted"}


def set_folders(world: World, node: str, arguments: Mapping[str, object]) -> Data:
    """Whatever comes of it, the node's folders are read anew at the next look."""
    case = Case(world=world, node=node, arguments=arguments)
    folder, _ = case.text("folder"), case.texts("before")
    world.jobs.kept(node).pop("", None)
    if refusal := _refusal(case, _SET_FOLDERS):
        return refusal
    case.run("Set-VMHost", VirtualMachinePath=folder, VirtualHardDiskPath=folder)
    return {"outcome": "submitted"}


def register_vm(world: World, node: str, arguments: Mapping[str, object]) -> Data:
    case = Case(world=world, node=node, arguments=arguments)
    if refusal := _refusal(case, _REGISTER):
        return refusal
    job = world.jobs.start(node, case.text("intent"), "registerVm")
    job.vm_id = case.vm_id

    def register() -> None:
        _check_again(case, "notStopped vmHere notClustered")
        case.run("Add-ClusterVirtualMachineRole", VMId=case.vm_id)

    _run_steps(case, job, [("register", register)])
    return {"outcome": "submitted"}


def create_vm(world: World, node: str, arguments: Mapping[str, object]) -> Data:
    case = Case(world=world, node=node, arguments=arguments)
    if refusal := _refusal(case, _CREATE):
        return refusal
    job = world.jobs.start(node, case.text("intent"), "createVm")
    _run_steps(case, job, _Creation(case, job).steps())
    return {"outcome": "submitted"}


class _Creation:
    """The steps of one creation; nothing is taken back when one fails."""

    def __init__(self, case: Case, job: Job) -> None:
        self._case = case
        self._job = job
        self._template = case.template
        self._vm: PSObject | None = None

    def steps(self) -> list[Step]:
        """Those that this template needs, in the order of docs/protocol.md."""
        template = self._template
        second = template["generation"] == 2
        wanted: tuple[tuple[str, bool, Callable[[], None]], ...] = (
            ("newVm", True, self._new_vm),
            ("mark", True, lambda: self._set("Set-VM", Notes=self._mark("creating"))),
            ("memory", True, self._memory),
            ("processors", True, self._processors),
            ("disks", bool(template["disks"]), self._disks),
            ("media", self._medium is not None, self._media),
            ("network", template["vlan"] is not None, self._network),
            ("firmware", second and template["secureBootTemplate"] is not None, self._firmware),
            ("stopAction", template["stopAction"] is not None, self._stop_action),
            ("finish", True, lambda: self._set("Set-VM", Notes=self._mark("created"))),
        )
        return [(name, action) for name, needed, action in wanted if needed]

    def _mark(self, word: str) -> str:
        return f"ownernode:{self._case.text('intent')}:{word}"

    def _set(self, cmdlet: str, **parameters: Value) -> None:
        invoke(self._case.world, self._case.node, cmdlet, {"VM": self._vm, **parameters})

    def _new_vm(self) -> None:
        _check_again(self._case, "notStopped nameFree disksUnattached")
        template = self._template
        more = {} if template["switch"] is None else {"SwitchName": template["switch"]}
        if template["networkBoot"]:
            old = template["generation"] == 1
            more["BootDevice"] = "LegacyNetworkAdapter" if old else "NetworkAdapter"
        found = self._case.run(
            "New-VM",
            Name=self._case.text("name"),
            Path=template["location"],
            Generation=template["generation"],
            MemoryStartupBytes=template["memoryStartupBytes"],
            NoVHD=True,
            **more,
        )
        self._vm = found[0]
        self._job.vm_id = str(found[0].properties["Id"])

    def _memory(self) -> None:
        template = self._template
        least, most = template["memoryMinimumBytes"], template["memoryMaximumBytes"]
        dynamic = least is not None and most is not None
        limits = {"MinimumBytes": least, "MaximumBytes": most} if dynamic else {}
        self._set(
            "Set-VMMemory",
            StartupBytes=template["memoryStartupBytes"],
            DynamicMemoryEnabled=dynamic,
            **limits,
        )

    def _processors(self) -> None:
        more = {"CompatibilityForMigrationEnabled": True}
        self._set(
            "Set-VMProcessor",
            Count=self._template["processors"],
            **(more if self._template["processorCompatibility"] else {}),
        )

    def _disks(self) -> None:
        for disk in self._template["disks"]:
            if disk["createBytes"] is not None:
                self._case.run(
                    "New-VHD", Path=disk["path"], SizeBytes=disk["createBytes"], Dynamic=True
                )
            self._set("Add-VMHardDiskDrive", ControllerType=disk["controller"], Path=disk["path"])

    @property
    def _medium(self) -> Any:
        return self._template["iso"] or self._template["physicalDrive"]

    def _stop_action(self) -> None:
        self._set("Set-VM", AutomaticStopAction=self._template["stopAction"])

    def _media(self) -> None:
        medium = self._medium
        if self._template["generation"] == 2:
            self._set("Add-VMDvdDrive", Path=medium)
            return
        drive = self._case.run("Get-VMDvdDrive", VM=self._vm)[0]
        self._case.run("Set-VMDvdDrive", VMDvdDrive=drive, Path=medium)

    def _network(self) -> None:
        self._set("Set-VMNetworkAdapterVlan", Access=True, VlanId=self._template["vlan"])

    def _firmware(self) -> None:
        template = self._template["secureBootTemplate"]
        self._set("Set-VMFirmware", EnableSecureBoot="On", SecureBootTemplate=template)


def _refusal(case: Case, names: str) -> Data | None:
    """The first condition that does not hold, those of the fence before all others."""
    _ = case.epoch, case.holder  # missing ones are a bad call, whatever holds
    return _untrue(case, f"{_FENCE} {names}")


def _untrue(case: Case, names: str) -> Data | None:
    untrue = first_untrue(case, tuple(names.split()))
    if untrue is None:
        return None
    return {"outcome": "refused", "condition": untrue[0], "found": untrue[1]}


def _check_again(case: Case, names: str) -> None:
    untrue = first_untrue(case, tuple(names.split()))
    if untrue is not None:
        raise _Untrue(f"Refused: {untrue[0]}, found {untrue[1] or ''}")


def _run_steps(case: Case, job: Job, steps: list[Step]) -> None:
    """Enter the first step when the job's process has started, each other one later.

    Each only while the caller still holds the cluster.
    """
    world = case.world

    def enter(number: int) -> None:
        if job.killed:
            return
        name, action = steps[number]
        job.step = name
        try:
            _check_again(case, "epochCurrent")
            action()
        except NodeHangs as hanging:  # a cluster cmdlet on a node that is cut off
            world.after(hanging.until - world.now, lambda: enter(number))
        except CmdletError as error:
            _fail(job, f"{error.fqid}: {error.message}")
        except _Untrue as error:
            _fail(job, f"{error}")
        else:
            if number + 1 == len(steps):
                job.state = "Succeeded"
            else:
                world.after(world.timing.job_step_seconds, lambda: enter(number + 1))

    world.after(world.timing.job_start_seconds, lambda: enter(0))


def _fail(job: Job, error: str) -> None:
    job.state = "Failed"
    job.error = error[:_ERROR_CHARACTERS_MAX]
