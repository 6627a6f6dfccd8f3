"""Each guard of planning off, with the hazard that it is there for and what stands behind it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from controller.engine import reconciler as reconciler_module
from controller.engine.executor import Executor
from controller.engine.memory import Memory
from controller.engine.orders import Orders
from controller.model.control import Fence
from controller.model.desired import DesiredState
from controller.model.history import History
from controller.model.observed import ObservedState
from controller.model.plan import ActionKind
from controller.planning import decide as decide_module
from controller.planning import guards
from controller.planning import schedule as schedule_module
from controller.planning.guards import evidence, pace, permission
from tests.simulation import (
    hazards_cluster,
    hazards_nodes,
    hazards_plan,
    hazards_settings,
    hazards_vm,
)
from tests.simulation.kills import Barrier, Kill, Patch
from tests.simulation.stage import Story


def guard_kills() -> list[Kill]:
    """Each entry of each table of guards, and the brakes beside the tables."""
    of_tables = [
        Kill(
            name=f"{table.removesuffix('_GUARDS').lower()}: {_module(guard)}.{guard.__name__}",
            patches=lambda table=table, guard=guard: [without(table, guard.__name__)],
            story=stories[guard.__name__],
            behind=_BEHIND.get(guard.__name__),
        )
        for table, stories in _TABLES.items()
        for guard in getattr(guards, table)
    ]
    return [*of_tables, *_of_creations(), *_beside()]


def not_killed() -> Mapping[str, tuple[str, ...]]:
    """Tables of guards that no hazard is staged for yet, with their guards."""
    tables = (name for name in guards.__all__ if name.endswith("_GUARDS") and name not in _TABLES)
    return {
        table: tuple(f"{_module(g)}.{g.__name__}" for g in getattr(guards, table))
        for table in sorted(tables)
    }


_TABLES: Mapping[str, Mapping[str, Callable[[int], Story]]] = {
    "CLUSTER_GUARDS": hazards_cluster.BY_GUARD,
    "MOVE_GUARDS": hazards_vm.MOVE,
    "REGISTER_GUARDS": hazards_vm.REGISTER,
    "START_GUARDS": hazards_vm.START,
    "CONFIGURE_GUARDS": hazards_settings.CONFIGURE,
    "SUSPEND_GUARDS": hazards_nodes.SUSPEND,
    "RESUME_GUARDS": hazards_nodes.RESUME,
    "FOLDER_GUARDS": hazards_settings.FOLDERS,
    "DRAFT_GUARDS": hazards_plan.DRAFT,
}


def without(table: str, *names: str) -> Patch:
    """A table of guards without some of them."""
    return guards, table, tuple(g for g in getattr(guards, table) if g.__name__ not in names)


def _module(guard: Callable[..., Any]) -> str:
    return guard.__module__.rsplit(".", 1)[-1]


def _of_creations() -> list[Kill]:
    """`create_hold` calls its guards by name; the tables hold the functions themselves."""
    refused = pace.refused

    def but_creations(view: Any, want: Any, kind: ActionKind) -> Any:
        return None if kind is ActionKind.CREATE else refused(view, want, kind)

    nothing = _nothing
    patched: Mapping[str, tuple[Any, Any]] = {
        "paused": (permission, nothing),
        "keeps_failing": (pace, nothing),
        "absence_unconfirmed": (evidence, nothing),
        "refused": (pace, but_creations),
    }
    return [
        Kill(
            name=f"create: {module.__name__.rsplit('.', 1)[-1]}.{name}",
            patches=lambda module=module, name=name, value=value: [(module, name, value)],
            story=hazards_vm.CREATE[name],
            behind=_BEHIND.get(name),
        )
        for name, (module, value) in patched.items()
    ]


def _beside() -> list[Kill]:
    modules = {
        "canary_width": schedule_module,
        "domain_at_work": schedule_module,
        "suggestion_hold": decide_module,
        "setting_rests": pace,
        "local_account": permission,
    }
    stories = {
        **hazards_plan.BESIDE,
        "setting_rests": hazards_settings.SETTING_RESTS,
        "local_account": hazards_vm.local_account,
    }
    return [
        Kill(
            name=f"beside: {name}",
            patches=lambda name=name, module=module: [(module, name, _nothing)],
            story=stories[name],
        )
        for name, module in modules.items()
    ]


def _nothing(*_: Any) -> None:
    """No hold."""


# ---- what stands behind


def _no_orders() -> Sequence[Patch]:
    return [(Orders, "forbid", lambda *_: None), (Orders, "forbid_all", lambda *_: None)]


def _any_claim() -> Sequence[Patch]:
    def fence(self: Memory, cluster: str) -> Fence:
        history = self._histories[cluster]
        return Fence(epoch=history.epoch or 1, holder=history.holder or "nobody")

    return [(Memory, "fence", fence)]


def _ageless() -> Sequence[Patch]:
    unsendable = Executor._unsendable

    def lax(self: Executor, desired: Any, observed: ObservedState, intent: Any) -> str | None:
        fresh = replace(observed, started_at=self._clock.now())
        return unsendable(self, desired, fresh, intent)

    return [(Executor, "_unsendable", lax)]


def _trusting() -> Sequence[Patch]:
    claim_due, may_act = decide_module.claim_due, decide_module.may_act

    def claims(past: History, *rest: Any) -> Any:
        return claim_due(replace(past, trusted=True), *rest)

    def acts(desired: DesiredState, history: History, *rest: Any) -> bool:
        return may_act(desired, replace(history, trusted=True), *rest)

    return [(reconciler_module, "claim_due", claims), (reconciler_module, "may_act", acts)]


def _no_dark_nodes() -> Sequence[Patch]:
    return [without("CLUSTER_GUARDS", "nodes_dark", "quorum_at_risk")]


def _no_paused_nodes() -> Sequence[Patch]:
    return [without("SUSPEND_GUARDS", "paused_by_others", "not_up")]


_ORDERS = Barrier(name="the executor asks for stops before each command", patches=_no_orders)
_CLAIM = Barrier(name="the executor sends nothing without a claim of ours", patches=_any_claim)
AGE = Barrier(name="the executor asks for the age before each command", patches=_ageless)
_BEHIND: Mapping[str, Barrier] = {
    "stopped": _ORDERS,
    "paused": _ORDERS,
    "target_paused": _ORDERS,
    "superseded": _CLAIM,
    "epoch_not_claimed": _CLAIM,
    "evidence_old": AGE,
    "first_cycles": Barrier(
        name="nothing is claimed, and no command given, on an untrusted past", patches=_trusting
    ),
    "quorum_at_risk": Barrier(name="guard nodes_dark", patches=_no_dark_nodes),
    "paused_by_others": Barrier(name="guard not_up", patches=_no_paused_nodes),
}
"""By the guard's name."""
