"""The hazard of each guard of one VM: it must not be moved, registered, started or created now.

One VM, A1, is due and in the one state that its guard is about; so whatever leaves is the harm.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from controller.model.control import StopScope
from controller.model.history import History, Intent, IntentState
from controller.model.plan import ActionKind, HoldReason
from controller.simulator.states import FailbackStatus, Stage, VmOperationalStatus
from tests.simulation.drawing import Options
from tests.simulation.hazards_cluster import failed, stop, stopped_by
from tests.simulation.stage import (
    CLUSTER,
    Deed,
    Draft,
    Staged,
    Story,
    around_each,
    at_most,
    held_back,
    never,
    template,
)
from tests.support.virtual_time import EPOCH

_KEY = "name:a1"
PAUSED = History(cluster=CLUSTER, trusted=True, stops=(stop(StopScope.VM, "A1"),))
FAILED_TWICE_UNTIL = 200.0
"""With 60 s to settle, twice in a row means four minutes of patience."""
LONG_AGO = EPOCH - timedelta(hours=1)
_FOLDER = "C:\\ClusterStorage\\Volume1\\A1"
Staging = Callable[[int], Story]


def busy(play: Staged) -> None:
    play.world.begin_work("A1", VmOperationalStatus.MergingDisks)


def avoided(play: Staged) -> None:
    play.world.avoid_node("HV01")


refuse_each = around_each(busy, lambda play: play.world.end_work("A1"))
"""Whenever the node is asked, the VM is busy, and at no look is it so."""
PATIENT = {"seconds": 150.0, "settle": "20s"}
"""Two refusals in a row mean 80 s of patience, and a third 160 s."""


# ---- moves


def _misplaced(
    draft: Draft,
    spec: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    **vm: Any,
) -> Options:
    """A1 is on HV01 and belongs on HV02."""
    draft.vm("A1", **vm)
    draft.want("A1", "HV02", **(spec or {}))
    return draft.options(**{"seconds": 60.0, **(config or {})})


_move = held_back("moveRole", "A1", _misplaced)


def _role_failed(play: Staged) -> None:
    """The cluster gives the resource up, and the guest goes on."""
    play.world.role("A1").failed = True


def _failback_goes_on(play: Staged) -> None:
    play.world.node("HV01").failback = FailbackStatus.InProgress


def _foreign_move(seed: int) -> Story:
    """An administrator moves a VM away from where its spec wants it."""
    draft = Draft(seed)
    draft.vm("A1")
    draft.want("A1", "HV01")
    return Story(
        options=draft.options(seconds=300.0, foreignMoves={"respect": "900s"}),
        deeds=((40.0, lambda play: play.world.move_live("A1", "HV02")),),
        promises=(never("moveRole", "A1"),),
    )


def _contested(seed: int) -> Story:
    """An administrator moves a VM away again and again, and lets it be brought back."""
    draft = Draft(seed)
    draft.vm("A1", gib=1)
    draft.want("A1", "HV01")
    brakes = {"cooldown": "10s"}
    return Story(
        options=draft.options(seconds=1000.0, brakes=brakes, foreignMoves={"respect": "10s"}),
        deeds=tuple(
            (40.0 + 150.0 * n, lambda play: play.world.move_live("A1", "HV02")) for n in range(5)
        ),
        promises=(at_most(3, "moveRole", "A1"),),
    )


def _keeps_failing(seed: int) -> Story:
    """Each move of one VM fails."""
    draft = Draft(seed)
    draft.due(gib=1)

    def break_move(play: Staged) -> None:
        if play.world.vm("A1").id not in play.world.faults:
            play.world.break_next_migration("A1", stage=Stage.SET_UP)

    return Story(
        options=draft.options(seconds=600.0, settle="60s"),
        before=(break_move,),
        deeds=tuple((5.0 + 5.0 * n, break_move) for n in range(110)),
    )


def _cooldown(seed: int) -> Story:
    """What we moved is moved back by an administrator soon after."""
    draft = Draft(seed)
    draft.due(gib=1)
    return Story(
        options=draft.options(
            seconds=400.0, brakes={"cooldown": "300s"}, foreignMoves={"respect": "10s"}
        ),
        deeds=((70.0, lambda play: play.world.move_live("A1", "HV01")),),
    )


def _failback_window(seed: int) -> Story:
    """A VM returns in an Allow window only, and there is none."""
    draft = Draft(seed)
    draft.vm("A1")
    draft.want("A1", "HV02", "HV01", owners={"failback": "InWindow"})
    window = {"effect": "Deny", "schedule": "0 20 * * *", "duration": "1h"}
    return Story(
        options=draft.options(seconds=60.0, windows=[window]),
        promises=(never("moveRole", "A1"),),
    )


MOVE: Mapping[str, Staging] = {
    "paused": _move(stopped_by("a1"), past=PAUSED, reason=HoldReason.PAUSED),
    "migration_never": _move(spec={"migration": {"kind": "Never"}}),
    "not_clustered": _move(clustered=False),
    "not_running": _move(state="Paused"),
    "role_not_online": _move(_role_failed),
    "preflight": _move(
        disks=[{"path": f"{_FOLDER}\\os.vhdx"}, {"path": "", "physicalDisk": 3}],
    ),
    "locked": _move(locked=True),
    "busy": _move(busy),
    "failback_under_way": _move(_failback_goes_on),
    "foreign_move": _foreign_move,
    "contested": _contested,
    "keeps_failing": _keeps_failing,
    "move_refused": _move(refuse_each, times=3, config=PATIENT),
    "cooldown": _cooldown,
    "failback_window": _failback_window,
}
"""Of MOVE_GUARDS, by the guard's name."""


