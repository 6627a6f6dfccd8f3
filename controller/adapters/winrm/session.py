"""One node's agent over WinRM, for one thread at a time; what is an agent, the subclass knows.

A shell with one PowerShell process in it outlives connections: whatever happens to an exchange, the
connection is dropped, a new one logs on, and the same call is sent again under the same id.
The agent answers a repeated id from memory, so a call is executed once however often it is sent.
Only when the process itself is lost is the outcome unknown.
"""

import itertools
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from winrm.protocol import Protocol

from controller.adapters.winrm.calling import Barred
from controller.adapters.winrm.endpoints import Endpoint
from controller.adapters.winrm.failures import (
    FAILURES,
    Ended,
    Lost,
    NoRight,
    NoRoom,
    ShellGone,
    StillRunning,
    remote_error,
    translated,
)
from controller.adapters.winrm.frames import Reply
from controller.adapters.winrm.kerberos import NoTicket, Tickets
from controller.adapters.winrm.logons import LogonGate
from controller.adapters.winrm.quotas import read_quotas
from controller.adapters.winrm.wire import NodeTransport
from controller.errors import Busy, LogonRefused, OutcomeUnknown, ProtocolBroken, Unreachable

T = TypeVar("T")

ENVELOPE_BYTES_MAX = 512_000
"""What Windows Server 2012 and later send at most; pywinrm would announce 153,600."""
SOON_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Times and counts of one session."""

    connect_seconds: float = 3.0
    operation_seconds: int = 8
    """How long a node may hold one exchange; a slow call is several of them."""
    read_grace_seconds: float = 5.0
    """An answer that is later than this after the operation's time is lost."""
    idle_seconds: float = 90.0
    """http.sys drops a connection after 120 s of silence, which breaks NTLM's seal for good."""
    recoveries_max: int = 8
    """Lost exchanges in one call before it is given up."""
    pause_seconds_max: float = 2.0
    openings_max: int = 4
    shell_idle_timeout: str = "PT600S"
    """After which Windows itself ends a shell that we have forgotten."""
    silent_calls_max: int = 2
    """Calls in a row without any answer after which the agent is taken for hung and ended."""
    calls_max: int = 10_000
    age_seconds_max: float = 6 * 3600.0
    """A fresh process now and then, lest PowerShell's memory grow without end."""


