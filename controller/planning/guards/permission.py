"""Guards that ask whether we are allowed to: by the release, the cluster, people, the calendar."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from controller.model.checkup import CheckName
from controller.model.control import Stop, StopScope
from controller.model.desired import Failback, VMDesired
from controller.model.names import fold, same_name
from controller.model.observed import VMObserved
from controller.model.plan import Action, ActionKind, Hold, HoldReason
from controller.model.policy import Balancer, Mode
from controller.model.window import WindowEffect
from controller.planning.cost import hard_broken
from controller.planning.holds import hold_on, hold_on_action, hold_on_cluster
from controller.planning.standing import Case
from controller.planning.view import View

LOCAL_ACCOUNTS = frozenset({"Basic", "Certificate"})
"""Kinds of authentication that log on an account of the node, not of a domain."""


JUDGED_AT_EACH_LOOK = frozenset({CheckName.AUTHENTICATION, CheckName.BALANCER})
"""Checks with a guard of their own: `local_account` and `balancer_on`."""


def not_fit(view: View, cases: Sequence[Case]) -> Hold | None:
    """Nodes on which `doctor` finds a fault are not acted on.

    A node that does not answer is no fault of the others: it is a gap, and has its own guards.
    """
    if view.desired.policy.mode is Mode.OBSERVE:
        return None
    silent = {key for key, node in view.nodes.items() if not node.answered}
    failed = [
        check
        for check in view.history.unfit
        if check.name not in JUDGED_AT_EACH_LOOK and fold(check.node) not in silent
    ]
    if not failed:
        return None
    found = (f"{c.name} on {c.node}: {c.found}" for c in failed[:10])
    evidence = {"failed": "; ".join(found), "remedy": failed[0].remedy}
    return hold_on_cluster(HoldReason.NOT_FIT, evidence)


def local_account(view: View, want: VMDesired) -> Hold | None:
    """A VM made by a local account can fail to migrate later: on a domain nothing is made by one.

    A node that does not say whether it is of a domain is taken for one that is.
    """
    kind = view.desired.connection.authentication
    joined = [n.name for n in view.nodes.values() if n.answered and n.domain_joined is not False]
    if kind not in LOCAL_ACCOUNTS or not joined:
        return None
    return hold_on(
        want, HoldReason.LOCAL_ACCOUNT, authentication=kind, nodes=", ".join(joined[:10])
    )


def balancer_on(view: View, cases: Sequence[Case]) -> Hold | None:
    """Two that place VMs by different rules move them back and forth.

    SCVMM's dynamic optimization switches the cluster's balancer off and moves VMs itself; whether
    it does shows on its own server only, and so its agent counts.
    """
    policy, mode = view.desired.policy, view.observed.balancer_mode
    if policy.mode is Mode.OBSERVE or policy.balancer is Balancer.COEXIST:
        return None
    evidence: dict[str, str] = {}
    # Not told is not off: the balancer is on by default (Get-Cluster, AutoBalancerMode 2).
    if mode != 0:
        evidence["auto_balancer_mode"] = "not told" if mode is None else str(mode)
    agents = [node.name for node in view.nodes.values() if node.scvmm_agent]
    if agents:
        evidence["scvmm_agents"] = ", ".join(agents[:10])
    return hold_on_cluster(HoldReason.BALANCER_ON, evidence) if evidence else None


def stopped(view: View, cases: Sequence[Case]) -> Hold | None:
    """Somebody ordered a stop of the cluster or of everything."""
    wide = (StopScope.CLUSTER, StopScope.EVERYTHING)
    stop = next((s for s in _in_force(view) if s.scope in wide), None)
    if stop is None:
        return None
    return hold_on_cluster(HoldReason.STOPPED, _ordered(stop), stop.until)


def paused(view: View, want: VMDesired, seen: VMObserved | None) -> Hold | None:
    """Somebody paused the VM, or the node that it is on."""
    names = {fold(want.title), fold(want.spec_name), fold(want.id or "")}
    nodes = set()
    if seen is not None:
        names |= {fold(seen.name), fold(seen.id)}
        nodes = {fold(seen.owner or ""), fold(seen.host or "")}
    for stop in _in_force(view):
        covered = {StopScope.VM: names, StopScope.NODE: nodes}.get(stop.scope, set())
        if fold(stop.name) in covered - {""}:
            what = "it" if stop.scope is StopScope.VM else f"node {stop.name}"
            hold = hold_on(want, HoldReason.PAUSED, until=stop.until)
            return replace(hold, evidence={"what": what, **_ordered(stop)})
    return None


def target_paused(view: View, actions: Sequence[Action]) -> Iterator[Hold]:
    """Somebody paused the node that the VM would go to. It waits, rather than go elsewhere."""
    nodes = [stop for stop in _in_force(view) if stop.scope is StopScope.NODE]
    for action in actions:
        stop = next((s for s in nodes if same_name(s.name, action.target)), None)
        if stop is not None:
            evidence = {"what": f"node {stop.name}", **_ordered(stop)}
            yield hold_on_action(action, HoldReason.PAUSED, evidence, stop.until)


def outside_window(view: View, cases: Sequence[Case]) -> Hold | None:
    """No window allows changes now, or one denies them."""
    if view.opening.is_open:
        return None
    return hold_on_cluster(HoldReason.OUTSIDE_WINDOW, {}, view.opening.until)


def failback_window(view: View, want: VMDesired, seen: VMObserved | None) -> Hold | None:
    """Failback InWindow is due in an Allow window only; mending a hard rule is no failback."""
    if want.failback is not Failback.IN_WINDOW or seen is None:
        return None
    has_allow = any(w.effect is WindowEffect.ALLOW for w in view.desired.policy.windows)
    if hard_broken(want, seen.owner or "") or (has_allow and view.opening.is_open):
        return None
    until = view.opening.until if has_allow else None
    return hold_on(want, HoldReason.FAILBACK_WINDOW, until=until)


def window_ends(view: View, actions: Sequence[Action]) -> Iterator[Hold]:
    """A move starts only if it should be done before changes are disallowed again."""
    ends = view.opening.until
    if not view.opening.is_open or ends is None:
        return
    for action in actions:
        if action.kind is not ActionKind.MOVE or action.wave > 0:
            continue
        if view.now + timedelta(seconds=action.seconds_estimated) > ends:
            evidence = {"ends": ends.strftime("%H:%M UTC")}
            yield hold_on_action(action, HoldReason.WINDOW_ENDS, evidence)


def _in_force(view: View) -> Iterator[Stop]:
    return (s for s in view.history.stops if s.until is None or view.now < s.until)


def _ordered(stop: Stop) -> dict[str, str]:
    return {
        "owner": stop.owner,
        "reason": stop.reason,
        "source": stop.source.value,
        "stopped_since": stop.since.isoformat(),
    }
