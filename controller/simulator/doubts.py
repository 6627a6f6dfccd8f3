"""Windows behaviours that no source settles, as named switches; each choice is played.

A test that holds under one choice only has found an assumption. A transcript of a real cluster
narrows a switch; it never adds behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubts:
    """One world's choices; the first one named in each comment is the most likely."""

    # A move of the group Pending already in the transfer, or only in the switch-over.
    group_state_in_transfer: Literal["Pending", "Online"] = "Pending"
    # The Queued flag goes when a slot is free, or stays until memory is being copied.
    queued_flag_ends: Literal["at_start", "at_transfer"] = "at_start"
    # The owner node changes when the switch-over begins (group Pending), or when it is done.
    owner_switches: Literal["before_switch_over_ends", "after_switch_over_ends"] = (
        "before_switch_over_ends"
    )
    # Where a failed migration leaves the running VM; "nowhere" lasts two minutes, then the source.
    failed_migration_leaves_vm: Literal["on_source", "on_target", "nowhere"] = "on_source"
    # Which node's Get-VM lists a VM that is being transferred.
    vm_in_flight_listed: Literal["on_source", "on_both", "on_none"] = "on_source"
    # A second move of a VM in flight is refused as busy, or carried out afterwards.
    second_move: Literal["busy", "queued"] = "busy"
    # The private migration properties: filled (documented for 2008 R2), always 0, or absent.
    migration_properties: Literal["filled", "zero", "absent"] = "filled"
    # Whether a node logs how long the guest stood still: after each migration (20415, or 20417 for
    # a long one), after a long one only, or never.
    pause_event: Literal["each", "long", "never"] = "each"
    # The migration limit counts incoming and outgoing moves together, or each by itself.
    migration_limit_counts: Literal["together", "apart"] = "together"
    # Get-VMHost shows the cluster's migration limit, or the node's own setting.
    host_limit_shown: Literal["of_cluster", "of_node"] = "of_cluster"
    # A move to the node that owns the role already: nothing happens, or it is an error.
    move_to_owner: Literal["accepted", "refused"] = "accepted"
    # A move to a paused node.
    move_to_paused_node: Literal["refused", "accepted"] = "refused"
    # Removing the owner node from the possible owners.
    owner_made_impossible: Literal["refused", "moved", "offline"] = "refused"
    # A node cut off from the others, until it notices the loss of quorum itself.
    cut_off_node_answers: Literal["old", "error", "hang"] = "old"
    cut_off_noticed_seconds: Literal[20, 10, 240] = 20
    # A node being drained shows as Paused at once, or when it is empty.
    node_shown_paused: Literal["before_drain", "after_drain"] = "before_drain"
    # The role's lock is lifted with the end of a backup, or half a minute later.
    backup_lock_lifted: Literal["with_backup", "after_backup"] = "with_backup"
    # The id of a VM that an administrator removes and imports again.
    id_after_import: Literal["kept", "new"] = "kept"
    # OwnerNode of a role that is failing over.
    owner_in_failover: Literal["null", "old"] = "null"
    # Get-ClusterGroup and Get-ClusterResource with the -VMId of a VM that is not clustered.
    unknown_vm_id: Literal["error", "empty"] = "error"
    # OwnerGroup and ResourceType of a resource: objects (reflected), or text (seen on 2025).
    resource_links: Literal["objects", "text"] = "objects"
    # How Get-VM says that there is no such VM: now, in 2012, in newer reports.
    vm_not_found: Literal[
        "InvalidParameter,Microsoft.HyperV.PowerShell.Commands.GetVM",
        "InvalidParameter,Microsoft.HyperV.PowerShell.Commands.GetVMCommand",
        "ObjectNotFound,Microsoft.HyperV.PowerShell.Commands.GetVM",
    ] = "InvalidParameter,Microsoft.HyperV.PowerShell.Commands.GetVM"
    # Move- and Add-ClusterVirtualMachineRole in a session without CredSSP (the page says no).
    role_cmdlets_over_winrm: Literal["work", "refused"] = "work"
    # A VM with more virtual processors than its target has logical ones.
    processors_above_target: Literal["refused", "accepted"] = "refused"
    # How Get-VMHost shows a default folder: as it was given, or with a backslash at its end.
    default_folder_shown: Literal["as_given", "with_backslash"] = "as_given"
    # MoveTypeThreshold of the VM resource type while nobody has set it: its default, or not there.
    move_type_threshold_unset: Literal["default", "absent"] = "default"
    # RuleType of an affinity rule: the number that the reflected class has, or the name that people
    # see, which a type file could put in its place.
    affinity_rule_type: Literal["number", "name"] = "number"
    # The free text that Failover Cluster Manager shows as "Information".
    resource_status_language: Literal["en", "de"] = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long things take; defaults are those of a small 10 GbE cluster."""

    heartbeat_seconds: float = 10.0  # until the others miss a dead node
    join_seconds: float = 10.0  # Joining until Up
    set_up_seconds: float = 2.0
    switch_over_seconds: float = 1.0
    pause_seconds: float = 0.4  # of the switch-over, in which the guest stands still
    pause_long_seconds: float = 3.0  # from when on a pause is logged as long; no source says
    bandwidth_bytes_per_second: float = 1.0e9
    dirty_factor: float = 0.2  # share of the memory that is copied twice
    save_bytes_per_second: float = 5.0e8  # quick migration: saving and restoring memory
    start_seconds: float = 5.0
    failover_seconds: float = 3.0  # role Pending before the VM starts elsewhere
    lost_vm_seconds: float = 120.0  # failed_migration_leaves_vm: nowhere
    job_start_seconds: float = 1.0  # a PowerShell process of its own for a job
    job_step_seconds: float = 0.5
    lock_lag_seconds: float = 30.0  # backup_lock_lifted: after_backup
