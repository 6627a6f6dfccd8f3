"""Invariants and liveness goals by number, each with the functions that hold it, or why none does.

The numbers are those of the project's reliability goals; R1 to
R10 and A1 are rules of the design that have no number there.
"""

from collections.abc import Mapping

from tests.simulation import command_rules as command
from tests.simulation import pace_rules as pace
from tests.simulation import truth_rules as truth
from tests.simulation import upkeep_rules as upkeep
from tests.simulation.checker import Rule

ON_COMMAND: Mapping[str, tuple[Rule, ...]] = {
    "I2": (command.one_at_a_time,),
    "I4": (command.known_verbs,),
    "I6": (command.by_guid,),
    "I7": (command.within_limits,),
    "I8": (upkeep.one_node_away,),
    "I9": (command.fresh,),
    "I10": (command.after_our_last_effect,),
    "I11": (command.both_agree, command.at_rest),
    "I13": (command.has_room,),
    "I15": (command.target_takes,),
    "I17": (command.spaced, pace.not_a_fight),
    "I18": (pace.few_vanished,),
    "I19": (command.not_held, pace.outcomes_known, pace.few_failures, pace.not_stopped),
    "I20": (command.durable,),
    "I23": (command.managed,),
    "I24": (command.surely_absent,),
    "I27": (command.wanted_there,),
    "R1": (command.respected,),
    "R2": (command.on_shared_volumes,),
    "R3": (pace.steady_target,),
    "R4": (pace.quorum_is_safe,),
    "R5": (pace.not_asked_again,),
    "R6": (pace.patient_with_one,),
    "R7": (pace.whole,),
    "R8": (pace.failback_is_over,),
    "R9": (upkeep.documented,),
    "R10": (upkeep.as_declared,),
}
ON_EFFECT: Mapping[str, tuple[Rule, ...]] = {
    "I3": (truth.conditions_held, upkeep.node_conditions_held),
    "I5": (truth.holds_the_cluster,),
    "I12": (truth.with_quorum,),
    "I15": (upkeep.owners_are_sound,),
    "I16": (upkeep.preferred_are_possible,),
    "I21": (truth.once,),
    "I25": (truth.guests_run_on,),
}
ON_STEP: Mapping[str, tuple[Rule, ...]] = {
    "I1": (truth.one_open,),
    "I7": (truth.limits_kept,),
    "I4": (truth.own_verbs,),
}
ON_REPORT: Mapping[str, tuple[Rule, ...]] = {
    "L4": (truth.explained,),
    "L10": (truth.drift_is_told,),
    "A1": (truth.judges_agree,),
}
AT_END: Mapping[str, tuple[Rule, ...]] = {"I21": (truth.journal_is_true,)}

ELSEWHERE: Mapping[str, str] = {
    "I22": "with a directory each document has its own last good version; I23 and I27 judge by it",
    "I25": "(steps) held by the checker itself as moves take place: none is other than live",
    "I26": "the last clause of I23: a VM that no spec names gets no command",
    "I30": "test_a_seed_repeats_itself: the same trace under other hash seeds",
    "I31": "play.py: tasks at each tick of the driver",
    "I32": "the first clause of I19: no command in mode Observe",
    "L1": "play.py: in place after the heal, then silence",
    "L2": "I21 at the end: no intent is open",
    "L3": "play.py: moves that took place against those that were needed",
    "L5": "L1 with F37",
    "L6": "L1: a hold that does not release keeps a VM from its place",
    "L7": "L1 with F36",
    "L9": "play.py: an orderly stop ends in time, and gives no command",
}
NOT_YET: Mapping[str, str] = {
    "I14": "there are no rules over sets of VMs yet; needs PlacementRule",
    "I18 (canary, BLAST)": "what is due of a change only the planner can tell; the audit and"
    " tests/scenarios hold both",
    "I28": "log-ons are counted below NodeCaller; tests/protocol holds it on the wire",
    "I29": "no secret passes NodeCaller; tests/protocol and tests/e2e search every output",
    "L8": "with one node of four silent everything waits by design (more than 10 % unknown)",
}
