"""The one cost: what it is worth to have a VM on a node, in bytes of migration.

Planner, audit, brute force and bench all call `place_cost`; the cost of a plan is the sum over the
VMs that it may touch. Three ranks are packed into one integer, so that sums compare rank by rank:

1. broken hard rules: a node outside `possible`; a node not preferred, where enforcement is Required
2. bytes of VMs moved for another's sake: one that is right where it is stays, unless a hard rule of
   another needs its room
3. bytes moved, 4 GiB a move besides, and for due preferences 1,000 GiB a rank (see `Policy`)

A preference that is not due (failback Never, and no hard rule broken) counts nothing.
"""

from typing import Final

from controller.model.desired import Enforcement, Failback, VMDesired
from controller.model.policy import GIB, Policy

# 64 x 8,000 VMs of 24 TiB stay below 2**64 bytes at each rank.
DISTURBED: Final = 1 << 64
HARD: Final = 1 << 128


def place_cost(want: VMDesired, policy: Policy, *, memory_bytes: int, home: str, node: str) -> int:
    """Cost of a VM that is on `home` ending on `node`; never less than 0."""
    if node == home:
        return standing_cost(want, policy, home=home, node=node)
    moved = move_bytes(policy, memory_bytes)
    there = standing_cost(want, policy, home=home, node=node)
    here = standing_cost(want, policy, home=home, node=home)
    gains = there < here
    return there + moved + (0 if gains else moved * DISTURBED)


def standing_cost(want: VMDesired, policy: Policy, *, home: str, node: str) -> int:
    """Cost of being on `node`, whatever the way there: broken hard rules and due preferences."""
    broken = hard_broken(want, node)
    if broken == 0 and node == home and want.failback is Failback.NEVER:
        return 0
    rank = want.rank(node)
    return broken * HARD + policy.preference_weight_gib * GIB * rank


def hard_broken(want: VMDesired, node: str) -> int:
    """How many hard rules of the VM would be broken on that node."""
    outside = not want.allows(node)
    unmet = (
        want.enforcement is Enforcement.REQUIRED
        and bool(want.preferred)
        and want.rank(node) == len(want.preferred)
    )
    return int(outside) + int(unmet)


def move_bytes(policy: Policy, memory_bytes: int) -> int:
    """What one move costs."""
    return policy.move_weight_gib * GIB + memory_bytes


def breaks_hard_rules(cost: int) -> int:
    """Number of broken hard rules in a cost."""
    return cost // HARD


def as_gib(cost: int) -> float:
    """The bytes moved and the due preferences of a cost, in GiB; the first two ranks left out."""
    return cost % DISTURBED / GIB