# ---- registrations


def _intent(number: int, kind: ActionKind) -> Intent:
    """Something that we did before the run."""
    return Intent(
        id=f"0000000{number}-0000-4000-8000-000000000000", kind=kind, key=_KEY, vm="A1",
        vm_id="00000001-0000-4000-8000-0000000000aa", source=None, target="HV01", hop=False,
        revision="", opened_at=LONG_AGO, closed_at=LONG_AGO, state=IntentState.DONE,
    )  # fmt: skip


def _past(*kinds: ActionKind) -> History:
    intents = tuple(_intent(number, kind) for number, kind in enumerate(kinds))
    return History(cluster=CLUSTER, trusted=True, intents=intents)


def _unregistered(
    draft: Draft,
    spec: Mapping[str, Any] | None = None,
    other: Mapping[str, Any] | None = None,
    **vm: Any,
) -> Options:
    """A1 is to be made highly available."""
    draft.vm("A1", clustered=False, **vm)
    draft.want("A1", highAvailability={"register": True}, **(spec or {}))
    if other is not None:
        draft.vm("B1", **other)
    return draft.options(seconds=90.0, settle="60s", brakes={"cooldown": "600s"})


_register = held_back("registerVm", "A1", _unregistered)
REGISTERED = _past(ActionKind.REGISTER)
"""We made A1 highly available, and have not started it since."""
_HALF = {"template": template("os.vhdx", "data.vhdx")}
"""The VM of the world has the first of these disks."""
REGISTER: Mapping[str, Staging] = {
    "paused": _register(stopped_by("a1"), past=PAUSED, reason=HoldReason.PAUSED),
    "half_created": _register(spec=_HALF, past=_past(ActionKind.CREATE)),
    "high_availability_blocked": _register(location="D:\\VMs\\A1"),
    "host_unfit": _register(avoided),
    "not_at_rest": _register(state="Saved"),
    "busy": _register(busy),
    "register_refused": _register(other={"role": "A1"}, times=1),
    "keeps_failing": _register(past=failed(1.0, "A1", "A1"), until=FAILED_TWICE_UNTIL),
}
"""Of REGISTER_GUARDS, by the guard's name."""


# ---- starts


def _registered(
    draft: Draft,
    spec: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    **vm: Any,
) -> Options:
    """A1 was registered by us and is to be started once."""
    draft.vm("A1", **{"state": "Off", **vm})
    start = {"register": True, "start": "AfterRegistration"}
    draft.want("A1", highAvailability=start, **(spec or {}))
    return draft.options(**{"seconds": 60.0, "settle": "60s", **(config or {})})


def _start(*before: Deed, past: History | None = None, **more: Any) -> Staging:
    """We registered it, whatever else was."""
    known = past or History(cluster=CLUSTER)
    intents = known.intents or REGISTERED.intents
    registered = replace(known, trusted=True, intents=intents)
    return held_back("startRole", "A1", _registered)(*before, past=registered, **more)


START: Mapping[str, Staging] = {
    "paused": _start(stopped_by("a1"), past=PAUSED, reason=HoldReason.PAUSED),
    "half_created": _start(spec=_HALF, past=_past(ActionKind.CREATE, ActionKind.REGISTER)),
    "host_unfit": _start(avoided),
    "not_off": _start(state="Saved"),
    "not_startable": _start(replica=True),
    "locked": _start(locked=True),
    "busy": _start(busy),
    "start_refused": _start(refuse_each, times=3, config=PATIENT),
    "keeps_failing": _start(past=failed(1.0, "A1", "A1"), until=FAILED_TWICE_UNTIL),
}
"""Of START_GUARDS, by the guard's name."""


# ---- creations


def _absent(draft: Draft, folder: bool = False) -> Options:
    """A1 does not exist and is to be created."""
    draft.vm("B1")
    draft.want("A1", "HV02", template=template())
    files = [{"path": f"{_FOLDER}\\left.txt", "node": "HV01"}] if folder else []
    return draft.options(seconds=120.0, settle="60s", brakes={"cooldown": "600s"}, files=files)


_create = held_back("createVm", "A1", _absent)


def local_account(seed: int) -> Story:
    """A VM is to be created, and we log on by an account that only the node knows."""
    draft = Draft(seed)
    draft.vm("B1")
    draft.want("A1", "HV02", template=template())
    connection = {
        "nodes": ["hv01.corp.example", "hv02.corp.example"],
        "authentication": "Basic",
        "credentials": {"env": "OWNERNODE_ACCOUNT"},
    }
    return Story(
        options=draft.options(connection=connection),
        past=History(cluster=CLUSTER, trusted=True),
        promises=(never("createVm", "A1"),),
    )


CREATE: Mapping[str, Staging] = {
    "paused": _create(stopped_by("a1"), past=PAUSED, reason=HoldReason.PAUSED),
    "keeps_failing": _create(past=failed(1.0, "A1", "A1"), until=FAILED_TWICE_UNTIL),
    "absence_unconfirmed": _create(until=5.0),
    "refused": _create(folder=True, times=1),
}
"""Of `create_hold`, by the guard's name."""
