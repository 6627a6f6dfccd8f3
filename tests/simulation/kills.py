"""Guards switched off one at a time, and bugs put in on purpose: each must be noticed.

A simulation that finds nothing proves nothing until it is known what it would have found. Every
entry of a guard table is a kill; the audit can be switched off beside it, because two guards that
overlap hide each other. A kill lasts for the runs made inside `killed`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from controller.planning import audit as audit_module
from controller.planning import decide as decide_module
from controller.planning import guards
from controller.planning import lifecycle as lifecycle_module
from controller.simulator.responder_conditions import CONDITIONS
from tests.simulation.drawing import SMALL, Options, Size, draw
from tests.simulation.faults import Gap, Kind
from tests.simulation.play import play

Patch = tuple[Any, str, Any]
"""(module, class or table; name; what stands there instead)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One guard less, or one bug more."""

    name: str
    patches: Callable[[], Sequence[Patch]]
    kinds: tuple[Kind, ...] | None = None
    """Faults that provoke it; None: the mix that is drawn for each seed."""
    size: Size = SMALL
    shape: Callable[[Options], Options] = lambda options: options
    """What else the run needs to provoke it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What came of a kill."""

    kill: str
    seeds: int
    """Runs until it was noticed, or all that were made."""
    invariant: str | None
    """None: nothing noticed it."""
    detail: str = ""


@contextmanager
def killed(patches: Sequence[Patch]) -> Iterator[None]:
    """Put the patches in place for a while."""
    with ExitStack() as stack:
        for owner, name, value in patches:
            stack.enter_context(_replaced(owner, name, value))
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    is_table = isinstance(owner, dict)
    before = owner[name] if is_table else owner.__dict__[name]
    _put(owner, name, value)
    try:
        yield
    finally:
        _put(owner, name, before)


def _put(owner: Any, name: str, value: Any) -> None:
    if isinstance(owner, dict):
        owner[name] = value
    else:
        setattr(owner, name, value)


def notice(kill: Kill, seeds: Sequence[int], *, hints: bool = True) -> Notice:
    """Play seeds with the kill in place until something is noticed."""
    with killed(kill.patches()):
        for count, seed in enumerate(seeds, 1):
            options = kill.shape(draw(seed, kill.size, kill.kinds if hints else None))
            result = play(options)
            if result.violations:
                first = result.violations[0]
                return Notice(
                    kill=kill.name, seeds=count, invariant=first.invariant, detail=first.detail
                )
    return Notice(kill=kill.name, seeds=len(seeds), invariant=None)


# ---- the guards themselves

_LATE = (Kind.DELAYED, Kind.ISOLATE)
_AT_COMMAND = (Kind.VM_STATE_CHANGE, Kind.BACKUP_LOCK, Kind.FOREIGN_MOVE)
_HINTS: dict[str, tuple[Kind, ...]] = {
    "_cluster_changed": (),
    "_evidence_old": (Kind.FREEZE, Kind.HANG),
    "_first_cycles": (Kind.JOURNAL_ERROR, Kind.CONTROLLER_CRASH),
    "_nodes_dark": (Kind.ONE_WAY_PARTITION, Kind.NODE_CRASH),
    "_too_many_unknown": (Kind.ONE_WAY_PARTITION, Kind.PARTIAL_ANSWER),
    "_not_a_simulator": (),
    "_balancer_on": (Kind.BALANCER_WAVE,),
    "_not_running": (Kind.VM_STATE_CHANGE,),
    "_role_not_online": (Kind.VM_STATE_CHANGE, Kind.NODE_CRASH),
    "_locked": (Kind.BACKUP_LOCK,),
    "_busy": (Kind.BACKUP_LOCK,),
    "_foreign_move": (Kind.FOREIGN_MOVE,),
    "_cooldown": (Kind.FOREIGN_MOVE,),
    "_host_unfit": (Kind.PAUSE, Kind.NODE_CRASH),
    "_not_at_rest": (Kind.VM_STATE_CHANGE,),
    "_not_off": (Kind.VM_STATE_CHANGE, Kind.FOREIGN_MOVE),
}
_TABLES = ("CLUSTER_GUARDS", "MOVE_GUARDS", "REGISTER_GUARDS", "START_GUARDS")


def guard_kills() -> list[Kill]:
    """Each guard of planning off, the audit left on."""
    return [
        Kill(
            name=f"{table.removesuffix('_GUARDS').lower()} guard {guard.__name__}",
            patches=lambda table=table, guard=guard: [_without(table, guard)],
            kinds=_HINTS.get(guard.__name__),
            shape=_SHAPES.get(guard.__name__, lambda options: options),
        )
        for table in _TABLES
        for guard in getattr(guards, table)
    ] + [
        Kill(
            name="creation guard create_hold",
            patches=lambda: [(lifecycle_module, "create_hold", lambda view, want: None)],
        )
    ]


def without_audit(kill: Kill) -> Kill:
    """The same with the second judge away."""
    return replace(
        kill,
        name=f"{kill.name}, and the audit",
        patches=lambda: [*kill.patches(), (decide_module, "audit", lambda *_: ())],
    )


def _without(table: str, guard: Callable[..., Any]) -> Patch:
    return guards, table, tuple(g for g in getattr(guards, table) if g is not guard)


def _tagged(tag: str) -> Callable[[Options], Options]:
    """Runs in which a guard forbids everything: any command at all is noticed."""

    def shape(options: Options) -> Options:
        config = {**options.config, "mode": "Enforce"}
        return replace(options, tags=frozenset({tag}), config=config)

    return shape


_SHAPES: dict[str, Callable[[Options], Options]] = {"_not_a_simulator": _tagged("real node")}


# ---- the nodes' conditions

_CONDITION_HINTS: dict[str, tuple[Kind, ...]] = {
    "owner": (Kind.DELAYED, Kind.FOREIGN_MOVE),
    "vmRunning": (Kind.VM_STATE_CHANGE,),
    "vmOff": (Kind.VM_STATE_CHANGE, Kind.DELAYED),
    "vmAtRest": (Kind.VM_STATE_CHANGE,),
    "roleOnline": (Kind.VM_STATE_CHANGE, Kind.DELAYED),
    "roleOffline": (Kind.VM_STATE_CHANGE, Kind.DELAYED),
    "notQueued": (Kind.FOREIGN_MOVE,),
    "notLocked": (Kind.BACKUP_LOCK,),
    "noMigration": (Kind.FOREIGN_MOVE,),
    "notBusy": (Kind.BACKUP_LOCK,),
    "targetUp": (Kind.PAUSE,),
    "targetNotDraining": (Kind.PAUSE,),
    "targetNotIsolated": _LATE,
    "targetNotQuarantined": (Kind.DELAYED, Kind.QUARANTINE),
    "targetNotAvoided": (Kind.PAUSE,),
    "targetPossible": (Kind.VM_STATE_CHANGE,),
    "notClustered": (Kind.FOREIGN_MOVE,),
    "roleNameFree": (Kind.FOREIGN_MOVE,),
    "nodeUp": (Kind.PAUSE,),
    "nameFree": (Kind.FOREIGN_MOVE,),
    "folderFree": (Kind.FOREIGN_MOVE,),
    "volumeHasRoom": (Kind.DISK_FULL,),
}
NEEDED_BY_OTHERS = frozenset({"vmHere", "roleExists", "targetExists"})
"""Later conditions use what these find: without them nothing runs at all."""
NOT_PROVOKED: dict[str, str] = {
    "intentNew": "a repeated call never reaches a node twice in process; tests/protocol",
    "disksFree": "folderFree is untrue whenever it is: drawn disks lie in the VM's own folder",
    "disksExist": "no drawn template names an existing disk; tests/scenarios",
    "mediaExists": "no drawn template has an ISO; tests/scenarios",
    "switchExists": "no drawn template has a switch; tests/contract",
}


def condition_kills() -> list[Kill]:
    """Each condition of the nodes never found untrue."""
    return [
        Kill(
            name=f"node condition {name}",
            patches=lambda name=name: [(CONDITIONS, name, lambda case: None)],
            kinds=hint,
            shape=_with_creations if name in _OF_CREATIONS else lambda options: options,
        )
        for name, hint in _CONDITION_HINTS.items()
    ]


_OF_CREATIONS = frozenset({"nameFree", "folderFree", "volumeHasRoom", "nodeUp", "roleNameFree"})


def _with_creations(options: Options) -> Options:
    """Several VMs to create, so that the gap before a creation is hit."""
    specs = dict(options.specs)
    for number in range(3):
        specs[f"new{number}"] = {
            "vm": {"name": f"NEW{number}"},
            "owners": {"possible": ["HV01", "HV02"]},
            "highAvailability": {"register": True},
            "template": {
                "generation": 2,
                "memory": {"startup": "1Gi"},
                "processors": {"count": 1},
                "location": "C:\\ClusterStorage\\Volume1",
                "disks": [{"path": "os.vhdx", "create": {"size": "20Gi"}}],
            },
        }
    faults = tuple(replace(fault, at_seconds=0.0, gap=Gap.BEFORE) for fault in options.faults)
    return replace(options, specs=specs, faults=faults)


def audit_kills() -> list[Kill]:
    """Each rule of the audit off: nothing notices as long as the planner is right."""
    rules = audit_module._RULES
    return [
        Kill(
            name=f"audit rule {rule.__name__}",
            patches=lambda rule=rule: [
                (audit_module, "_RULES", tuple(r for r in rules if r is not rule))
            ],
        )
        for rule in rules
    ]
