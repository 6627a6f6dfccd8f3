"""Staged runs that seeded bugs would spoil: lost replies, restarts, neighbours, odd specs."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from controller.model.control import Approval, StopScope
from controller.model.history import History, Intent, IntentState, OwnMove
from controller.model.plan import ActionKind
from controller.model.report import ClusterReport
from tests.simulation.checker import Checker
from tests.simulation.hazards_cluster import dark, stop
from tests.simulation.hazards_plan import DRAFT, canary, suggestion
from tests.simulation.hazards_vm import MOVE
from tests.simulation.stage import (
    CLUSTER,
    CommandTrap,
    Draft,
    Staged,
    Story,
    at_most,
    ends_on,
    never,
    restart,
    template,
)
from tests.simulation.wire import Mishap
from tests.support.virtual_time import EPOCH

_WIDE = {"perNode": 4, "perCluster": 8}
_TRUSTED = History(cluster=CLUSTER, trusted=True)
Staging = Callable[[int], Story]


def plain(seed: int) -> Story:
    """Four moves are due, and nothing happens."""
    draft = Draft(seed)
    draft.queue(4)

    def ours_is_ours(c: Checker, report: ClusterReport) -> Any:
        yield from (f"{move.vm_id} was moved by others, it says" for move in report.foreign)

    return Story(
        options=draft.options(seconds=300.0),
        told=(ours_is_ours,),
        ends=tuple(ends_on(f"A{n + 1}", "HV02") for n in range(4)),
    )


def all_at_once(seed: int) -> Story:
    """Moves between three pairs of nodes; two may be under way."""
    draft = Draft(seed)
    for number in range(12):
        name, pair = f"A{number}", 2 * (number % 3) + 1
        draft.vm(name, f"HV{pair:02}", gib=6)
        draft.want(name, f"HV{pair + 1:02}")
    return Story(options=draft.options(seconds=150.0, nodes=6, migrations=4))


def slow_looks(seed: int) -> Story:
    """A look a minute; now and then a VM becomes due."""
    draft = Draft(seed)
    for number in range(4):
        draft.vm(f"A{number}")
        draft.want(f"A{number}", "HV01")
    changes, specs = [], dict(draft.specs)
    for number, name in enumerate(sorted(draft.specs)):
        specs = {**specs, name: {**specs[name], "owners": {"preferred": ["HV02"]}}}
        changes.append((70.0 + 65.0 * number, specs))
    return Story(options=draft.options(seconds=400.0, changes=changes, interval="60s"))


def delayed(seed: int) -> Story:
    """A command takes longer than anybody waits, and arrives."""
    draft = Draft(seed)
    draft.due()
    return Story(
        options=draft.options(seconds=160.0, settle="120s", migrations=4, migration=_WIDE),
        before=(_delay(100.0),),
        past=_TRUSTED,
        promises=(at_most(1, "moveRole", "A1"),),
    )


def _delay(seconds: float) -> Callable[[Staged], None]:
    def lay(play: Staged) -> None:
        mishap = Mishap(delay_seconds=seconds)
        play.wire.traps.append(CommandTrap(mishap=lambda: mishap, changing=True, left=1))

    return lay


def delayed_in_the_dark(seed: int) -> Story:
    """The same for longer than a settle, with a node of which nothing is seen."""
    draft = Draft(seed)
    draft.due()
    return Story(
        options=draft.options(seconds=350.0, nodes=4, settle="60s"),
        before=(_delay(320.0),),
        deeds=((5.0, dark("HV04")),),
        past=_TRUSTED,
        promises=(at_most(1, "moveRole", "A1"),),
    )


def delayed_across_a_restart(seed: int) -> Story:
    """The same, and the controller is killed while the command travels."""
    story = delayed(seed)
    return replace(story, deeds=restart(60.0))


def moved_back_across_a_restart(seed: int) -> Story:
    """What we moved is moved back by others, and the controller is killed."""
    return replace(MOVE["cooldown"](seed), deeds=(*MOVE["cooldown"](seed).deeds, *restart(75.0)))


def respected_across_a_restart(seed: int) -> Story:
    """Others moved a VM, and the controller is killed."""
    story = MOVE["foreign_move"](seed)
    return replace(story, deeds=(*story.deeds, *restart(120.0)))


def unstable_across_a_restart(seed: int) -> Story:
    """A node came back, and the controller is killed."""
    story = DRAFT["node_not_stable"](seed)
    return replace(story, deeds=(*story.deeds, *restart(150.0)))


def big_change_across_a_restart(seed: int) -> Story:
    """One commit moves seven VMs of twelve, and the controller is killed."""
    story = DRAFT["approval_needed"](seed)
    return replace(story, deeds=restart(80.0))


def stopped_after_the_plan(seed: int) -> Story:
    """People stop everything in the moment between plan and command."""
    draft = Draft(seed)
    draft.due()

    def order(play: Staged) -> None:
        assert play.site.memory is not None
        play.site.memory.orders.add(CLUSTER, stop(StopScope.CLUSTER))

    return Story(
        options=draft.options(seconds=60.0),
        past=_TRUSTED,
        moments={"journal.open_intent": order},
        promises=(never(),),
    )


def frozen_after_the_plan(seed: int) -> Story:
    """The machine stands still in the moment between plan and command."""
    draft = Draft(seed)
    draft.due()
    return Story(
        options=draft.options(seconds=60.0),
        past=_TRUSTED,
        moments={"journal.open_intent": lambda play: play.site.freeze(70.0)},
    )


def full_disk(seed: int) -> Story:
    """The journal's disk is full when a VM becomes due."""
    draft = Draft(seed)
    draft.vm("A1")
    draft.want("A1", "HV01")
    moved = {"a1": {**draft.specs["a1"], "owners": {"preferred": ["HV02"]}}}

    def fill(play: Staged) -> None:
        play.site.disk.is_full = play.checker.disk_is_full = True

    return Story(
        options=draft.options(seconds=120.0, changes=[(45.0, moved)]), deeds=((40.0, fill),)
    )


