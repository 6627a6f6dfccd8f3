"""The operations behind a JEA endpoint (deploy/windows), over PowerShell remoting with pypsrp.

A runspace pool of one runspace is the agent: it outlives connections, carries out one pipeline
after another, and its module remembers the last reply by the call's id, as an agent does.
Connection, log-on, sealing and time limits are NodeSession's; pypsrp makes and reads the messages.
"""

import struct
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from controller.adapters.winrm.failures import FAILURES, Lost, StillRunning
from controller.adapters.winrm.frames import PACKED_CHARACTERS_MAX, Reply, read_reply, shown
from controller.adapters.winrm.session import (
    ENVELOPE_BYTES_MAX,
    SOON_SECONDS,
    Call,
    NodeSession,
)
from controller.errors import ProtocolBroken, RemoteFailed, SpecError

try:
    from pypsrp.complex_objects import PSInvocationState
    from pypsrp.exceptions import WinRMError
    from pypsrp.powershell import PowerShell, RunspacePool
    from pypsrp.serializer import TaggedValue
    from pypsrp.shell import SignalCode
    from pypsrp.wsman import WSMan

    HAVE_PSRP = True
except ModuleNotFoundError:  # the extra is not installed
    HAVE_PSRP = False

ENDPOINT = "Ownernode"
"""The configuration name under which deploy/windows registers the endpoint."""
FUNCTIONS: Mapping[str, str] = {
    "ping": "Invoke-OwnernodePing",
    "doctor": "Invoke-OwnernodeDoctor",
    "observe": "Invoke-OwnernodeObserve",
    "moveTrace": "Invoke-OwnernodeMoveTrace",
    "claimEpoch": "Invoke-OwnernodeClaimEpoch",
    "moveRole": "Invoke-OwnernodeMoveRole",
    "startRole": "Invoke-OwnernodeStartRole",
    "setRole": "Invoke-OwnernodeSetRole",
    "setProcessor": "Invoke-OwnernodeSetProcessor",
    "registerVm": "Invoke-OwnernodeRegisterVm",
    "createVm": "Invoke-OwnernodeCreateVm",
    "suspendNode": "Invoke-OwnernodeSuspendNode",
    "resumeNode": "Invoke-OwnernodeResumeNode",
    "setFolders": "Invoke-OwnernodeSetFolders",
}
ANSWERS_BYTES_MAX = 2 * PACKED_CHARACTERS_MAX
"""All that a node may say to one call: base64 of a reply in base64, and little beside it."""
_NOT_OFFERED = frozenset({"CommandNotFoundException", "ScriptsNotAllowed"})
_TEXT_CHARACTERS_MAX = 256


