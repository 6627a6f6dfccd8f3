"""The guard against locking an account: at most two bad log-ons in half an hour, over all nodes.

A wrong password, tried on 64 nodes at once, locks a domain account within a second (Microsoft
docs, Account lockout threshold). So log-ons are made in turns: one at a time until the account has
been accepted once, and never more at a time than may still go wrong.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from controller.adapters.winrm.credentials import Credentials, CredentialSource
from controller.errors import LogonRefused, SpecError, Unreachable
from controller.model.names import fold

REFUSALS_MAX = 2
WINDOW_SECONDS = 1800.0
"""The usual observation window of account lockout policies (30 minutes, Microsoft baselines)."""
PROOF_SECONDS = 0.5
"""How long an acceptance answers for further Basic exchanges, each of which is a log-on.

About one look at all nodes: a password changed between two looks is noticed by one or two nodes.
"""


class Turn:
    """One log-on that is being tried."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self.accepted: bool | None = None
        """To be set once the node has answered; None: it gave no answer."""


class LogonGate:
    """Gives out turns to log on with one account. Shared by all nodes; thread-safe."""

    def __init__(
        self, source: CredentialSource, *, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._seconds = seconds
        self._changed = threading.Condition()
        self._credentials: Credentials | None = None
        self._refusals: list[tuple[float, str]] = []
        self._under_way = 0
        self._accepted_at: float | None = None
        self.refusals_total = 0

    def is_proven(self) -> bool:
        """Whether the account was accepted within the last PROOF_SECONDS."""
        with self._changed:
            accepted_at = self._accepted_at
            return accepted_at is not None and self._seconds() - accepted_at <= PROOF_SECONDS

    def refused(self, node: str, credentials: Credentials) -> None:
        """Count a refusal that came outside of a turn."""
        with self._changed:
            self._note_refusal(node, credentials)

    @contextmanager
    def turn(self, node: str, deadline: float) -> Iterator[Turn]:
        """Wait for the turn to log on at this node, until `deadline` (monotonic seconds).

        Raises LogonRefused where a further try could lock the account, Unreachable when the turn
        did not come in time; in both cases nothing was sent.
        """
        turn = Turn(self._take(node, deadline))
        try:
            yield turn
        finally:
            with self._changed:
                self._under_way -= 1
                if turn.accepted and turn.credentials == self._credentials:
                    self._accepted_at = self._seconds()
                elif turn.accepted is False:
                    self._note_refusal(node, turn.credentials)
                self._changed.notify_all()

    def _take(self, node: str, deadline: float) -> Credentials:
        with self._changed:
            while True:
                credentials = self._current()
                self._check(node)
                at_once = 1 if self._accepted_at is None else REFUSALS_MAX - len(self._refusals)
                if self._under_way < at_once:
                    self._under_way += 1
                    return credentials
                if not self._changed.wait(max(0.0, deadline - self._seconds())):
                    raise Unreachable(f"no turn to log on at {node} came in time")

    def _current(self) -> Credentials:
        """The configured account of now; another one than before starts with a clean record."""
        try:
            credentials = self._source.read()
        except SpecError as error:
            raise LogonRefused(f"no log-on was tried: {error}") from error
        if credentials != self._credentials:
            self._credentials = credentials
            self._refusals = []
            self._accepted_at = None
        return credentials

    def _check(self, node: str) -> None:
        now = self._seconds()
        self._refusals = [r for r in self._refusals if now - r[0] < WINDOW_SECONDS]
        names = sorted({name for _, name in self._refusals})
        if len(self._refusals) >= REFUSALS_MAX or fold(node) in names:
            minutes = (WINDOW_SECONDS - (now - self._refusals[0][0])) / 60
            raise LogonRefused(
                f"no log-on at {node}: the account was refused by {', '.join(names)}; next try in"
                f" {minutes:.0f} minutes, or when the credentials have changed"
            )

    def _note_refusal(self, node: str, credentials: Credentials) -> None:
        self.refusals_total += 1
        if credentials == self._credentials:
            self._refusals.append((self._seconds(), fold(node)))
            self._accepted_at = None
        self._changed.notify_all()


class LogonGates:
    """One gate an account source, so that clusters that share an account share its count."""

    def __init__(self) -> None:
        self._gates: dict[CredentialSource, LogonGate] = {}

    def gate(self, source: CredentialSource) -> LogonGate:
        """The gate of that source."""
        return self._gates.setdefault(source, LogonGate(source))
