"""What changes on a node between the last look and the command, one hazard for each condition.

The controller can't know: only the node's own condition keeps the command from having its effect.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from controller.model.history import History
from controller.simulator.inventory import Disk, File
from controller.simulator.responder_conditions import CONDITIONS
from controller.simulator.states import DrainStatus, NodeFlag, Stage, VmOperationalStatus, VmState
from controller.simulator.storage import create_file
from tests.simulation.checker import CLAIM, Checker, Rule
from tests.simulation.hazards_nodes import OURS, is_to_be_empty, pause
from tests.simulation.hazards_settings import folders_due
from tests.simulation.hazards_vm import REGISTERED
from tests.simulation.kills import Kill
from tests.simulation.stage import CLUSTER, Deed, Draft, Staged, Story, never, template
from tests.support.in_process import Call

Staging = Callable[[int], Story]
_RIVAL_EPOCH = 99
_TRUSTED = History(cluster=CLUSTER, trusted=True)


def condition_kills() -> list[Kill]:
    """Each condition that a hazard is staged for, away."""
    return [
        Kill(
            name=" and ".join((name, *_BESIDE.get(name, ()))),
            patches=lambda name=name: [
                (CONDITIONS, away, lambda case: None) for away in (name, *_BESIDE.get(name, ()))
            ],
            story=story,
        )
        for name, story in CONDITIONS_STAGED.items()
    ]


_BESIDE: Mapping[str, tuple[str, ...]] = {"noMigration": ("notBusy",)}
"""Conditions that refuse the same: a VM that is migrated shows a status that is not Ok."""


def _before_the_command(deed: Deed) -> Deed:
    """It happens while the first command that is no claim is on its way."""

    def wait(play: Staged) -> None:
        def strike(call: Call) -> None:
            if call.operation == CLAIM:
                play.wire.before.insert(0, strike)
            else:
                deed(play)

        play.wire.before.append(strike)

    return wait


def _move(deed: Deed, *effects: Rule, **doubts: str) -> Staging:
    def build(seed: int) -> Story:
        draft = Draft(seed)
        draft.due()
        options = draft.options(seconds=60.0, migrations=4, doubts=doubts)
        before = (_before_the_command(deed),)
        return Story(options=options, past=_TRUSTED, before=before, effects=effects)

    return build


def _start(deed: Deed) -> Staging:
    def build(seed: int) -> Story:
        draft = Draft(seed)
        draft.vm("A1", state="Off")
        draft.want("A1", highAvailability={"register": True, "start": "AfterRegistration"})
        options = draft.options(seconds=60.0)
        return Story(options=options, past=REGISTERED, before=(_before_the_command(deed),))

    return build


def _register(deed: Deed, *effects: Rule) -> Staging:
    def build(seed: int) -> Story:
        draft = Draft(seed)
        draft.vm("A1", clustered=False)
        draft.vm("B1", "HV02")
        draft.want("A1", highAvailability={"register": True})
        options = draft.options(seconds=60.0)
        before = (_before_the_command(deed),)
        return Story(options=options, past=_TRUSTED, before=before, effects=effects)

    return build


def _create(deed: Deed, *effects: Rule, files: Sequence[str] = (), **more: Any) -> Staging:
    def build(seed: int) -> Story:
        draft = Draft(seed)
        draft.vm("B1", "HV02")
        draft.want("A1", "HV02", template={**template(), **more})
        kept = [{"path": path, "node": "HV02"} for path in files]
        options = draft.options(seconds=120.0, files=kept)
        before = (_before_the_command(deed),)
        return Story(options=options, past=_TRUSTED, before=before, effects=effects)

    return build


def _set(deed: Deed) -> Staging:
    def build(seed: int) -> Story:
        draft = Draft(seed)
        draft.vm("A1", preferred_owners=["HV03"])
        draft.want("A1", "HV01")
        options = draft.options(seconds=60.0, nativePolicy="Manage")
        return Story(options=options, past=_TRUSTED, before=(_before_the_command(deed),))

    return build


def _node(*before: Deed, past: History = _TRUSTED) -> Callable[[Deed], Staging]:
    def with_deed(deed: Deed) -> Staging:
        def build(seed: int) -> Story:
            draft = Draft(seed)
            draft.vm("A1")
            draft.want("A1", "HV01")
            return Story(
                options=draft.options(seconds=60.0, nodes=5),
                past=past,
                before=(*before, _before_the_command(deed)),
            )

        return build

    return with_deed


def _claim(seed: int) -> Story:
    """A newer controller claims the cluster while our own claim is on its way."""
    draft = Draft(seed)
    draft.due()

    def went_back(c: Checker) -> None:
        _, epoch = c.world.cluster.parameters["ownernodeepoch"]
        if epoch != _RIVAL_EPOCH:
            c.accuse("I5", f"the epoch went back from {_RIVAL_EPOCH} to {epoch}")

    def race(play: Staged) -> None:
        play.wire.before.append(lambda call: _rival(play))
        play.wire.after.append(lambda call: went_back(play.checker))

    return Story(options=draft.options(seconds=60.0), past=_TRUSTED, before=(race,))


def _folders(deed: Deed) -> Staging:
    def build(seed: int) -> Story:
        story = folders_due(seed)
        return replace(story, before=(*story.before, _before_the_command(deed)))

    return build


def _flag(node: str, flag: NodeFlag) -> Deed:
    def deed(play: Staged) -> None:
        found = play.world.node(node)
        found.flags |= flag

    return deed


def _rival(play: Staged) -> None:
    play.world.cluster.parameters |= {
        "ownernodeepoch": ("OwnernodeEpoch", _RIVAL_EPOCH),
        "ownernodeholder": ("OwnernodeHolder", "99999999-2222-4333-8444-555555555555"),
    }


def _busy(play: Staged) -> None:
    play.world.begin_work("A1", VmOperationalStatus.MergingDisks)


def _fail(play: Staged) -> None:
    play.world.role("A1").failed = True


def _set_back(play: Staged) -> None:
    play.world.set_preferred_owners("A1", ["HV02"])


def _stop(play: Staged) -> None:
    play.world.stop_controllers("maintenance")


def _owned_elsewhere(play: Staged) -> None:
    play.world.role("A1").owner = "HV03"


def _moved_by_others(stage: Stage) -> Deed:
    def deed(play: Staged) -> None:
        play.world.move_live("A1", "HV03")
        play.world.cluster.migrations[play.world.vm("A1").id].stage = stage

    return deed


def _saved(play: Staged) -> None:
    play.world.vm("A1").state = VmState.Saved


def _drains(play: Staged) -> None:
    play.world.node("HV02").drain = DrainStatus.InProgress


def _new_file(path: str) -> Deed:
    def deed(play: Staged) -> None:
        create_file(play.world.cluster, play.world.node("HV02"), File(path=path))

    return deed


def _gone(path: str, node: str = "HV02") -> Deed:
    return lambda play: play.world.delete_file(node, path)


def _attached(play: Staged) -> None:
    play.world.vm("B1").disks.append(Disk(path=_DISK))


def _no_drive(play: Staged) -> None:
    play.world.node("HV02").dvd_drives = ()


def _full(play: Staged) -> None:
    volume = play.world.cluster.volumes[0]
    volume.other_bytes = volume.size_bytes


def _other_folders(play: Staged) -> None:
    play.world.node("HV03").vm_path = "E:\\VMs"


def _no_folder(play: Staged) -> None:
    for path in [path for path in play.world.cluster.files if path.endswith("new vms")]:
        del play.world.cluster.files[path]


def _taken(play: Staged) -> None:
    play.world.rename_role("B1", "A1")


def _moved_disk(play: Staged) -> None:
    path = play.world.vm("A1").disks[0].path
    play.world.move_disk("A1", path.replace(_ROOT, "D:\\VMs"))


_ROOT = "C:\\ClusterStorage\\Volume1"
_DISK, _ISO = f"{_ROOT}\\Disks\\a1.vhdx", f"{_ROOT}\\ISO\\setup.iso"
_NEW = [{"path": _DISK, "create": {"size": "20Gi"}}]
_NO_CREATION = never("createVm")
_SUSPEND = _node(is_to_be_empty)
_RESUME = _node(pause("HV03"), past=OURS)
CONDITIONS_STAGED: Mapping[str, Staging] = {
    "notStopped": _move(_stop, never()),
    "epochCurrent": _move(_rival),
    "epochOlder": _claim,
    "owner": _move(_owned_elsewhere),
    "vmRunning": _move(lambda play: play.world.pause_vm("A1")),
    "roleOnline": _move(_fail),
    "notLocked": _move(lambda play: play.world.lock_role("A1")),
    "notQueued": _move(_moved_by_others(Stage.QUEUED), migration_properties="absent"),
    "noMigration": _move(_moved_by_others(Stage.TRANSFER), group_state_in_transfer="Online"),
    "notBusy": _move(_busy),
    "targetUp": _move(pause("HV02")),
    "targetNotIsolated": _move(_flag("HV02", NodeFlag.Isolated)),
    "targetNotQuarantined": _move(_flag("HV02", NodeFlag.Quarantined)),
    "targetNotAvoided": _move(lambda play: play.world.avoid_node("HV02")),
    "targetPossible": _move(lambda play: play.world.set_possible_owners("A1", ["HV01", "HV03"])),
    "targetNotDraining": _move(_drains),
    "mediaShared": _move(lambda p: p.world.insert_iso("A1", "D:\\x.iso"), never("moveRole")),
    "vmOff": _start(_saved),
    "roleOffline": _start(_fail),
    "notClustered": _register(lambda play: play.world.register("A1", "Other")),
    "storageShared": _register(_moved_disk, never("registerVm")),
    "roleNameFree": _register(_taken),
    "vmAtRest": _register(lambda play: play.world.pause_vm("A1")),
    "nodeUp": _register(pause("HV01")),
    "nameFree": _create(lambda play: play.world.add_vm("A1", "HV02", memory_bytes=1024**3)),
    "folderFree": _create(_new_file(f"{_ROOT}\\A1\\left.txt")),
    "disksFree": _create(_new_file(_DISK), _NO_CREATION, disks=_NEW),
    "disksExist": _create(_gone(_DISK), _NO_CREATION, disks=[{"path": _DISK}], files=[_DISK]),
    "disksUnattached": _create(_attached, _NO_CREATION, disks=[{"path": _DISK}], files=[_DISK]),
    "mediaExists": _create(_gone(_ISO), _NO_CREATION, install={"iso": _ISO}, files=[_ISO]),
    "driveExists": _create(_no_drive, _NO_CREATION, generation=1, install={"physicalDrive": "D:"}),
    "switchExists": _create(
        lambda play: play.world.remove_switch("HV02", "Prod"),
        _NO_CREATION,
        network={"switch": "Prod"},
    ),
    "volumeHasRoom": _create(_full),
    "foldersUnchanged": _folders(_other_folders),
    "folderExists": _folders(_no_folder),
    "settingUnchanged": _set(_set_back),
    "othersUp": _SUSPEND(pause("HV02")),
    "nodeOnlyPaused": _RESUME(lambda play: play.world.resume_node("HV03")),
}
"""By the condition's name."""
NOT_STAGED: Mapping[str, str] = {
    "vmHere": "what it finds the other conditions use: without it nothing runs",
    "roleExists": "the same",
    "targetExists": "the same",
    "intentNew": "an agent answers a call that comes twice from memory (tests/protocol)",
    "ownersExist": "Windows itself refuses a list with a node that it has not",
    "ownerKept": "behind `owner`: the list that is written has the owner that it was planned with",
    "nodeHere": "a node that answers in another's place is refused at the look before",
    "folderShared": "a volume that is gone takes its folders along: `folderExists` stands before",
}
