"""The hazard of each guard of a setting: of a role, or of a node's default folders.

A role, or a node, is not as declared and in the one state that its guard is about; so whatever is
written is the harm.
"""

from collections.abc import Callable, Mapping
from typing import Any

from controller.model.history import History, Intent, IntentState
from controller.model.plan import ActionKind, HoldReason
from tests.simulation.drawing import Options
from tests.simulation.hazards_cluster import failed, failed_on, stopped_by
from tests.simulation.hazards_vm import (
    FAILED_TWICE_UNTIL,
    LONG_AGO,
    PATIENT,
    PAUSED,
    avoided,
    busy,
    refuse_each,
)
from tests.simulation.stage import (
    CLUSTER,
    CommandTrap,
    Deed,
    Draft,
    Staged,
    Story,
    at_most,
    held_back,
    never,
)
from tests.simulation.wire import Mishap

Staging = Callable[[int], Story]


# ---- of roles


def _not_as_declared(draft: Draft, config: Mapping[str, Any] | None = None, **vm: Any) -> Options:
    """A1 is where it belongs, and its role is not as declared."""
    off: dict[str, Any] = draft.chance.choice(
        ({"failback": True}, {"priority": 3000}, {"preferred_owners": ["HV03"]})
    )
    draft.vm("A1", **{**_as_declared(draft), **off, **vm})
    draft.want("A1", "HV01", highAvailability={"priority": "Medium"})
    options = {"seconds": 60.0, "settle": "60s", "nativePolicy": "Manage", **(config or {})}
    return draft.options(**options)


_configure = held_back("setRole", "A1", _not_as_declared)


def _as_declared(draft: Draft) -> dict[str, Any]:
    return {"preferred_owners": ["HV01"], "priority": 2000, "failback": False}


def _foreign_move(seed: int) -> Story:
    """An administrator moves a VM away, and turns its failback on."""
    draft = Draft(seed)
    draft.vm("A1", gib=1, **_as_declared(draft))
    draft.want("A1", "HV01")

    def work(play: Staged) -> None:
        play.world.move_live("A1", "HV02")
        play.world.role("A1").auto_failback = True

    respect = {"respect": "900s"}
    return Story(
        options=draft.options(seconds=300.0, nativePolicy="Manage", foreignMoves=respect),
        past=History(cluster=CLUSTER, trusted=True),
        deeds=((40.0, work),),
        promises=(never("setRole", "A1"),),
    )


def _rests(seed: int) -> Story:
    """What we set an administrator sets back, again and again."""
    draft = Draft(seed)
    draft.vm("A1", **{**_as_declared(draft), "failback": True})
    draft.want("A1", "HV01")

    def set_back(play: Staged) -> None:
        play.world.role("A1").auto_failback = True

    return Story(
        options=draft.options(seconds=250.0, nativePolicy="Manage", brakes={"cooldown": "300s"}),
        past=History(cluster=CLUSTER, trusted=True),
        deeds=tuple((5.0 * n, set_back) for n in range(1, 49)),
        promises=(at_most(1, "setRole", "A1"),),
    )


CONFIGURE: Mapping[str, Staging] = {
    "paused": _configure(stopped_by("a1"), past=PAUSED, reason=HoldReason.PAUSED),
    "host_unfit": _configure(avoided),
    "locked": _configure(locked=True),
    "busy": _configure(busy),
    "foreign_move": _foreign_move,
    "configure_refused": _configure(refuse_each, times=3, config=PATIENT),
    "keeps_failing": _configure(past=failed(1.0, "A1", "A1"), until=FAILED_TWICE_UNTIL),
}
"""Of CONFIGURE_GUARDS, by the guard's name."""
SETTING_RESTS: Staging = _rests


# ---- of nodes

_FOLDER = "C:\\ClusterStorage\\Volume1\\New VMs"


def _with_own_folders(draft: Draft, *, exists: bool = True, settle: str = "60s") -> Options:
    """HV03 is to have other default folders."""
    draft.vm("A1")
    draft.want("A1", "HV01")
    return draft.options(
        seconds=60.0,
        settle=settle,
        brakes={"cooldown": "600s"},
        files=[{"path": f"{_FOLDER}\\readme.txt", "node": "HV03"}] if exists else [],
        defaultPaths="Manage",
        defaultFolder=_FOLDER,
    )


def _others_are_right(play: Staged) -> None:
    for name in ("HV01", "HV02"):
        node = play.world.node(name)
        node.vm_path, node.vhd_path = _FOLDER, _FOLDER


def _folders(*before: Deed, **more: Any) -> Staging:
    """HV03 must not get its folders now (or not so often)."""
    return held_back("setFolders", "", _with_own_folders)(_others_are_right, *before, **more)


def suspension_of(node: str) -> Intent:
    """We suspended it before the run, and saw it paused."""
    return Intent(
        id="00000009-0000-4000-8000-000000000000", kind=ActionKind.SUSPEND_NODE,
        key=f"node:{node.lower()}", vm=node, vm_id=None, source=node, target=node, hop=False,
        revision="", opened_at=LONG_AGO, closed_at=LONG_AGO, state=IntentState.DONE,
    )  # fmt: skip


def _away(play: Staged) -> None:
    play.world.avoid_node("HV03")


def volume_lost(play: Staged) -> None:
    """HV03 can't use the shared volume."""
    play.world.node("HV03").volumes_lost.add("c:\\clusterstorage\\volume1")


def _in_maintenance(seed: int) -> Story:
    """A node is to be emptied, the order is late, and its folders are not right either."""
    story = _folders(until=0.0)(seed)

    def after_the_suspension(c: Any, order: Any) -> Any:
        suspends = any(o.kind == "suspendNode" for o in c.orders)
        if order.kind == "setFolders" and (suspends or order.target == "HV03"):
            yield f"{c.what(order)}, which is in maintenance"

    def suspension_is_late(play: Staged) -> None:
        late = Mishap(delay_seconds=40.0)
        play.wire.traps.append(CommandTrap(mishap=lambda: late, changing=True, left=1))

    def is_to_be_empty(play: Staged) -> None:
        play.maintain({"empty": {"node": "HV03"}})

    return Story(
        options=story.options,
        before=(*story.before, is_to_be_empty, suspension_is_late),
        past=story.past,
        promises=(after_the_suspension,),
        effects=(after_the_suspension,),
    )


def folders_due(seed: int) -> Story:
    """HV03 is to have other default folders, and may get them."""
    story = _folders()(seed)
    return Story(options=story.options, before=story.before, past=story.past)


FOLDERS: Mapping[str, Staging] = {
    "in_maintenance": _in_maintenance,
    "not_up": _folders(_away),
    "folder_not_shared": _folders(volume_lost),
    "folders_refused": _folders(exists=False, times=1, settle="20s"),
    "node_fails": _folders(past=failed_on("folders:hv03"), until=FAILED_TWICE_UNTIL),
}
"""Of FOLDER_GUARDS, by the guard's name."""
