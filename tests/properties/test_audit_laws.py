"""The two judges over random clusters with random pasts, policies and troubles.

They must agree on every plan that the planner makes: what the audit finds wrong is not executed, so
a false alarm stops a cluster, and a missed brake lets it be harmed.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.model.control import Stop, StopScope, StopSource
from controller.model.desired import DesiredState, StartPolicy, VMDesired
from controller.model.history import History, IntentState, Result, SpecMark
from controller.model.observed import NodeState, ObservedState, RoleState, VMObserved, VMState
from controller.model.plan import ActionKind
from controller.model.policy import Mode, Policy
from controller.model.window import ChangeWindow, WindowEffect, parse_cron
from controller.planning.approvals import approve
from controller.planning.audit import audit
from controller.planning.audit_windows import is_open, stays_open
from controller.planning.decide import decide
from controller.planning.make_plan import make_plan
from controller.planning.windows import opening
from tests.builders import NOW, desired, foreign_move, history, intent, own_move, refused, template
from tests.properties.worlds import NAMES, worlds

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]
SHARE = settings(max_examples=150, deadline=None, suppress_health_check=QUIET)
FULL = settings(max_examples=20_000, deadline=None, suppress_health_check=QUIET)


@dataclass(frozen=True, kw_only=True)
class Situation:
    """All that a decision rests on."""

    specs: DesiredState
    world: ObservedState
    past: History
    now: datetime


def rarely(draw: st.DrawFn, one_in: int = 8) -> bool:
    """Trouble is rare, or no plan would have anything left to do."""
    return draw(st.integers(1, one_in)) == 1


OF_VMS = tuple(k for k in ActionKind if not k.value.endswith("Node"))
"""A VM has no intents of a node's kinds."""


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """A small cluster in which everything that a brake looks at may be so or otherwise."""
    base = draw(worlds(limits=True))
    vms = tuple(draw(_vms(seen)) for seen in base.observed.vms)
    wants = tuple(draw(_wants(want)) for want in base.desired.vms)
    if draw(st.booleans()):
        wants += (desired("new", register=True, template=template(4), start=StartPolicy.NEVER),)
    policy = draw(_policies(base.desired.policy))
    nodes = tuple(
        replace(
            seen,
            state=NodeState.JOINING if rarely(draw, 30) else seen.state,
            answered=not rarely(draw, 40),
            failback_in_progress=rarely(draw, 40),
            isolated=rarely(draw, 40),
        )
        for seen in base.observed.nodes
    )
    world = replace(
        base.observed,
        vms=vms,
        nodes=nodes,
        stop_flag="no" if rarely(draw, 40) else None,
        balancer_mode=draw(st.sampled_from((0,) * 20 + (2, None))),
        epoch=draw(st.sampled_from((3,) * 12 + (None, 4))),
        epoch_holder="h",
    )
    specs = replace(base.desired, vms=wants, policy=policy)
    past = draw(_pasts(specs, world))
    now = NOW + timedelta(seconds=draw(st.sampled_from((0,) * 20 + (1, 59, 61, -1))))
    situation = Situation(specs=specs, world=world, past=past, now=now)
    if policy.mode is Mode.SUGGEST and draw(st.booleans()):
        plan = make_plan(specs, world, past, now)
        ago = timedelta(hours=draw(st.sampled_from((0, 23, 24))))
        yes = approve(plan, owner="ann", reason="r", at=now - ago)
        given_already = yes.actions[: draw(st.integers(0, 2))]
        yes = replace(yes, given=given_already)
        return replace(situation, past=replace(past, approvals=(yes,)))
    return situation


@st.composite
def _vms(draw: st.DrawFn, seen: VMObserved) -> VMObserved:
    assert seen.role is not None
    kind = draw(st.sampled_from((*("fine",) * 10, "off", "bare", "marked", "split", "locked")))
    match kind:
        case "off":
            role = replace(seen.role, state=RoleState.OFFLINE)
            return replace(seen, state=VMState.OFF, memory_assigned_bytes=0, role=role)
        case "bare":
            return replace(seen, role=None)
        case "marked":
            return replace(
                seen, creation_mark=f"i:{draw(st.sampled_from(('creating', 'created')))}"
            )
        case "split":
            return replace(seen, host="N1")
        case "locked":
            return replace(seen, role=replace(seen.role, locked=True))
    return seen


