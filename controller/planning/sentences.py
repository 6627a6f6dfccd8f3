"""What a colleague would say of a VM, an action or a hold: one sentence each, from the same data.

A sentence holds nothing that changes from cycle to cycle while nothing happens.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final, assert_never

from controller.model.desired import VMDesired
from controller.model.failures import in_words
from controller.model.history import ForeignMove, Intent, IntentState
from controller.model.observed import Migration, MigrationPhase
from controller.model.plan import (
    Action,
    ActionKind,
    ActionReason,
    FolderStanding,
    Hold,
    HoldReason,
    MaintenancePhase,
    MaintenanceStanding,
    Remains,
    Standing,
    Verdict,
)
from controller.model.report import ClusterReport, Outcome, OutcomeResult
from controller.model.setting import Change, Setting

HOLDS: Final[dict[HoldReason, str]] = {
    HoldReason.CLUSTER_CHANGED: "another cluster answers ({found}) than the one that the journal is"
    " of ({known}); if it was built anew, begin with an empty state folder",
    HoldReason.EVIDENCE_OLD: "what was seen is older than {age_max_seconds} s",
    HoldReason.TOO_MANY_UNKNOWN: "{unknown_vms} of {vms} VMs are unknown: {unknown}",
    HoldReason.NODES_DARK: "too many nodes are dark: {dark}",
    HoldReason.FIRST_CYCLES: "there is no journal to trust, so {looks_needed} quiet looks at the"
    " whole cluster come first",
    HoldReason.JOURNAL_BROKEN: "nothing can be written to the journal",
    HoldReason.AUDIT_VETO: "the audit found a fault in the plan: {first}",
    HoldReason.BALANCER_ON: "{balancing}, or set balancer: Coexist",
    HoldReason.LOCAL_ACCOUNT: "{authentication} logs on a local account, and what it creates on a"
    " node of a domain ({nodes}) can fail to migrate later; use Kerberos, or NTLM",
    HoldReason.NOT_FIT: "its nodes were examined, and it is not fit to be acted on: {failed};"
    " {remedy} (`ownernode doctor` tells all; they are examined again every five minutes)",
    HoldReason.EPOCH_NOT_CLAIMED: "this controller does not hold the cluster: its epoch is"
    " {epoch_own}, and the cluster database shows {epoch_shown}",
    HoldReason.SUPERSEDED: "another controller took the cluster over from epoch {epoch_own}; this"
    " one only looks until it is restarted",
    HoldReason.STOPPED: "{owner} ordered a stop: {reason}",
    HoldReason.SUGGESTED: "in mode Suggest a plan waits for its approval: `ownernode approve"
    " {digest}`{instead}",
    HoldReason.CLOCK_JUMPED: "the clock jumped, or nothing was looked at for long; evidence counts"
    " anew, until {until}",
    HoldReason.OUTCOMES_UNKNOWN: "of {outcomes_unknown} commands nobody knows yet whether they left"
    " ({vms})",
    HoldReason.FAILURES: "{failures} of the last {commands} commands had no effect ({vms}){causes};"
    " {release}",
    HoldReason.SPECS_SHRANK: "{vanished_vms} VMs vanished from the specs at once ({vanished}); give"
    " them back, or `ownernode approve {digest}`",
    HoldReason.OUTSIDE_WINDOW: "changes are not allowed before {until}",
    HoldReason.QUORUM_AT_RISK: "{away} is away, and without one more node the cluster might lose"
    " quorum",
    HoldReason.VIEW_INCOMPLETE: "it was not seen, and it may be where nobody answered: {not_seen}",
    HoldReason.OWNER_DISAGREES: "the cluster names {cluster} as its owner and Hyper-V runs it on"
    " {hypervisor}",
    HoldReason.OUTCOME_OPEN: "a command to {target} was sent and its effect has not been seen yet",
    HoldReason.MIGRATION_UNDER_WAY: "somebody else is moving it{whither}",
    HoldReason.NOT_RUNNING: "it is {state}, and only running VMs are moved",
    HoldReason.LOCKED: "its role {role} is locked, probably by a backup",
    HoldReason.BUSY: "it is busy: {status}{state}",
    HoldReason.FOREIGN_MOVE: "somebody else moved it from {moved_from} to {moved_to}; it is left"
    " there until {until}",
    HoldReason.COOLDOWN: "{moved}{set_back}not long ago; it rests until {until}",
    HoldReason.REFUSED: "a node refused it{times} ({refused}); it is asked again at {until}",
    HoldReason.MIGRATION_NEVER: "its spec says that it is never migrated",
    HoldReason.SUSPENDED: "its spec is suspended",
    HoldReason.SPEC_CONFLICT: "more than one spec means it: {specs}{spec}",
    HoldReason.NAME_AMBIGUOUS: "more than one VM bears its name: {found}; give the id in the spec",
    HoldReason.NAME_TAKEN_BY_ANOTHER: "the VM first meant is gone and another bears its name:"
    " {found}; give the id in the spec",
    HoldReason.NO_TEMPLATE: "it does not exist, and its spec has no template to create it from",
    HoldReason.DISK_IN_USE: "its disk {disk} belongs to {in_use_by}",
    HoldReason.FAILBACK_UNDER_WAY: "{node} is taking back what was drained from it",
    HoldReason.HALF_CREATED: "its creation broke off and left a part on {host}; a person has to"
    " remove that or finish it",
    HoldReason.ABSENCE_UNCONFIRMED: "it is created once {looks_needed} looks at the whole cluster"
    " in a row did not show it",
    HoldReason.NOT_CLUSTERED: "it is not highly available, and its spec does not ask for that",
    HoldReason.HA_BLOCKED: "it can't be made highly available: {check} {found}{location}; {remedy}",
    HoldReason.ROLE_NOT_ONLINE: "its role is {role}",
    HoldReason.NEEDS_OFF: "its processor compatibility can be set only while it is off, and it is"
    " {state}; shut it down when that suits, and it is set then",
    HoldReason.PAUSED: "{owner} paused {what}: {reason}",
    HoldReason.CONTESTED: "we moved it {moves} times in a day at an unchanged spec; somebody or"
    " something wants it elsewhere",
    HoldReason.APPROVAL_NEEDED: "one change of the specs touches {changed_vms} VMs, and {allowed}"
    " may be changed unasked: `ownernode approve {digest}`",
    HoldReason.CANARY: "{moves_due} moves are due at once; the first are to be seen done before the"
    " rest starts",
    HoldReason.FAILBACK_WINDOW: "it fails back only in a window that allows changes",
    HoldReason.WINDOW_ENDS: "it would not be done before changes are disallowed again at {ends}",
    HoldReason.NODE_NOT_STABLE: "{node} came back not long ago; it takes VMs from {until} on",
    HoldReason.NODE_FAILURES: "after it, the VMs of {nodes} could not be restarted elsewhere",
    HoldReason.NODE_LIMIT: "{node} has as many moves as it may have at once",
    HoldReason.CLUSTER_LIMIT: "the cluster has as many moves as it may have at once",
    HoldReason.PREFLIGHT: "preflight fails: {found}; {remedy}",
    HoldReason.FAULT_DOMAIN: "VMs of one fault domain move at a time: {domain_at_work} is at work,"
    " and it is in {domain}",
    HoldReason.TARGET_UNFIT: "no node that it may go to takes it now: {found}{nodes}{host}",
    HoldReason.NO_ROOM: "every node that could take it is full; it needs {needs} ({room})",
    HoldReason.NO_ROOM_YET: "room on {node} comes when another move is done",
    HoldReason.NO_HOP: "full nodes would have to swap and no other node has room for a stop on the"
    " way: {knot}",
    HoldReason.NODE_UNKNOWN: "the cluster has no such node: {found}{nodes}",
    HoldReason.RULES_CONFLICT: "its rules contradict one another or those of others: {found}{vms}",
    HoldReason.PINNED: "{node} is to be empty for maintenance, and its spec allows no other node",
    HoldReason.NODE_AWAY: "one node at a time, and {away} is away",
    HoldReason.NODE_NOT_UP: "{node} is {state}",
    HoldReason.NODE_PAUSED: "{node} is {state}, and not by us: somebody else's to resume",
    HoldReason.NODE_IN_USE: "on their way to {node}: {vms}",
    HoldReason.NODE_IN_MAINTENANCE: "{node} is in maintenance, and left alone until it is over",
    HoldReason.FOLDER_NOT_SHARED: "the declared folder {folder} {found}",
}

WHY: Final[dict[ActionReason, str]] = {
    ActionReason.NOT_ON_PREFERRED: "{source} is not among its preferred owners",
    ActionReason.EARLIER_PREFERRED_FREE: "{target} is an earlier preferred owner and can take it",
    ActionReason.OUTSIDE_POSSIBLE: "{source} is outside its possible owners",
    ActionReason.MAKES_ROOM: "{because_of} needs its room on {source}",
    ActionReason.HOP: "a stop on the way, so that {because_of} can move first",
    ActionReason.HOP_RETURN: "it goes on from its stop",
    ActionReason.NOT_HIGHLY_AVAILABLE: "it is not highly available",
    ActionReason.ABSENT: "it does not exist",
    ActionReason.CREATED_BY_US: "we created it and never started it",
    ActionReason.NOT_AS_DECLARED: "its spec says so",
    ActionReason.NODE_NOT_AS_DECLARED: "the cluster's spec says so",
    ActionReason.REGISTERED_BY_US: "we registered it and its role is offline",
    ActionReason.MAINTENANCE: "{source} is to be empty for maintenance",
    ActionReason.MAINTENANCE_OVER: "its maintenance is over",
}


SETTINGS: Final[dict[Setting, str]] = {
    Setting.FAILBACK: "failback",
    Setting.POSSIBLE_OWNERS: "possible owners",
    Setting.PREFERRED_OWNERS: "preferred owners",
    Setting.PRIORITY: "priority",
    Setting.PROCESSOR_COMPATIBILITY: "processor compatibility",
    Setting.DEFAULT_FOLDERS: "default folders",
}


def hold_sentence(hold: Hold) -> str:
    """Why a change does not start now, as the second half of a sentence."""
    words = defaultdict(str, hold.evidence)
    words["target"] = words["target"] or hold.target or "no node"
    words["until"] = hold.until.strftime("%H:%M:%S UTC") if hold.until is not None else ""
    words["moved"] = f"it was moved from {words['moved_from']} " if words["moved_from"] else ""
    words["set_back"] = f"we wrote its {words['set']} " if words["set"] else ""
    former, because = words["supersedes"], words["because"]
    words["instead"] = f"; it supersedes {former}, because {because}" if former else ""
    count = words["refusals"]
    words["times"] = f" {count} times in a row" if count not in ("", "1") else ""
    words["whither"] = f" to {hold.target}" if hold.target else ""
    words["balancing"] = " and ".join(
        _balancing(words["auto_balancer_mode"], words["scvmm_agents"])
    )
    return HOLDS[hold.reason].format_map(words)


def _balancing(mode: str, agents: str) -> Iterator[str]:
    """Who else places VMs, and what ends that."""
    if mode:
        yield f"the cluster's own balancer is on (AutoBalancerMode {mode}); switch it off"
    if agents:
        yield f"SCVMM manages {agents} and may move VMs too; take the cluster out of SCVMM"


def waiting(report: ClusterReport) -> tuple[tuple[str, HoldReason, str], ...]:
    """Who waits, by which guard, and why: the VMs that wait for the same are told together.

    Nobody's name stands for all of the cluster. Impossible wishes wait for nothing.
    """
    hopeless = {vm for wish in report.plan.impossible for vm in wish.vms}
    together: dict[tuple[HoldReason, str], list[str]] = {}
    for hold in (*report.cluster_holds, *(vm.hold for vm in report.vms if vm.hold is not None)):
        if hold.vm not in hopeless:
            together.setdefault((hold.reason, hold_sentence(hold)), []).append(hold.vm)
    return tuple((", ".join(vms), *held) for held, vms in together.items())


def why(action: Action) -> str:
    """Why the action is due."""
    return WHY[action.reason].format(
        source=action.source, target=action.target, because_of=action.because_of
    )


def action_sentence(action: Action) -> str:
    """What an action does and why."""
    match action.kind:
        case ActionKind.MOVE:
            what = f"move {action.vm} from {action.source} to {action.target}"
        case ActionKind.REGISTER:
            what = f"make {action.vm} highly available on {action.target}"
        case ActionKind.CREATE:
            what = f"create {action.vm} on {action.target}"
        case ActionKind.START:
            what = f"start {action.vm} on {action.target}"
        case ActionKind.CONFIGURE:
            assert action.change is not None, "a setting is written by a change"
            what = f"set {action.vm} on {action.target}, {change_words(action.change)}"
        case ActionKind.SUSPEND_NODE:
            what = f"suspend {action.target}, without a drain"
        case ActionKind.RESUME_NODE:
            what = f"resume {action.target}, without failback"
        case ActionKind.CONFIGURE_NODE:
            assert action.change is not None, "a setting is written by a change"
            what = f"set on {action.target} {change_words(action.change)}"
        case _:
            assert_never(action.kind)
    return f"{what}: {why(action)}"


STAGES: Final[dict[MigrationPhase, str]] = {
    MigrationPhase.QUEUED: "waits for its turn at the cluster's limit",
    MigrationPhase.PREPARING: "stage 1 of 3, preflight and set-up",
    MigrationPhase.TRANSFERRING: "stage 2 of 3, memory is copied",
    MigrationPhase.SWITCHING: "stage 3 of 3, switch-over",
    MigrationPhase.UNKNOWN: "under way, its node gives no stage",
}


def stage_words(migration: Migration) -> str:
    """How far a migration is; per cent only while memory is copied, where the node gives it."""
    words, percent = STAGES[migration.phase], migration.progress_percent
    if migration.phase is MigrationPhase.TRANSFERRING and percent is not None:
        return f"{words}: {percent}%"
    return words


REMAINS: Final[dict[Remains, str]] = {
    Remains.LEAVES: "leaves",
    Remains.OFF: "is off, and only running VMs are moved",
    Remains.PINNED: "may be nowhere else",
    Remains.NOT_CLUSTERED: "is not highly available",
    Remains.NO_ROOM: "finds no room elsewhere",
    Remains.NO_SPEC: "is named by no spec, and so left alone",
    Remains.WAITS: "waits",
}


def maintenance_sentence(standing: MaintenanceStanding, hold: Hold | None) -> str:
    """How far the maintenance of a node got; `hold` is the one on the node, if any."""
    node, why = standing.node, f": {hold_sentence(hold)}" if hold is not None else ""
    left = "; ".join(f"{vm.vm} {REMAINS[vm.why]}" for vm in standing.remaining)
    match standing.phase:
        case MaintenancePhase.PLANNED:
            return f"{node} is to be empty later."
        case MaintenancePhase.LEFT_ALONE:
            return f"The maintenance of {node} is left alone{why}."
        case MaintenancePhase.WAITS:
            return f"{node} is to be empty, and is not suspended yet{why}."
        case MaintenancePhase.SUSPENDING:
            return f"{node} is being suspended for its maintenance."
        case MaintenancePhase.EMPTYING:
            return f"{node} is being emptied: {left}."
        case MaintenancePhase.NOT_EMPTY:
            return f"{node} is suspended and as empty as it gets: {left}."
        case MaintenancePhase.EMPTY:
            return f"{node} is suspended and empty."
        case MaintenancePhase.ENDING:
            return f"The maintenance of {node} is over, and it is to be resumed{why}."
        case MaintenancePhase.OVER:
            return f"The maintenance of {node} is over."
    assert_never(standing.phase)


def folders_sentence(standing: FolderStanding, hold: Hold | None) -> str:
    """Where a node puts what nobody names a folder for; `hold` is the one on that, if any."""
    where = f"{standing.node} puts new VMs in {standing.vms} and new disks in {standing.disks}"
    if standing.declared is None:
        return f"{where}, which are not both on storage that other nodes reach."
    why = f": {hold_sentence(hold)}" if hold is not None else ""
    return f"{where}, and both are to be in {standing.declared}{why}."


def outcome_sentence(outcome: Outcome) -> str:
    """What came back right after a command."""
    action = action_sentence(outcome.action)
    match outcome.result:
        case OutcomeResult.SUBMITTED:
            return f"Ordered to {action}."
        case OutcomeResult.REFUSED:
            found = f"{outcome.condition} found {outcome.found}"
            return f"The node refused to {action} ({found})."
        case OutcomeResult.UNKNOWN:
            if outcome.code is not None:
                error = in_words(outcome.code)
                return f"The order to {action} gave an error: {error}. Only what is seen will tell."
            return f"No answer to the order to {action}; only what is seen will tell."
        case OutcomeResult.NOT_SENT:
            return f"Did not order to {action}: {outcome.detail}."
    assert_never(outcome.result)


def ended_sentence(move: Intent) -> str:
    """How a move of ours ended, with what the node reports of it and nothing else."""
    way = f"move of {move.vm} from {move.source} to {move.target}"
    if move.state is IntentState.DONE:
        return f"The {way} is done; {pause_words(move.pause_seconds)}."
    return f"The {way} had no effect: {failure_words(move)}."


def pause_words(seconds: float | None) -> str:
    """How long the guest stood still."""
    if seconds is None:
        return "how long its guest stood still is not reported"
    return f"its guest stood still for {seconds:g} s, as the node reports"


def failure_words(intent: Intent) -> str:
    """Why a command had no effect, as far as a node told."""
    if intent.code is not None:
        return in_words(intent.code)
    return intent.detail or "no node tells why"


def foreign_sentence(move: ForeignMove, vm: str) -> str:
    """A move that was not ours."""
    if move.failover:
        return f"{vm} failed over from {move.source} to {move.target}."
    return f"{vm} was moved from {move.source} to {move.target} by somebody else."


def vm_sentence(
    standing: Standing,
    want: VMDesired | None,
    *,
    way: tuple[str | None, str | None],
    hold: Hold | None,
    action: Action | None,
    differs: tuple[Change, ...] = (),
) -> str:
    """Where the VM stands. `action` is what the plan does with it first, if anything.

    `way` is where it comes from and goes to while it moves: the owner changes before the move ends.
    """
    where = _where(standing, want, way)
    if differs:
        where += f"; its role is not set as declared ({'; '.join(map(change_words, differs))})"
    if hold is not None:
        return f"{where}; {hold_sentence(hold)}."
    if action is not None:
        return f"{where}; next: {action_sentence(action)}."
    return f"{where}."


def change_words(change: Change) -> str:
    """What is otherwise, and why it stays so, if it does."""
    before, after = (", ".join(values) or "none" for values in (change.before, change.after))
    words = f"{SETTINGS[change.setting]} {before} -> {after}"
    return f"{words}, not written: {change.not_written}" if change.not_written else words


def _where(standing: Standing, want: VMDesired | None, way: tuple[str | None, str | None]) -> str:
    vm, owner, declared = standing.vm, standing.owner, standing.declared
    match standing.verdict:
        case Verdict.SETTLED:
            return f"{vm} is on {owner}, {_choice(owner, want)}"
        case Verdict.MISPLACED:
            return f"{vm} is on {owner} and belongs on {declared or 'another node'}"
        case Verdict.MOVING:
            return f"{vm} is moving from {way[0] or owner} to {way[1] or 'another node'}"
        case Verdict.MISSING:
            return f"{vm} does not exist as declared"
        case Verdict.CREATING:
            return f"{vm} is being created"
        case Verdict.UNREGISTERED:
            return f"{vm} is on {owner} and not highly available"
        case Verdict.REGISTERING:
            return f"{vm} is being made highly available on {owner}"
        case Verdict.NOT_STARTED:
            return f"{vm} is on {owner} and has not been started since we made or registered it"
        case Verdict.STARTING:
            return f"{vm} is starting on {owner}"
        case Verdict.CONFIGURING:
            return f"{vm} is on {owner}, and a setting of it is being written"
        case Verdict.UNKNOWN:
            return f"Where {vm} is, is not known"
        case Verdict.SUSPENDED:
            return f"{vm} is left alone"
        case Verdict.CONFLICT:
            return f"Which VM {vm} is, is not clear"
        case Verdict.IMPOSSIBLE:
            return f"{vm} is on {owner} and can't be where it should"
    assert_never(standing.verdict)


def _choice(owner: str | None, want: VMDesired | None) -> str:
    if want is None or owner is None or not want.preferred:
        return "and any node is right for it"
    rank = want.rank(owner)
    if rank == 0:
        return "its first preferred owner"
    if rank < len(want.preferred):
        return "a later preferred owner"
    return "a possible owner, not a preferred one"