class PoolSession(NodeSession):
    """One node's runspace pool: a pipeline a call, one text a reply."""

    def __init__(self, **rest: Any) -> None:
        """`rest` is a NodeSession's. Raises SpecError without the extra."""
        if not HAVE_PSRP:
            raise SpecError("transport PSRP is not supported here: install ownernode[psrp]")
        super().__init__(**rest)
        self._pool: RunspacePool | None = None
        self._pipeline: PowerShell | None = None
        self._ended: list[PowerShell] = []
        """Pipelines whose answers are of no more use, to be taken off the node."""
        self._received_bytes = 0

    @property
    def is_open(self) -> bool:
        """Whether the pool is believed to be there."""
        return self._pool is not None

    def carry(self, message: bytes) -> bytes:
        """One exchange, for pypsrp; raises as an exchange does."""
        answer: bytes = self._exchange(lambda: self._protocol.send_message(message.decode()))
        self._received_bytes += len(answer)
        if self._received_bytes > ANSWERS_BYTES_MAX:
            raise ProtocolBroken(f"{self._node} says more than {ANSWERS_BYTES_MAX} bytes")
        return answer

    def receive_seconds(self) -> int:
        """How long the node may hold the next Receive; raises Ended when no time is left."""
        return self._operation_seconds()

    def rest_a_moment(self) -> None:
        """A node that holds nothing is not asked in a tight loop."""
        self._span.pause(SOON_SECONDS)

    def _open(self) -> None:
        self._received_bytes = 0
        wsman = WSMan("-", max_envelope_size=ENVELOPE_BYTES_MAX)
        wsman.operation_timeout = self._operation_seconds()
        wsman.transport = _Carrier(self, self._transport.endpoint)  # type: ignore[assignment]
        idle = self._limits.shell_idle_timeout.removeprefix("PT").removesuffix("S")
        pool = _Pool(
            self, wsman, configuration_name=ENDPOINT, no_profile=True, idle_timeout=int(idle)
        )
        self._pool, self._pipeline, self._ended = pool, None, []
        with _understood():
            pool.open()

    def _expect(self, call: Call) -> None:
        self._received_bytes = 0

    def _lost(self) -> None:
        if self._pipeline is not None:
            # It may still be at work: only after the reply, when it has ended, is it taken off.
            self._ended.append(self._pipeline)
            self._pipeline = None
        if self._pool is not None:  # what began to arrive is told again, as another object
            self._pool._fragmenter.incoming_buffer.clear()

    def _send(self, call: Call) -> None:
        assert self._pool is not None
        self._pool.connection.operation_timeout = self._operation_seconds()
        self._pipeline = pipeline = PowerShell(self._pool)
        pipeline.add_cmdlet(FUNCTIONS[call.operation])
        pipeline.add_parameter("callId", call.id)
        for name, value in call.arguments.items():
            pipeline.add_parameter(name, _tagged(value))
        try:
            with _understood():
                pipeline.begin_invoke()
        except StillRunning as slow:
            raise Lost("the node did not take the call in time", touched=True) from slow

    def _receive(self, call: Call) -> Reply:
        pipeline = self._pipeline
        assert pipeline is not None
        with _understood():
            while pipeline.state == PSInvocationState.RUNNING:
                pipeline.poll_invoke()
        self._pipeline = None
        self._ended.append(pipeline)
        self._take_off()
        match pipeline.output:
            case [str(text)]:
                return read_reply(text, call.id)
        raise _refusal(pipeline, self._node, FUNCTIONS[call.operation])

    def _take_off(self) -> None:
        """A pool takes 1,000 pipelines, ended ones included, until they are signalled."""
        assert self._pool is not None
        while self._ended:
            try:
                with _understood():
                    self._pool.shell.signal(SignalCode.TERMINATE, self._ended[-1].id)
            except FAILURES:
                return  # the reply is there; they go later, or with the pool
            self._pool.pipelines.pop(self._ended.pop().id, None)

    def _discard(self) -> None:
        pool, self._pool, self._pipeline = self._pool, None, None
        if pool is None or not pool.shell.opened:
            return
        for _ in range(2):  # the connection may be one that was cut
            try:
                with _understood():
                    pool.shell.close()
                return
            except Lost:
                self._transport.close_session()
            except FAILURES:
                return  # Windows ends the pool after its idle time


if HAVE_PSRP:

    class _Pool(RunspacePool):
        """pypsrp's, waiting within the session's time."""

        def __init__(self, session: PoolSession, connection: WSMan, **rest: Any) -> None:
            super().__init__(connection, **rest)
            self._session = session

        def _receive(self, pipeline_id: str | None = None, timeout: int | None = None) -> list[Any]:
            while True:
                began = time.monotonic()
                try:
                    return super()._receive(pipeline_id, timeout=self._session.receive_seconds())
                except StillRunning:
                    if time.monotonic() - began < SOON_SECONDS:
                        self._session.rest_a_moment()


class _Carrier:
    """What pypsrp takes for its HTTP connection."""

    def __init__(self, session: PoolSession, endpoint: str) -> None:
        self.endpoint = endpoint
        self._session = session

    def send(self, message: bytes, **_: Any) -> bytes:
        """One exchange; how often and how long to try is the session's affair."""
        return self._session.carry(message)


@contextmanager
def _understood() -> Iterator[None]:
    """Take for lost what pypsrp can't make sense of."""
    try:
        yield
    except (
        WinRMError,
        ET.ParseError,
        struct.error,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        text = f"it does not answer as PowerShell remoting does ({type(error).__name__}: {error}"
        raise Lost(shown(text[: _TEXT_CHARACTERS_MAX - 1]) + ")", touched=True) from error


def _tagged(value: Any) -> Any:
    """The value as pypsrp is to send it: whole numbers as Int64, for it would call all Int32."""
    match value:
        case bool():
            return value
        case int():
            return TaggedValue("I64", value)
        case dict():
            return {name: _tagged(one) for name, one in value.items()}
        case list():
            return [_tagged(one) for one in value]
    return value


def _refusal(pipeline: "PowerShell", node: str, function: str) -> Exception:
    """What is wrong where there is no reply: the call was refused, or something broke.

    A function catches all that goes wrong inside, so that an error under its name is its
    parameters': nothing of it was executed (FullyQualifiedErrorId is `<id>,<command>`).
    """
    if not pipeline.streams.error:
        return ProtocolBroken(f"{node} gave {len(pipeline.output)} values and no reply")
    first = pipeline.streams.error[0]
    kind = str(getattr(first, "fq_error", ""))
    refused = kind in _NOT_OFFERED or kind.rpartition(",")[2] == function
    return RemoteFailed(
        shown(f"{node}: {str(first)[:_TEXT_CHARACTERS_MAX]}"),
        kind="BadCall" if refused else kind[:_TEXT_CHARACTERS_MAX],
        hresult=None,
    )
