"""What a test or the demo makes go wrong on one node, beyond what Windows does by itself."""

from collections import deque
from collections.abc import Iterable
from enum import Enum
from random import Random

from controller.simulator.winrm_server.faults import WSManFault


class Cut(Enum):
    """When a connection is cut in the course of one exchange."""

    NONE = "none"
    BEFORE = "before the request is executed"
    AFTER = "after it was executed, with the answer unsent"


class Faults:
    """The disturbances of one node, changeable while it serves.

    Actions go by the last word of their URI: Create, Command, Send, Receive, Signal, Delete, Get.
    """

    def __init__(self, *, random: Random | None = None, cut_probability: float = 0.0) -> None:
        self.refuse_logons = False
        self.cut_probability = cut_probability
        """The chance that an exchange is cut, before or after, at even odds."""
        self.delays: dict[str, float] = {}
        """Seconds that an action takes before it is executed."""
        self._random = random or Random(0)
        self._cuts: deque[Cut] = deque()
        self._faults: dict[str, deque[WSManFault]] = {}

    def script_cuts(self, cuts: Iterable[Cut]) -> None:
        """Decide the coming exchanges one by one; chance has its say again when these are used."""
        self._cuts.extend(cuts)

    def fail(self, action: str, *faults: WSManFault) -> None:
        """Answer the coming requests of this action with these faults, one each."""
        self._faults.setdefault(action, deque()).extend(faults)

    def next_cut(self) -> Cut:
        """Whether and when the exchange that begins now is cut."""
        if self._cuts:
            return self._cuts.popleft()
        if self.cut_probability and self._random.random() < self.cut_probability:
            return self._random.choice((Cut.BEFORE, Cut.AFTER))
        return Cut.NONE

    def take_fault(self, action: str) -> WSManFault | None:
        """The fault to answer this action with, if one is planned."""
        planned = self._faults.get(action)
        return planned.popleft() if planned else None
