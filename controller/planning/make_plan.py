"""The plan: everything that would happen, in order, and everything due that does not, with reasons.

Pure and deterministic: equal facts give equal bytes, whatever the order in which they came.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from controller.model.desired import DesiredState
from controller.model.history import History
from controller.model.names import fold
from controller.model.observed import ObservedState
from controller.model.plan import (
    Action,
    ActionKind,
    ActionReason,
    Certificate,
    Hold,
    HoldReason,
    Plan,
)
from controller.planning.apart import holds_on_meeting
from controller.planning.choices import Chosen, choose
from controller.planning.conclusion import Conclusion, Decided, by_place, conclude
from controller.planning.configure import configure
from controller.planning.cost import as_gib, breaks_hard_rules, hard_broken, standing_cost
from controller.planning.folders import Folders, keep_folders
from controller.planning.guards import cluster_holds, draft_holds
from controller.planning.holds import hold_on
from controller.planning.lifecycle import Lifecycle, create, register_and_start
from controller.planning.maintenance import (
    Upkeep,
    after_suspension,
    keep_up,
    maintenance_standings,
)
from controller.planning.preflight import is_fit
from controller.planning.schedule import Schedule, Step, Timed, move_seconds, schedule
from controller.planning.standing import Case, classify
from controller.planning.view import View, look

SECOND_CHOICES_MAX: Final = 16
"""VMs of locked knots that are asked for another way: each costs one more placement."""


def make_plan(
    desired: DesiredState, observed: ObservedState, history: History, now: datetime
) -> Plan:
    """Plan the whole way to the declaration; what may start now is wave 0."""
    view = look(desired, observed, history, now)
    guarded: dict[str, Hold] = {}
    upkeep, folders, decided, timetable = _draft(view, guarded)
    # Each round takes the settings, the moves or all actions of at least one VM or node away.
    for _ in range(3 * len(desired.vms) + len(upkeep.phases) + len(view.nodes)):
        held = draft_holds(upkeep.view, (*upkeep.actions, *folders.actions, *decided.actions))
        if not held:
            break
        guarded |= held
        upkeep, folders, decided, timetable = _draft(view, guarded)
    cases, chosen = decided.cases, decided.chosen
    others = (*folders.actions, *decided.actions)
    actions = tuple(sorted(after_suspension(upkeep.actions, others), key=_in_order))
    conclusion = conclude(decided)
    own_holds = (*conclusion.holds, *upkeep.holds.values(), *folders.holds.values())
    holds = by_place((*cluster_holds(upkeep.view, cases), *own_holds))
    return Plan(
        cluster=desired.cluster,
        revision=desired.revision,
        digest=_digest(decided.view, actions, holds, conclusion),
        observed_at=observed.started_at,
        actions=actions,
        holds=holds,
        standings=tuple(sorted(conclusion.standings, key=lambda s: (fold(s.vm), s.key))),
        impossible=tuple(conclusion.impossible),
        certificate=_certificate(decided.view, cases, chosen, timetable, conclusion),
        maintenances=maintenance_standings(upkeep, conclusion.standings, holds, actions),
        folders=tuple(folders.standings),
    )


def _draft(view: View, guarded: Mapping[str, Hold]) -> tuple[Upkeep, Folders, Decided, Schedule]:
    """Everything that would be done, but for what is held by guards of the draft."""
    upkeep = keep_up(view, guarded)
    folders = keep_folders(upkeep.view, guarded)
    decided, timetable = _decide(upkeep.view, guarded)
    return upkeep, folders, decided, timetable


def _decide(view: View, guarded: Mapping[str, Hold]) -> tuple[Decided, Schedule]:
    """What would be done with VMs."""
    wants = sorted(view.desired.vms, key=lambda want: want.key)
    cases = tuple(_unless_held(classify(view, w), guarded.get(w.key)) for w in wants)
    life, view = register_and_start(view, cases)
    # Where a VM belongs does not wait for its settings.
    placing = {k: h for k, h in guarded.items() if h.action is not ActionKind.CONFIGURE}
    chosen, timetable = _placed_and_scheduled(view, cases, life, placing)
    spare = dict(timetable.spare)
    created_on = create(view, cases, spare, life)
    actions = [*life.actions, *_moves(view, chosen, timetable, life)]
    settings = configure(view, cases, {action.key for action in actions}, guarded)
    decided = Decided(
        view=view,
        cases=cases,
        chosen=chosen,
        life=life,
        created_on=created_on,
        blocked=timetable.blocked,
        spare=spare,
        settings_held=settings.held,
        actions=tuple(sorted((*actions, *settings.actions), key=_in_order)),
    )
    return decided, timetable


def _unless_held(case: Case, hold: Hold | None) -> Case:
    """The case without what it is due, where the hold is not only on a move."""
    if hold is None or case.due is None or hold.action is ActionKind.MOVE:
        return case
    return replace(case, due=None, hold=hold)


def _placed_and_scheduled(
    view: View, cases: Sequence[Case], life: Lifecycle, guarded: Mapping[str, Hold]
) -> tuple[Chosen, Schedule]:
    """Place and schedule; hold the VMs of a knot that can't be opened and those that may not meet.

    A held VM may still have a second choice that nobody blocks: each is asked once.
    """
    attempt = _Attempt(view, cases, life)
    unregistered = {c.want.key for c in cases if c.due is ActionKind.REGISTER}
    fixed = {k: h for k, h in life.held.items() if k in unregistered} | dict(guarded)
    # Each round fixes at least one VM, so there are no more rounds than VMs.
    for _ in range(len(cases) + 1):
        chosen, timetable = attempt.made(fixed)
        wrong = attempt.holds(chosen, timetable)
        if not wrong:
            break
        fixed |= wrong
    for key in sorted(fixed.keys() - unregistered - guarded.keys())[:SECOND_CHOICES_MAX]:
        without = {k: h for k, h in fixed.items() if k != key}
        other, others_timetable = attempt.made(without)
        legal = not attempt.holds(other, others_timetable)
        if legal and attempt.cost(other) < attempt.cost(chosen):
            fixed, chosen, timetable = without, other, others_timetable
    return chosen, timetable


class _Attempt:
    """Placing and scheduling with some VMs fixed."""

    def __init__(self, view: View, cases: Sequence[Case], life: Lifecycle) -> None:
        self._view = view
        self._cases = {case.want.key: case for case in cases}
        self._life = life

    def made(self, fixed: Mapping[str, Hold]) -> tuple[Chosen, Schedule]:
        """The best placement without them, and its schedule."""
        chosen = choose(self._view, self._cases.values(), fixed)
        steps = _steps(chosen, self._life)
        return chosen, schedule(self._view, steps, self._hop_nodes)

    def cost(self, chosen: Chosen) -> int:
        """Cost of where every VM at rest ends."""
        return chosen.cost + _cost_of_held(self._view, self._cases, chosen)

    def holds(self, chosen: Chosen, timetable: Schedule) -> dict[str, Hold]:
        """By key: who must stay for the rest to be possible; empty where all of it is."""
        if timetable.locked:
            return self._holds_on_knot(chosen, timetable)
        return holds_on_meeting(self._view, chosen, timetable.timed)

    def _holds_on_knot(self, chosen: Chosen, timetable: Schedule) -> dict[str, Hold]:
        """One hold for each VM that waits for another which waits for it."""
        knot = ", ".join(sorted(step.title for step in timetable.locked))
        holds = {}
        for key in sorted({step.key for step in timetable.locked}):
            target = self._view.title(chosen.places[key])
            want = self._cases[key].want
            holds[key] = hold_on(want, HoldReason.NO_HOP, target=target, knot=knot)
        return holds

    def _hop_nodes(self, key: str) -> list[str]:
        case, view = self._cases[key], self._view
        around = view.around
        return [n for n, node in view.nodes.items() if is_fit(case.want, case.seen, node, around)]


def _steps(chosen: Chosen, life: Lifecycle) -> list[Step]:
    steps = []
    for piece in chosen.pieces:
        case, target = chosen.movers[piece.key], chosen.places[piece.key]
        if target == piece.home:
            continue
        mends = hard_broken(case.want, target) < hard_broken(case.want, piece.home)
        steps.append(
            Step(
                key=piece.key,
                title=case.want.title,
                memory_bytes=piece.memory_bytes,
                source=piece.home,
                target=target,
                urgent=mends or piece.key in chosen.because_of,
                waits=life.registration(piece.key) is not None,
            )
        )
    return steps


def _moves(view: View, chosen: Chosen, timetable: Schedule, life: Lifecycle) -> list[Action]:
    ids = [f"move:{t.step.key}:{t.step.target}" for t in timetable.timed]
    moves = []
    for i, timed in enumerate(timetable.timed):
        step, case = timed.step, chosen.movers[timed.step.key]
        assert case.seen is not None
        after = [ids[before] for before in timed.after]
        registration = life.registration(step.key) if step.waits else None
        if registration is not None:
            after.insert(0, registration)
        moves.append(
            Action(
                id=ids[i],
                kind=ActionKind.MOVE,
                key=step.key,
                vm=step.title,
                vm_id=case.seen.id,
                source=view.title(step.source),
                target=view.title(step.target),
                reason=_reason(view, case, timed, chosen),
                wave=timed.wave,
                after=tuple(after),
                memory_bytes=step.memory_bytes,
                seconds_estimated=move_seconds(view.desired.policy, step.memory_bytes),
                because_of=step.hop_for or chosen.because_of.get(step.key),
            )
        )
    return moves


def _reason(view: View, case: Case, timed: Timed, chosen: Chosen) -> ActionReason:
    step, want = timed.step, case.want
    if step.hop_for is not None:
        return ActionReason.HOP
    if step.returns or (case.seen is not None and view.on_hop(case.seen.id)):
        return ActionReason.HOP_RETURN
    if case.home in view.vacated:
        return ActionReason.MAINTENANCE
    if step.key in chosen.because_of:
        return ActionReason.MAKES_ROOM
    if not want.allows(case.home):
        return ActionReason.OUTSIDE_POSSIBLE
    if want.rank(case.home) == len(want.preferred):
        return ActionReason.NOT_ON_PREFERRED
    return ActionReason.EARLIER_PREFERRED_FREE


def _certificate(
    view: View,
    cases: Iterable[Case],
    chosen: Chosen,
    timetable: Schedule,
    conclusion: Conclusion,
) -> Certificate:
    """The cost of where every VM at rest ends, and what no plan can go below.

    Who is held, would gain, and has nowhere to go for want of room is settled, and its hold is not
    told. Then nothing is claimed of what others could gain: nobody could prove it from the plan.
    """
    held = _cost_of_held(view, {c.want.key: c for c in cases}, chosen)
    cost, bound = held + chosen.cost, held + chosen.bound
    if chosen.held.keys() - {hold.key for hold in conclusion.holds}:
        bound = min(bound, 0)
    comparable = breaks_hard_rules(cost) == breaks_hard_rules(bound)
    moved = {t.step.key for t in timetable.timed}
    return Certificate(
        cost_gib=as_gib(cost),
        lower_bound_gib=as_gib(bound) if comparable else 0.0,
        proved_optimal=cost == bound,
        moves=len(timetable.timed),
        hops=sum(1 for t in timetable.timed if t.step.hop_for is not None),
        moves_lower_bound=len(moved) if cost == bound else _mended(chosen),
        seconds_estimated=timetable.seconds_estimated,
        seconds_lower_bound=timetable.seconds_bound,
    )


def _cost_of_held(view: View, cases: Mapping[str, Case], chosen: Chosen) -> int:
    """VMs that would gain by a move and stay; all others that stay cost nothing."""
    held = (cases[key] for key in chosen.held)
    policy = view.desired.policy
    return sum(standing_cost(c.want, policy, home=c.home, node=c.home) for c in held)


def _mended(chosen: Chosen) -> int:
    """VMs whose hard rule the plan mends: whoever mends as many moves as many."""
    return sum(
        1
        for key, case in chosen.movers.items()
        if hard_broken(case.want, chosen.places[key]) < hard_broken(case.want, case.home)
    )


def _in_order(action: Action) -> tuple[int, str, str, str]:
    return action.wave, action.kind, fold(action.vm), action.id


def _digest(
    view: View, actions: Iterable[Action], holds: Iterable[Hold], conclusion: Conclusion
) -> str:
    """Hash of the facts that a plan stands or falls with, and of what it does.

    Memory is not among the facts: it changes with every look, and each node checks it anew.
    """
    parts = [view.desired.cluster, view.desired.revision]
    parts += [f"{name} {node.state} {node.is_target}" for name, node in view.nodes.items()]
    parts += sorted(f"{vm.id} {fold(vm.owner or '')} {vm.state}" for vm in view.observed.vms)
    parts += [f"{a.id} {a.wave} {' '.join(a.after)}" for a in actions]
    # What holds everything leaves the plan as it is: a yes to it outlasts a stop or a claim.
    parts += [f"{h.key} {h.reason}" for h in holds if h.key]
    parts += [f"{s.key} {s.verdict} {s.declared}" for s in conclusion.standings]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