class Span:
    """The time that one piece of work may take; whoever waits for it may end it early."""

    def __init__(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self.ended = threading.Event()

    def left_seconds(self) -> float:
        """What is left of it; raises Ended when nothing is."""
        left = self.deadline - time.monotonic()
        if self.ended.is_set() or left <= 0:
            raise Ended("it was cut short" if self.ended.is_set() else "no answer in time")
        return left

    def pause(self, seconds: float) -> None:
        """Wait, unless ended first."""
        self.ended.wait(min(seconds, self.left_seconds()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One operation to be done on a node; sent again, it is the same call."""

    id: str
    operation: str
    arguments: Mapping[str, Any]
    repeatable: bool
    """It changes nothing, so a lost agent may be replaced and asked again."""

    @property
    def intent(self) -> str:
        """The intent id; empty for a command without."""
        return str(self.arguments.get("intent", ""))


class NodeSession(ABC):
    """The agent of one node. Every method but `cut` belongs to one thread at a time."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        authentication: str,
        ca_file: str | None,
        tickets: Tickets | None,
        gate: LogonGate,
        limits: Limits,
        barred: Barred,
    ) -> None:
        self._node = endpoint.node
        self._barred = barred
        self._gate = gate
        self._limits = limits
        self._each_is_a_logon = authentication in ("Basic", "Certificate")
        self._transport = NodeTransport(endpoint, authentication, ca_file, tickets)
        self._protocol = _Protocol(endpoint.url, username="-", password="", proxy=None)
        self._protocol.transport = self._transport
        self._opened_at = 0.0
        self._calls = 0
        self._silent_calls = 0
        self._exchanged_at = 0.0
        self._span = Span(0)
        self._stderr = ""

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether an agent is believed to be running."""

    def cut(self, span: Span) -> None:
        """Make the thread that does that span's work come out at once. From any thread."""
        span.ended.set()
        self._transport.wire.cut()

    def call(
        self,
        span: Span,
        call: Call,
        *,
        may_recycle: bool,
    ) -> Mapping[str, Any]:
        """Have one operation done and give its data.

        `may_recycle`: no job of the agent is running, so that it may be replaced first.
        Raises Unreachable, LogonRefused or Busy when nothing was executed; RemoteFailed,
        ProtocolBroken, or OutcomeUnknown when it may have been.
        """
        self._span = span
        self._stderr = ""
        if self._silent_calls >= self._limits.silent_calls_max or (may_recycle and self._is_worn()):
            self._discard()
        self._ensure_open()
        self._calls += 1
        reply = self._carry(call)
        self._silent_calls = 0
        if not reply.ok:
            raise remote_error(reply, self._node)
        if reply.operation != call.operation:
            raise ProtocolBroken(
                f"{self._node} answered {reply.operation[:64]}, not {call.operation}"
            )
        return reply.data

    def quotas(self, span: Span) -> Mapping[str, int]:
        """The limits of the node's WinRM service. Raises as an exchange does."""
        self._span = span
        return self._exchange(lambda: read_quotas(self._protocol))

    def close(self, span: Span, *, keep_agent: bool) -> None:
        """End the agent, unless a job of it is running, and the connection. Never raises."""
        self._span = span
        if not keep_agent:
            self._discard()
        self._transport.close_session()

    # one call

    def _carry(self, call: Call) -> Reply:
        """Send the call, and again after each lost exchange, until its reply is whole."""
        maybe_executed = False
        to_send = True
        self._expect(call)
        for recovery in itertools.count():
            try:
                if to_send:
                    self._check_bar(call, maybe_executed)
                    self._send(call)
                    maybe_executed, to_send = True, False
                return self._receive(call)
            except FAILURES as failure:
                maybe_executed |= isinstance(failure, Lost) and failure.touched
                if isinstance(failure, ShellGone) and call.repeatable:
                    maybe_executed = False
                self._silent_calls += isinstance(failure, Ended)
                given_up = isinstance(failure, Ended | LogonRefused) or (
                    recovery >= self._limits.recoveries_max
                )
                unreached = isinstance(failure, Lost) and failure.unreached
                lost_agent = isinstance(failure, ShellGone) and maybe_executed
                if given_up or lost_agent or (unreached and not maybe_executed):
                    if isinstance(failure, ShellGone):
                        self._discard()
                    raise self._verdict(failure, maybe_executed) from failure
                self._prepare_repeat(failure, recovery, call, maybe_executed)
                to_send = True
        raise AssertionError("count() does not end")

    def _check_bar(self, call: Call, maybe_executed: bool) -> None:
        """Ask once more: a shell may have taken seconds to open, a repeat comes later still."""
        why = None if call.repeatable else self._barred(call.intent)
        if why is not None:
            text = f"not sent to {self._node}: {why}"
            raise OutcomeUnknown(text) if maybe_executed else Busy(text)

    def _prepare_repeat(
        self, failure: Exception, recovery: int, call: Call, maybe_executed: bool
    ) -> None:
        """Bring agent and connection back to where the call can be sent (again)."""
        if isinstance(failure, ShellGone):
            self._discard()
            self._ensure_open()
            self._expect(call)
            return
        if isinstance(failure, Lost):
            self._transport.close_session()
            self._lost()
        try:
            self._pause(recovery)
        except Ended as ended:
            raise self._verdict(ended, maybe_executed) from failure

    def _verdict(self, failure: Exception, maybe_executed: bool) -> Exception:
        """What the caller has to know of a call that is given up."""
        said = f"; its agent said: {self._stderr}" if self._stderr else ""
        text = f"{self._node}: {failure}{said}"[:512]
        if maybe_executed:
            return OutcomeUnknown(text)
        if isinstance(failure, NoRoom):
            return Busy(text)
        return failure if isinstance(failure, LogonRefused) else Unreachable(text)

    def _pause(self, recovery: int) -> None:
        """Nothing before the first repeat, then ever longer."""
        if recovery:
            self._span.pause(min(0.05 * 2**recovery, self._limits.pause_seconds_max))

    # the agent

    def _ensure_open(self) -> None:
        """Start an agent if none is there. Nothing that fails here has executed a call."""
        if self.is_open:
            return
        for opening in range(self._limits.openings_max):
            self._stderr = ""
            try:
                self._open()
                self._opened_at = time.monotonic()
                self._calls = self._silent_calls = 0
                return
            except FAILURES as failure:
                self._discard()
                last = opening + 1 == self._limits.openings_max
                unreached = isinstance(failure, Lost) and failure.unreached
                if last or unreached or isinstance(failure, Ended | LogonRefused | NoRoom):
                    raise self._verdict(failure, False) from failure
                self._prepare_opening(opening, failure)

    def _prepare_opening(self, opening: int, failure: Exception) -> None:
        try:
            self._pause(opening)
        except Ended as ended:
            raise self._verdict(ended, False) from failure

    def _is_worn(self) -> bool:
        age_seconds = time.monotonic() - self._opened_at
        return self.is_open and (
            self._calls >= self._limits.calls_max or age_seconds > self._limits.age_seconds_max
        )

    @abstractmethod
    def _open(self) -> None:
        """Start an agent and see that it is ready."""

    @abstractmethod
    def _expect(self, call: Call) -> None:
        """The call is about to be sent to this agent for the first time."""

    @abstractmethod
    def _lost(self) -> None:
        """Bytes of the answer may be missing here: the call is about to be sent again."""

    @abstractmethod
    def _send(self, call: Call) -> None:
        """Give the call to the agent."""

    @abstractmethod
    def _receive(self, call: Call) -> Reply:
        """Wait for the reply to what was sent."""

    @abstractmethod
    def _discard(self) -> None:
        """End the shell and its process if they can be reached; never raises."""

    # one exchange

    def _exchange(self, work: Callable[[], T]) -> T:
        """Do one HTTP exchange, logging on first where that is due and it is our turn."""
        if time.monotonic() - self._exchanged_at > self._limits.idle_seconds:
            self._transport.close_session()
        proven = not self._each_is_a_logon or self._gate.is_proven()
        if self._transport.session is not None and proven:
            try:
                return self._exchange_now(work)
            except LogonRefused as refused:
                if self._transport.credentials is not None and not isinstance(
                    refused, NoRight | NoTicket
                ):
                    self._gate.refused(self._node, self._transport.credentials)
                raise
        with self._gate.turn(self._node, self._span.deadline) as turn:
            self._transport.use(turn.credentials)
            self._transport.wire.may_log_on = True
            try:
                result = self._exchange_now(work)
            except FAILURES as failure:
                turn.accepted = answer_to_logon(failure)
                raise
            finally:
                self._transport.wire.may_log_on = False
            turn.accepted = True
            return result

    def _operation_seconds(self) -> int:
        """How long the node may hold the next exchange."""
        return max(1, min(self._limits.operation_seconds, int(self._span.left_seconds())))

    def _exchange_now(self, work: Callable[[], T]) -> T:
        left_seconds = self._span.left_seconds()
        operation_seconds = self._operation_seconds()
        self._protocol.operation_timeout_sec = operation_seconds
        self._transport.read_timeout_sec = (  # type: ignore[assignment]  # requests takes both
            min(self._limits.connect_seconds, left_seconds),
            operation_seconds + self._limits.read_grace_seconds,
        )
        wire = self._transport.wire
        wire.touched = False
        with translated(self._node, wire):
            result = work()
        self._exchanged_at = time.monotonic()
        return result


def answer_to_logon(failure: Exception) -> bool | None:
    """What a failed exchange says of the log-on that came with it; None: nothing."""
    if isinstance(failure, LogonRefused) and not isinstance(failure, NoRight | NoTicket):
        return False
    answered = isinstance(failure, StillRunning | ShellGone | NoRoom | NoRight)
    return True if answered else None


class _Protocol(Protocol):
    """pywinrm's, announcing the envelope size that Windows really has."""

    def build_wsman_header(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        header: dict[str, Any] = super().build_wsman_header(*args, **kwargs)
        header["env:Header"]["w:MaxEnvelopeSize"]["#text"] = str(ENVELOPE_BYTES_MAX)
        return header