# ---- neighbours


_SHOWN = {"vm_in_flight_listed": "on_source"}
"""Where a VM in flight is listed nowhere and its role Online, nobody can know of the move."""


def anothers_slot(seed: int) -> Story:
    """Somebody else's move takes the one slot of the node."""
    draft = Draft(seed)
    draft.vm("B1", gib=60)
    draft.due(gib=2)
    return Story(
        options=draft.options(seconds=100.0, doubts=_SHOWN),
        before=(lambda play: play.world.move_live("B1", "HV03"),),
        past=_TRUSTED,
        promises=(never("moveRole", "A1", until=100.0),),
    )


def anothers_room(seed: int) -> Story:
    """Somebody else's move is about to take the room that is there."""
    draft = Draft(seed)
    draft.vm("B1", gib=30)
    draft.vm("C1", "HV02", gib=8)
    draft.due(gib=12)
    timing = {"setUpSeconds": 200.0}
    return Story(
        options=draft.options(
            seconds=90.0,
            node_gib=64,
            migrations=4,
            migration=_WIDE,
            timing=timing,
            doubts=_SHOWN,
        ),
        before=(lambda play: play.world.move_live("B1", "HV02"),),
        past=_TRUSTED,
        promises=(never("moveRole", "A1"),),
    )


def into_the_reserve(seed: int) -> Story:
    """The VM would fit, but for the reserve."""
    draft = Draft(seed)
    draft.vm("C1", "HV02", gib=42)
    draft.due(gib=16)
    return Story(
        options=draft.options(seconds=60.0, node_gib=64),
        past=_TRUSTED,
        promises=(never("moveRole", "A1"),),
    )


def full_node(seed: int) -> Story:
    """The node is full with VMs that nobody declared."""
    draft = Draft(seed)
    draft.vm("C1", "HV02", gib=55)
    draft.due(gib=8)
    return Story(
        options=draft.options(seconds=60.0, node_gib=64),
        past=_TRUSTED,
        promises=(never("moveRole", "A1"),),
    )


def under_way(seed: int) -> Story:
    """An administrator moves the VM, to another node than its spec says."""
    draft = Draft(seed)
    draft.due(gib=60)
    return Story(
        options=draft.options(seconds=90.0, migration=_WIDE, migrations=4),
        before=(lambda play: play.world.move_live("A1", "HV03"),),
        past=_TRUSTED,
        promises=(never("moveRole", "A1"),),
    )


def two_owners(seed: int) -> Story:
    """The cluster names one node as the owner, and another runs the VM."""
    draft = Draft(seed)
    draft.due()
    for number in range(10):
        draft.vm(f"B{number}")
        draft.want(f"B{number}", "HV01")
    return Story(
        options=draft.options(seconds=60.0),
        before=(lambda play: setattr(play.world.role("A1"), "owner", "HV03"),),
        past=_TRUSTED,
        promises=(never("moveRole", "A1"),),
    )


def draining(seed: int) -> Story:
    """An administrator empties the node to which a VM belongs."""
    draft = Draft(seed)
    draft.due()
    return Story(
        options=draft.options(seconds=60.0),
        before=(lambda play: play.world.pause_node("HV02"),),
        past=_TRUSTED,
        promises=(never("moveRole", "A1"),),
        effects=(never("moveRole", "A1"),),
    )


# ---- specs and names


def other_case(seed: int) -> Story:
    """The spec writes the node in small letters."""
    draft = Draft(seed)
    draft.vm("A1")
    draft.want("A1", owners={"possible": ["hv02"]})
    return Story(options=draft.options(seconds=90.0), past=_TRUSTED, ends=(ends_on("A1", "HV02"),))


def suspended(seed: int) -> Story:
    """The spec says that the VM is left alone."""
    draft = Draft(seed)
    draft.vm("A1")
    draft.want("A1", "HV02", suspend=True)
    return Story(options=draft.options(seconds=60.0), past=_TRUSTED)


