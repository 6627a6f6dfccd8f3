"""Whether a VM can be where it should: one table of named checks, asked wherever that matters.

The planner asks it of nodes (`is_fit`, `unfit`) and of VMs (`in_the_way`), the report of what is to
be highly available (`availability`). The node asks again, in its own words, what may have changed.
"""

from controller.planning.preflight.ask import Group, Surroundings, is_on_volume, surroundings
from controller.planning.preflight.judge import availability, in_the_way, is_fit, lasts, unfit
from controller.planning.preflight.table import CHECKS, Check

__all__ = [
    "CHECKS",
    "Check",
    "Group",
    "Surroundings",
    "availability",
    "in_the_way",
    "is_fit",
    "is_on_volume",
    "lasts",
    "surroundings",
    "unfit",
]
