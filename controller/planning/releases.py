"""For each hold its guard, and what or who releases it, as docs/guards.md has it.

Where a rule of planning itself holds and no guard, the guard is "planning".
"""

from typing import Final

from controller.model.plan import HoldReason

RELEASES: Final[dict[HoldReason, tuple[str, str]]] = {
    HoldReason.CLUSTER_CHANGED: (
        "evidence.cluster_changed",
        "the first cluster, or a state directory of its own for the new one",
    ),
    HoldReason.EVIDENCE_OLD: ("evidence.evidence_old", "the next look"),
    HoldReason.TOO_MANY_UNKNOWN: ("evidence.too_many_unknown", "VMs that are seen again"),
    HoldReason.NODES_DARK: ("evidence.nodes_dark", "nodes that are seen again"),
    HoldReason.FIRST_CYCLES: ("evidence.first_cycles", "quiet looks at the whole cluster"),
    HoldReason.JOURNAL_BROKEN: ("planning", "the operator, who mends the disk and restarts"),
    HoldReason.AUDIT_VETO: ("planning", "a plan without the fault"),
    HoldReason.BALANCER_ON: (
        "permission.balancer_on",
        "the administrator: AutoBalancerMode 0, a cluster out of SCVMM, or `balancer: Coexist`",
    ),
    HoldReason.NOT_FIT: (
        "permission.not_fit",
        "the administrator, who mends it; it is examined again every five minutes",
    ),
    HoldReason.EPOCH_NOT_CLAIMED: (
        "fencing.epoch_not_claimed",
        "the claim, which follows by itself",
    ),
    HoldReason.SUPERSEDED: ("fencing.superseded", "a restart of this process"),
    HoldReason.STOPPED: (
        "permission.stopped, fencing.stop_flag",
        "whoever resumes it, or its end; the administrator who set the flag",
    ),
    HoldReason.SUGGESTED: ("planning", "`approve DIGEST`"),
    HoldReason.CLOCK_JUMPED: ("evidence.clock_jumped", "one settle later, by itself"),
    HoldReason.OUTCOMES_UNKNOWN: (
        "pace.outcomes_unknown",
        "outcomes that are seen, after one settle at most",
    ),
    HoldReason.FAILURES: (
        "pace.failures, pace.keeps_failing, pace.probe, node.node_fails",
        "the probe, when it is seen done",
    ),
    HoldReason.SPECS_SHRANK: (
        "change.specs_shrank",
        "the specs, when they are back; or `approve DIGEST`",
    ),
    HoldReason.OUTSIDE_WINDOW: ("permission.outside_window", "the next window, by itself"),
    HoldReason.QUORUM_AT_RISK: ("capacity.quorum_at_risk, node.quorum_lost", "the node's return"),
    HoldReason.VIEW_INCOMPLETE: ("planning", "a look at the whole cluster"),
    HoldReason.OWNER_DISAGREES: ("planning", "their agreement"),
    HoldReason.OUTCOME_OPEN: ("planning", "what is seen, after one settle at most"),
    HoldReason.MIGRATION_UNDER_WAY: ("planning", "the end of the move"),
    HoldReason.NOT_RUNNING: ("vm_state.not_running", "whoever starts it"),
    HoldReason.LOCKED: ("vm_state.locked", "the end of the backup"),
    HoldReason.BUSY: ("vm_state.busy, vm_state.not_at_rest, vm_state.not_off", "the end of it"),
    HoldReason.FAILBACK_UNDER_WAY: ("vm_state.failback_under_way", "the end of the failback"),
    HoldReason.FOREIGN_MOVE: ("pace.foreign_move", "half an hour after the move"),
    HoldReason.NEEDS_OFF: ("planning", "whoever shuts it down"),
    HoldReason.COOLDOWN: (
        "pace.cooldown, pace.setting_rests",
        "ten minutes after the move, or after our write",
    ),
    HoldReason.REFUSED: (
        (
            "pace.move_refused, pace.register_refused, pace.start_refused, pace.configure_refused,"
            " pace.refused,"
            " node.suspend_refused, node.resume_refused, node.folders_refused"
        ),
        "by itself; another spec asks at once",
    ),
    HoldReason.MIGRATION_NEVER: ("vm_state.migration_never", "its spec"),
    HoldReason.SUSPENDED: ("planning", "its spec"),
    HoldReason.SPEC_CONFLICT: ("planning", "the specs"),
    HoldReason.NAME_AMBIGUOUS: ("planning", "its spec, by `id`"),
    HoldReason.NAME_TAKEN_BY_ANOTHER: ("planning", "its spec, by `id`"),
    HoldReason.NO_TEMPLATE: ("planning", "its spec"),
    HoldReason.HALF_CREATED: ("vm_state.half_created", "whoever finishes or removes it"),
    HoldReason.DISK_IN_USE: ("planning", "whoever names another disk"),
    HoldReason.LOCAL_ACCOUNT: (
        "permission.local_account",
        "the operator: Kerberos or NTLM",
    ),
    HoldReason.ABSENCE_UNCONFIRMED: (
        "evidence.absence_unconfirmed",
        "the second look at the whole cluster",
    ),
    HoldReason.NOT_CLUSTERED: ("vm_state.not_clustered", "its spec: `register: true`"),
    HoldReason.HA_BLOCKED: (
        "vm_state.high_availability_blocked",
        "the administrator: the hold names the remedy",
    ),
    HoldReason.ROLE_NOT_ONLINE: ("vm_state.role_not_online", "the role, when it is online"),
    HoldReason.PAUSED: (
        "permission.paused, permission.target_paused",
        "whoever resumes it, or its end",
    ),
    HoldReason.CONTESTED: (
        "pace.contested",
        "its spec, when it changes; a day after the first of the moves",
    ),
    HoldReason.APPROVAL_NEEDED: (
        "change.approval_needed",
        "`approve DIGEST`, or specs that change less",
    ),
    HoldReason.CANARY: ("change.canary_width", "moves under this revision that are seen done"),
    HoldReason.FAILBACK_WINDOW: ("permission.failback_window", "the next Allow window"),
    HoldReason.WINDOW_ENDS: ("permission.window_ends", "the next window"),
    HoldReason.NODE_NOT_STABLE: ("pace.node_not_stable", "ten minutes after the node's return"),
    HoldReason.NODE_FAILURES: (
        "capacity.node_failures, node.losses_not_borne",
        "room, or the spec",
    ),
    HoldReason.NODE_LIMIT: ("planning", "a move that ends"),
    HoldReason.CLUSTER_LIMIT: ("planning", "a move that ends"),
    HoldReason.FAULT_DOMAIN: ("change.domain_at_work", "the end of the moves under way"),
    HoldReason.PREFLIGHT: (
        "vm_state.preflight, vm_state.not_startable",
        "the administrator: the hold names check and remedy",
    ),
    HoldReason.TARGET_UNFIT: ("vm_state.host_unfit", "the administrator"),
    HoldReason.NO_ROOM: ("planning", "room"),
    HoldReason.NO_ROOM_YET: ("planning", "that move"),
    HoldReason.NO_HOP: ("planning", "room"),
    HoldReason.NODE_UNKNOWN: ("planning", "the spec"),
    HoldReason.RULES_CONFLICT: ("planning", "the specs"),
    HoldReason.PINNED: ("planning", "its spec, or the end of the maintenance"),
    HoldReason.NODE_AWAY: ("node.another_away", "the other node's return"),
    HoldReason.NODE_NOT_UP: ("node.not_up, node.not_back", "the node, when it is back"),
    HoldReason.NODE_PAUSED: (
        "node.paused_by_others, node.drained_by_others",
        "whoever paused it, by resuming it",
    ),
    HoldReason.NODE_IN_USE: ("node.in_use", "the end of what is under way"),
    HoldReason.NODE_IN_MAINTENANCE: ("node.in_maintenance", "the end of its maintenance"),
    HoldReason.FOLDER_NOT_SHARED: (
        "node.folder_not_shared",
        "the cluster's spec, with a folder on a volume that is there; or the volume's return",
    ),
}