def suspended_at_last(seed: int) -> Story:
    """The specs are changed so that every VM is left alone."""
    draft = Draft(seed)
    draft.queue()
    left = {name: {**spec, "suspend": True} for name, spec in draft.specs.items()}
    return Story(options=draft.options(seconds=150.0, changes=[(45.0, left)]))


def twins(seed: int) -> Story:
    """An old copy of the VM lies on another node under the same name."""
    draft = Draft(seed)
    draft.due()
    draft.vm("a1", "HV03", gib=1, state="Off", clustered=False, location="D:\\Old\\a1")
    return Story(options=draft.options(seconds=60.0), past=_TRUSTED, promises=(never("moveRole"),))


def other_bearer(seed: int) -> Story:
    """The VM that the spec meant is gone, and another bears its name."""
    draft = Draft(seed)
    draft.due()
    bound = {"name:a1": "0badcafe-0000-4000-8000-0000000000aa"}
    return Story(
        options=draft.options(seconds=60.0),
        past=replace(_TRUSTED, bound=bound),
        promises=(never(why="it is not the VM that was meant"),),
    )


def two_specs(seed: int) -> Story:
    """Two specs mean one VM, by its name and by its id."""
    draft = Draft(seed)
    draft.due()
    vm_id = draft.vms[0]["id"]
    draft.specs["z1"] = {"vm": {"id": vm_id}, "owners": {"preferred": ["HV03"]}}
    return Story(options=draft.options(seconds=60.0), past=_TRUSTED, promises=(never(),))


def impossible_owner(seed: int) -> Story:
    """The cluster does not allow the node that the spec names."""
    draft = Draft(seed)
    draft.due(possibleOwners=["HV01", "HV03"])
    return Story(
        options=draft.options(seconds=60.0), past=_TRUSTED, promises=(never("moveRole", "A1"),)
    )


def switched_off(seed: int) -> Story:
    """Somebody switched a VM off that its spec says to start after registration."""
    draft = Draft(seed)
    draft.vm("A1", state="Off")
    draft.want("A1", highAvailability={"register": True, "start": "AfterRegistration"})
    return Story(options=draft.options(seconds=60.0), past=_TRUSTED, promises=(never("startRole"),))


def unseen(seed: int) -> Story:
    """A VM that is declared with a template is on the node that nobody sees."""
    draft = Draft(seed)
    draft.vm("Z1", "HV04", state="Off", clustered=False)
    draft.vm("B1")
    draft.want("B1", "HV01")
    more = {**draft.specs, "z1": {"vm": {"name": "Z1"}, "template": template()}}
    return Story(
        options=draft.options(seconds=150.0, nodes=4, changes=[(60.0, more)]),
        deeds=((45.0, dark("HV04")),),
        promises=(never("createVm"),),
    )


def broken_off(seed: int) -> Story:
    """A creation of ours broke off and left a VM without its second disk."""
    draft = Draft(seed)
    draft.vm("A1", clustered=False)
    made = template("os.vhdx", "data.vhdx")
    draft.want("A1", highAvailability={"register": True}, template=made)
    then = EPOCH - timedelta(hours=1)
    intent = Intent(
        id="00000009-0000-4000-8000-000000000000", kind=ActionKind.CREATE, key="name:a1", vm="A1",
        vm_id=None, source=None, target="HV01", hop=False, revision="", opened_at=then,
        closed_at=then + timedelta(minutes=5), state=IntentState.NOT_DONE,
    )  # fmt: skip
    return Story(
        options=draft.options(seconds=60.0),
        past=replace(_TRUSTED, intents=(intent,)),
        promises=(never(),),
    )


# ---- windows and approvals


def window_elsewhere(seed: int) -> Story:
    """The window is at eight in Berlin; by UTC it is eight now, an hour too late."""
    draft = Draft(seed)
    draft.due()
    window = {
        "effect": "Allow", "schedule": "0 8 * * *", "duration": "10m", "timeZone": "Europe/Berlin",
    }  # fmt: skip
    return Story(
        options=draft.options(seconds=60.0, windows=[window]), past=_TRUSTED, promises=(never(),)
    )


def old_approval(seed: int) -> Story:
    """People said yes to another plan."""
    approval = Approval(
        digest="another", owner="people", reason="said so", at=EPOCH, actions=("another",)
    )
    return replace(suggestion(seed), past=replace(_TRUSTED, approvals=(approval,)))


def proved_by_another_change(seed: int) -> Story:
    """Moves of an earlier change were seen done; this one is proved by none."""
    then = EPOCH - timedelta(hours=1)
    moves = tuple(
        OwnMove(
            vm_id=f"000000{n}0-0000-4000-8000-0000000000bb", source="HV02", target="HV03",
            started_at=then, seen_at=then, hop=False, revision="another",
        )
        for n in range(3)
    )  # fmt: skip
    return replace(canary(seed), past=replace(_TRUSTED, moves=moves))
