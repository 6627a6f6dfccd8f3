"""What the brakes count, kept by `absorb`: changes of specs, nodes that were away, results, time.

All of it is durable, so that a restart releases no brake.
"""

import hashlib
from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from controller.model.desired import DesiredState, VMDesired
from controller.model.history import History, Intent, IntentState, Refusals, Result, SpecMark
from controller.model.names import fold
from controller.model.observed import NodeObserved, NodeState, ObservedState
from controller.model.policy import Mode, Policy

KEPT: Final = timedelta(hours=24)
"""No rule looks back further."""
RESULTS_KEPT: Final = 10
CLOCK_TOLERANCE: Final = timedelta(seconds=5)
"""A time server slews more than it steps: what goes back by less is no jump (NTP, RFC 5905)."""


def after_clock(history: History, policy: Policy, now: datetime) -> History:
    """The history as it can be used at `now`: after a jump, what was seen before says little.

    Times that would lie in the future become now, so that what counts from them starts anew and
    does not wait for the wrong time to come round. Half-finished evidence is dropped.
    """
    last = history.last_look_at
    longest = max(policy.look_gap_intervals * policy.interval_seconds, policy.look_gap_seconds_min)
    gap = (now - last).total_seconds() if last is not None else 0.0
    if gap <= longest and _latest(history) <= now + CLOCK_TOLERANCE:
        return history
    return replace(
        history,
        intents=tuple(_begun_anew(intent, now) for intent in history.intents),
        sightings=MappingProxyType(
            {k: replace(s, at=min(s.at, now)) for k, s in history.sightings.items()}
        ),
        foreign=tuple(replace(f, seen_at=min(f.seen_at, now)) for f in history.foreign),
        moves=tuple(
            replace(m, started_at=min(m.started_at, now), seen_at=min(m.seen_at, now))
            for m in history.moves
        ),
        specs=MappingProxyType(
            {k: replace(s, since=min(s.since, now)) for k, s in history.specs.items()}
        ),
        node_up_since=MappingProxyType({k: min(t, now) for k, t in history.node_up_since.items()}),
        results=tuple(replace(r, at=min(r.at, now)) for r in history.results),
        refusals=tuple(replace(r, at=min(r.at, now)) for r in history.refusals),
        absent_since=MappingProxyType({}),
        absent_cycles=MappingProxyType({}),
        complete_cycles=0,
        quiet_cycles=0,
        clock_jumped_at=now,
    )


def _begun_anew(intent: Intent, now: datetime) -> Intent:
    return replace(
        intent,
        opened_at=min(intent.opened_at, now),
        closed_at=min(intent.closed_at, now) if intent.closed_at is not None else None,
        first_quiet_at=None,
    )


def _latest(history: History) -> datetime:
    times = [
        *(i.closed_at or i.opened_at for i in history.intents),
        *(s.at for s in history.sightings.values()),
        *(f.seen_at for f in history.foreign),
        *(m.seen_at for m in history.moves),
        *(s.since for s in history.specs.values()),
        *history.node_up_since.values(),
        *(r.at for r in history.results),
        *(r.at for r in history.refusals),
    ]
    if history.last_look_at is not None:
        times.append(history.last_look_at)
    return max(times, default=datetime.min.replace(tzinfo=UTC))


def nodes_that_came_back(
    history: History, observed: ObservedState, now: datetime
) -> tuple[frozenset[str], Mapping[str, datetime]]:
    """Which nodes are away, and since when those are back that were.

    A node that no look ever showed away counts as steady, also at the very first look: nothing
    speaks against it, and else every new installation would wait before its first move. A journal
    tells of nodes that were away before a restart.
    """
    away = set(history.nodes_away)
    back = {n: since for n, since in history.node_up_since.items() if now - since < KEPT}
    for node in observed.nodes:
        name = fold(node.name)
        # Unknown is no sight of it at all, unless somebody says that it is cut off.
        if node.state is NodeState.UNKNOWN and not (node.isolated or node.quarantined):
            continue
        if not _is_steady(node):
            away.add(name)
            back.pop(name, None)
        elif name in away:
            away.discard(name)
            back[name] = observed.started_at
    return frozenset(away), MappingProxyType(back)


def _is_steady(node: NodeObserved) -> bool:
    away = node.draining or node.isolated or node.quarantined
    return node.state is NodeState.UP and not away


def last_results(history: History, intents: Iterable[Intent], now: datetime) -> tuple[Result, ...]:
    """How the last ten commands of a day ended; refused and unsent ones had no chance to fail."""
    known = {r.intent: r for r in history.results if now - r.at < KEPT}
    for intent in intents:
        if intent.closed_at is None or now - intent.closed_at >= KEPT or intent.id in known:
            continue
        failed = intent.state is IntentState.NOT_DONE
        # Only a command that was given up after quiet looks was sent and had no effect.
        if failed and intent.first_quiet_at is None:
            continue
        known[intent.id] = Result(
            intent=intent.id,
            key=intent.key,
            vm=intent.vm,
            failed=failed,
            at=intent.closed_at,
            code=intent.code if failed else None,
        )
    return tuple(sorted(known.values(), key=lambda r: (r.at, r.intent))[-RESULTS_KEPT:])


