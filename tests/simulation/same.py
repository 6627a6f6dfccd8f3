"""`python -m tests.simulation.same SEED...`: a line for each, of all that its run did and found.

The lines are the same whatever PYTHONHASHSEED is.
"""

import hashlib
import sys

from tests.simulation.drawing import draw
from tests.simulation.play import play

if __name__ == "__main__":
    for seed in map(int, sys.argv[1:]):
        result = play(draw(seed))
        text = repr((result.trace, result.violations, result.simulated_seconds, result.held))
        sys.stdout.write(f"{seed} {hashlib.sha256(text.encode()).hexdigest()}\n")
