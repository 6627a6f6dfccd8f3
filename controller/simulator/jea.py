"""The JEA endpoint of deploy/windows without a PowerShell engine: its functions and nothing else.

A function returns one text: base64 of the gzip of the reply of docs/protocol.md. The runspace
remembers the last reply by its call's id and gives it again, as the module does.
"""

import base64
import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from controller.model.names import fold
from controller.simulator.agent_process import Respond
from controller.simulator.processes import Endpoints
from controller.simulator.winrm_server.psrp import CommandFailed, Invocation, Pool
from controller.simulator.winrm_server.settings import WinRMSettings

ENDPOINT = "Ownernode"
_CHANGE = ("intent", "epoch", "holder")
FUNCTIONS: Mapping[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "Invoke-OwnernodePing": ("ping", (), ()),
    "Invoke-OwnernodeDoctor": ("doctor", (), ()),
    "Invoke-OwnernodeObserve": ("observe", ("clusterWide",), ("slowSeconds",)),
    "Invoke-OwnernodeMoveTrace": ("moveTrace", ("vmId", "seconds"), ()),
    "Invoke-OwnernodeClaimEpoch": ("claimEpoch", ("epoch", "holder"), ()),
    "Invoke-OwnernodeMoveRole": ("moveRole", (*_CHANGE, "vmId", "source", "target"), ()),
    "Invoke-OwnernodeStartRole": ("startRole", (*_CHANGE, "vmId", "node"), ()),
    "Invoke-OwnernodeSetRole": (
        "setRole",
        (*_CHANGE, "vmId", "node", "setting", "before", "after"),
        (),
    ),
    "Invoke-OwnernodeSetProcessor": ("setProcessor", (*_CHANGE, "vmId", "node"), ()),
    "Invoke-OwnernodeRegisterVm": ("registerVm", (*_CHANGE, "vmId", "node"), ("accepts",)),
    "Invoke-OwnernodeCreateVm": ("createVm", (*_CHANGE, "node", "name", "template"), ()),
    "Invoke-OwnernodeSuspendNode": ("suspendNode", (*_CHANGE, "node"), ()),
    "Invoke-OwnernodeResumeNode": ("resumeNode", (*_CHANGE, "node"), ()),
    "Invoke-OwnernodeSetFolders": ("setFolders", (*_CHANGE, "node", "before", "folder"), ()),
}
"""Function -> operation, mandatory and optional parameters beside `callId`, which all have."""
_BINDING = "System.Management.Automation.ParameterBindingException"


class EndpointRunspace:
    """One session: remembers its last reply."""

    def __init__(self, node: str, respond: Respond) -> None:
        self._node = node
        self._respond = respond
        self._last: tuple[str, str] | None = None

    async def run(self, commands: Sequence[Invocation]) -> Sequence[Any]:
        """The reply as one text; raises CommandFailed for all that is not offered."""
        if len(commands) != 1 or commands[0].is_script:
            raise CommandFailed(
                "The syntax is not supported by this runspace. This can occur if the runspace is "
                "in no-language mode.",
                error_id="ScriptsNotAllowed",
                category="InvalidOperation",
                exception_type="System.Management.Automation.PSInvalidOperationException",
            )
        command = commands[0]
        offered = {fold(name): name for name in FUNCTIONS}
        function = offered.get(fold(command.text))
        if function is None:
            raise CommandFailed(
                f"The term '{command.text}' is not recognized as the name of a cmdlet, function, "
                "script file, or operable program.",
                error_id="CommandNotFoundException",
                category="ObjectNotFound",
                exception_type="System.Management.Automation.CommandNotFoundException",
            )
        call_id, arguments = _bound(function, command.parameters)
        if self._last is None or self._last[0] != call_id:
            self._last = call_id, await self._answer(function, call_id, arguments)
        return (self._last[1],)

    async def _answer(self, function: str, call_id: str, arguments: Mapping[str, Any]) -> str:
        operation = FUNCTIONS[function][0]
        answer = await self._respond(self._node, operation, arguments)
        if answer["errors"] and answer["errors"][0]["kind"] == "BadCall":
            raise _unbound(function, "ParameterArgumentValidationError", answer["errors"][0])
        head = {"schema": "ownernode.io/reply/v1", "id": call_id, "operation": operation}
        text = json.dumps({**head, **answer}, ensure_ascii=False, separators=(",", ":"))
        return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode("ascii")


def endpoints(
    respond: Respond, settings: WinRMSettings, *, started: Callable[[str], None]
) -> Endpoints:
    """What every node offers; `started` is told the node of each session that begins."""

    def open_pool(node: str) -> Pool:
        started(node)
        return Pool(EndpointRunspace(node, respond), fragment_bytes=settings.stream_element_bytes)

    return {ENDPOINT: open_pool}


def _bound(
    function: str, parameters: Sequence[tuple[str | None, Any]]
) -> tuple[str, dict[str, Any]]:
    """The call's id and the arguments, as PowerShell's binder would give them to the function."""
    _, mandatory, optional = FUNCTIONS[function]
    names = {fold(name): name for name in ("callId", *mandatory, *optional)}
    given: dict[str, Any] = {}
    for name, value in parameters:
        known = names.get(fold(name or ""))
        if known is None or known in given:
            raise _unbound(function, "NamedParameterNotFound", {"message": str(name)})
        given[known] = value
    missing = [name for name in ("callId", *mandatory) if name not in given]
    if missing:
        raise _unbound(function, "MissingMandatoryParameter", {"message": ", ".join(missing)})
    return str(given.pop("callId")), given


def _unbound(function: str, error_id: str, entry: Mapping[str, Any]) -> CommandFailed:
    return CommandFailed(
        f"Cannot bind the parameters of {function}: {entry['message']}",
        error_id=f"{error_id},{function}",
        category="InvalidArgument",
        exception_type=_BINDING,
    )