@st.composite
def _wants(draw: st.DrawFn, want: VMDesired) -> VMDesired:
    start = draw(st.sampled_from(StartPolicy))
    return replace(
        want,
        register=draw(st.booleans()),
        start=start,
        suspended=rarely(draw, 20),
        template=template(4) if draw(st.booleans()) else None,
    )


@st.composite
def _windows(draw: st.DrawFn) -> ChangeWindow:
    hours = draw(st.sampled_from(("*", "9-17", "11", "12", "22", "1,2", "2")))
    minutes = draw(st.sampled_from(("0", "59", "30", "*/20", "7")))
    days = draw(st.sampled_from(("* * *", "* * 0", "1 * *", "29 3 *", "1 3 6", "* 10 *")))
    return ChangeWindow(
        effect=draw(st.sampled_from(WindowEffect)),
        cron=parse_cron(f"{minutes} {hours} {days}"),
        duration_seconds=draw(st.sampled_from((60, 61, 3600, 7200, 86400, 7 * 86400))),
        zone=ZoneInfo(
            draw(st.sampled_from(("UTC", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia")))
        ),
    )


@st.composite
def _policies(draw: st.DrawFn, limits: Policy) -> Policy:
    return replace(
        limits,
        mode=draw(st.sampled_from((Mode.ENFORCE, Mode.ENFORCE, Mode.SUGGEST, Mode.OBSERVE))),
        canary_free_moves=draw(st.sampled_from((1, 3, 1000))),
        changes_per_commit_min=draw(st.integers(0, 5)),
        moves_per_vm_per_day_max=draw(st.integers(1, 3)),
        fault_domains=draw(st.sampled_from(({}, {}, {"n1": "a", "n2": "a"}, {"n1": "a"}))),
        node_failures_tolerated=draw(st.sampled_from((0, 0, 1, 2))),
        windows=tuple(draw(st.lists(_windows(), max_size=2))) if rarely(draw, 3) else (),
    )


@st.composite
def _pasts(draw: st.DrawFn, specs: DesiredState, world: ObservedState) -> History:
    names = [want.name or "" for want in specs.vms] or ["nobody"]
    name, place = st.sampled_from(names), st.sampled_from(NAMES)
    ago = st.sampled_from((1, 59, 61, 599, 601, 1799, 1801, 7200, 86399))

    def few(item: st.SearchStrategy[object], most: int = 3) -> tuple[object, ...]:
        return tuple(draw(st.lists(item, max_size=most))) if draw(st.booleans()) else ()

    moves = few(
        st.builds(
            lambda n, s, t, a, hop: own_move(n, s, t, ago_seconds=a, hop=hop),
            name,
            place,
            place,
            ago,
            st.booleans(),
        ),
        6,
    )
    results = few(
        st.builds(lambda n, bad, a: (n, bad, a), name, st.sampled_from((True, True, False)), ago),
        8,
    )
    stops = few(
        st.builds(
            lambda scope, n, a: Stop(
                id="s",
                scope=scope,
                name=n,
                source=StopSource.API,
                owner="o",
                reason="r",
                since=NOW,
                until=None if a > 600 else NOW + timedelta(seconds=a - 60),
            ),
            st.sampled_from((StopScope.VM, StopScope.NODE, StopScope.CLUSTER)),
            st.one_of(name, place),
            ago,
        ),
        1,
    )
    marks = {
        want.key: SpecMark(
            key=want.key,
            digest="new",
            accepted=draw(st.sampled_from(("new", "new", "old"))),
            since=NOW - timedelta(seconds=draw(ago)),
        )
        for want in specs.vms
    }
    if rarely(draw, 20):
        marks["name:gone"] = SpecMark(key="name:gone", digest="a", accepted="a", since=NOW)
    return history(
        moves=tuple(sorted(moves, key=lambda m: m.seen_at)),
        foreign=few(
            st.builds(
                lambda n, s, t, a: foreign_move(n, s, t, ago_seconds=a), name, place, place, ago
            )
        ),
        results=tuple(
            Result(intent=f"r{i}", key=f"name:{n}", vm=n, failed=bad, at=NOW - timedelta(seconds=a))
            for i, (n, bad, a) in enumerate(sorted(results, key=lambda r: -r[2]))
        ),
        refusals=tuple(
            replace(
                refused(
                    draw(name),
                    draw(st.sampled_from(OF_VMS)),
                    draw(st.integers(1, 4)),
                    draw(st.sampled_from(("notBusy: x", "disksFree: x"))),
                ),
                at=NOW - timedelta(seconds=draw(ago)),
            )
            for _ in range(draw(st.integers(0, 1)))
        ),
        stops=stops,
        specs=marks,
        intents=tuple(
            draw(_intents(n, t))
            for n, t in draw(st.dictionaries(name, place, max_size=2)).items()
            if draw(st.booleans())
        ),
        absent_cycles={want.key: draw(st.sampled_from((1, 2, 2))) for want in specs.vms},
        node_up_since={n.lower(): NOW - timedelta(seconds=draw(ago)) for n in NAMES[:1]}
        if rarely(draw, 4)
        else {},
        trusted=not rarely(draw, 20),
        superseded=rarely(draw, 40),
        epoch=3,
        holder=draw(st.sampled_from(("", "h"))),
        cluster_id=draw(st.sampled_from((None,) * 12 + (world.cluster_id, "another"))),
        clock_jumped_at=NOW - timedelta(seconds=draw(ago)) if rarely(draw) else None,
    )


@st.composite
def _intents(draw: st.DrawFn, name: str, target: str) -> object:
    kind = draw(st.sampled_from(OF_VMS))
    state = draw(st.sampled_from(IntentState))
    return intent(
        name,
        target,
        kind=kind,
        source="N1",
        state=state,
        unknown=draw(st.booleans()),
        opened_at=NOW - timedelta(seconds=300),
        closed_at=None
        if state is IntentState.OPEN
        else NOW - timedelta(seconds=draw(st.sampled_from((299, 230)))),
    )


def check_agreement(s: Situation) -> None:
    """No real plan has a fault."""
    _, findings = decide(s.specs, s.world, s.past, s.now)
    assert findings == ()


def check_each_hold_on_everything(s: Situation) -> None:
    """A real plan from which the holds on everything are taken away is vetoed, if it would act."""
    plan, _ = decide(s.specs, s.world, s.past, s.now)
    stripped = replace(plan, holds=tuple(hold for hold in plan.holds if hold.key))
    if stripped == plan or s.specs.policy.mode is Mode.OBSERVE or not plan.ready():
        return
    assert audit(stripped, s.specs, s.world, s.past, s.now) != ()


LAWS = {
    "the judges agree": check_agreement,
    "no hold on everything is overlooked": check_each_hold_on_everything,
}


@pytest.mark.parametrize("law", LAWS)
def test_law(law: str) -> None:
    """A share of random situations."""
    SHARE(given(situations())(LAWS[law]))()


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("law", LAWS)
def test_law_at_length(law: str) -> None:
    """The full count of random situations."""
    FULL(given(situations())(LAWS[law]))()


INSTANTS = st.one_of(
    st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    # Around the changes of the clocks of these zones, where the two readings could part.
    st.builds(
        lambda day, seconds: day + timedelta(seconds=seconds),
        st.sampled_from(
            [
                datetime(2026, 3, 29, 1, tzinfo=UTC),
                datetime(2026, 10, 25, 1, tzinfo=UTC),
                datetime(2026, 4, 4, 15, tzinfo=UTC),
                datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
                datetime(2011, 12, 30, 10, tzinfo=UTC),
            ]
        ),
        st.integers(-7200, 7200),
    ),
)


@given(st.lists(_windows(), max_size=3), INSTANTS)
@SHARE
def test_both_readings_of_the_windows_agree(windows: list[ChangeWindow], at: datetime) -> None:
    """On whether one is open, and on whether a move that begins now ends in it."""
    told = opening(windows, at)
    assert is_open(windows, at) is told.is_open
    if told.is_open and told.until is not None:
        assert stays_open(windows, at, told.until)