def refused_in_a_row(
    history: History, intents: Iterable[Intent], specs: Mapping[str, SpecMark], now: datetime
) -> tuple[Refusals, ...]:
    """How often nodes refused the same command; a done one, or another spec, begins anew."""

    def counts(key: str, at: datetime) -> bool:
        return now - at < KEPT and (key not in specs or specs[key].since <= at)

    known = {(r.key, r.kind): r for r in history.refusals if counts(r.key, r.at)}
    for intent in intents:
        which, closed_at = (intent.key, intent.kind), intent.closed_at
        old = known.get(which)
        if closed_at is None or (old is not None and closed_at < old.at):
            continue
        if intent.state is IntentState.DONE:
            known.pop(which, None)
        elif intent.refused and counts(intent.key, closed_at):
            if old is not None and old.intent == intent.id:
                continue
            known[which] = Refusals(
                key=intent.key,
                kind=intent.kind,
                count=old.count + 1 if old is not None else 1,
                intent=intent.id,
                detail=intent.detail,
                at=closed_at,
            )
    return tuple(known[which] for which in sorted(known))


def spec_marks(
    history: History, desired: DesiredState, complying: Set[str], now: datetime
) -> Mapping[str, SpecMark]:
    """Which specs changed since their VMs last complied with them.

    All are accepted as they stand at the first look of all and while nothing is enforced, because
    whoever switches Enforce on does so on what is declared then; and when a person approves them.
    """
    digests = {want.key: spec_digest(want) for want in desired.vms}
    approved = {approval.digest for approval in history.approvals}
    accepts_all = (
        not history.specs
        or desired.policy.mode is not Mode.ENFORCE
        or (bool(approved) and declaration_digest(desired) in approved)
    )
    marks: dict[str, SpecMark] = {}
    for key, digest in digests.items():
        old = history.specs.get(key)
        accepted = old.accepted if old is not None else ""
        marks[key] = SpecMark(
            key=key,
            digest=digest,
            since=old.since if old is not None and old.digest == digest else now,
            accepted=digest if accepts_all or key in complying else accepted,
        )
    frozen = {want.key for conflict in desired.conflicts for want in conflict.vms}
    marks |= {k: old for k, old in history.specs.items() if k in frozen and k not in marks}
    gone = {k: old for k, old in history.specs.items() if k not in marks}
    if not accepts_all and len(gone) > may_vanish(desired.policy, len(history.specs)):
        marks |= gone
    return history.specs if marks == history.specs else MappingProxyType(marks)


def vanished(history: History, desired: DesiredState) -> tuple[str, ...]:
    """Keys of VMs that vanished from the specs, too many at once to be believed."""
    present = {want.key for want in desired.vms}
    present |= {want.key for conflict in desired.conflicts for want in conflict.vms}
    return tuple(sorted(key for key in history.specs if key not in present))


def changed(history: History) -> frozenset[str]:
    """Keys of VMs whose spec is not the one that they last complied with."""
    return frozenset(k for k, mark in history.specs.items() if mark.accepted != mark.digest)


def may_vanish(policy: Policy, vms: int) -> int:
    """How many of so many VMs may vanish from the specs at once."""
    return max(policy.shrink_vms_min, int(policy.shrink_share * vms))


def may_change(policy: Policy, vms: int) -> int:
    """How many of so many VMs a change of the specs may make due unasked."""
    return max(policy.changes_per_commit_min, int(policy.changes_per_commit_share * vms))


# Asked of each VM in every cycle, and most specs are those of the cycle before.
@lru_cache(maxsize=16_384)
def spec_digest(want: VMDesired) -> str:
    """Digest of what the spec decides; the file and the order of mere sets are not in it."""
    possible = None if want.possible is None else sorted(fold(n) for n in want.possible)
    decides = (
        want.key,
        [fold(n) for n in want.preferred],
        possible,
        want.enforcement.value,
        want.failback.value,
        want.register,
        want.start.value,
        want.migration.value,
        want.suspended,
        want.template,
        *((("priority", want.priority),) if want.priority is not None else ()),
        *(("compatible",) if want.processor_compatibility else ()),
    )
    return hashlib.sha256(repr(decides).encode()).hexdigest()[:16]


def declaration_digest(desired: DesiredState) -> str:
    """What a person approves who accepts a change of the specs: all of them as they stand.

    It stays the same while the change is carried out, unlike the digest of a plan.
    """
    parts = sorted(spec_digest(want) for want in desired.vms)
    parts += sorted(want.source for conflict in desired.conflicts for want in conflict.vms)
    return hashlib.sha256("\n".join([desired.cluster, *parts]).encode()).hexdigest()[:16]
