"""The operations of the WS-Man shell protocol ([MS-WSMV] 3.1.4), each from request to answer body.

Answers follow recordings of Windows hosts; which elements they hold is what clients parse.
"""

import asyncio
import base64
import binascii
from dataclasses import dataclass
from xml.sax.saxutils import escape

from controller.simulator.processes import Endpoints, ProcessHost
from controller.simulator.winrm_server import faults
from controller.simulator.winrm_server.settings import WinRMSettings
from controller.simulator.winrm_server.shells import Command, Shell, ShellTable
from controller.simulator.winrm_server.soap import (
    CMD,
    CONFIG,
    SHELL,
    TRANSFER,
    WsmanRequest,
    duration_seconds,
)

FRAME_BYTES = 1536
"""Room in an answer for all that is not output: envelope, header, command state."""

ENDING_SIGNALS = (f"{SHELL}/signal/terminate", f"{SHELL}/signal/ctrl_c")
POWERSHELL = "http://schemas.microsoft.com/powershell"
"""With a name behind it, the resource of a session configuration ([MS-PSRP] 3.1.5.3.1)."""
PIPELINES_MAX = 1000
"""MaxConcurrentCommandsPerShell, which counts ended ones until they are signalled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks: the user, where from, and the URL under which they reached the node."""

    user: str
    address: str
    endpoint: str


class Operations:
    """Carries out what a logged-on user asks of one node."""

    def __init__(
        self, node: str, host: ProcessHost, settings: WinRMSettings, endpoints: Endpoints
    ) -> None:
        self._node = node
        self._endpoints = {f"{POWERSHELL}/{name}": open_ for name, open_ in endpoints.items()}
        self._settings = settings
        self.shells = ShellTable(
            node,
            host,
            shells_per_user_max=settings.shells_per_user_max,
            operations_per_user_max=settings.operations_per_user_max,
            element_bytes=settings.stream_element_bytes,
        )

    async def perform(self, request: WsmanRequest, caller: Caller) -> str:
        """The body of the answer; raises WSManFault where the answer is a fault."""
        if request.action == f"{TRANSFER}/Get" and request.resource_uri == CONFIG:
            return self._config()
        if request.action == f"{TRANSFER}/Get" and request.resource_uri == SHELL:
            return _shell_element(self.shells.find(request.shell_id, caller.user), caller)
        if request.resource_uri != CMD and request.resource_uri not in self._endpoints:
            raise faults.resource_unknown()
        if request.action == f"{TRANSFER}/Create":
            return await self._create(request, caller)
        shell = self.shells.find(request.shell_id, caller.user)
        try:
            async with asyncio.timeout(self._patience_seconds(request)):
                return await self._in_shell(request, shell)
        except TimeoutError as problem:
            raise faults.timed_out() from problem

    async def _in_shell(self, request: WsmanRequest, shell: Shell) -> str:
        match request.action:
            case action if action == f"{SHELL}/Command":
                return await self._command(request, shell)
            case action if action == f"{SHELL}/Send":
                return await self._send(request, shell)
            case action if action == f"{SHELL}/Receive":
                return await self._receive(request, shell)
            case action if action == f"{SHELL}/Signal":
                return await self._signal(request, shell)
            case action if action == f"{TRANSFER}/Delete":
                await self.shells.remove(shell)
                return ""
            case _:
                raise faults.action_unsupported()

    def _patience_seconds(self, request: WsmanRequest) -> float:
        longest = self._settings.operation_seconds_max
        asked = request.operation_timeout_seconds
        return longest if asked is None else min(asked, longest)

    async def _create(self, request: WsmanRequest, caller: Caller) -> str:
        request.require("rsp:Shell")
        idle_seconds: float | None = self._settings.shell_idle_seconds
        if (idle := request.text("rsp:Shell/rsp:IdleTimeOut")) is not None:
            idle_seconds = duration_seconds(idle)
        if idle_seconds is None:
            raise faults.schema_violation()
        domain, _, name = caller.user.rpartition("\\")
        environment = {
            "COMPUTERNAME": self._node.upper(),
            "USERDOMAIN": domain or self._node.upper(),
            "USERNAME": name,
        }
        path = "rsp:Shell/rsp:Environment/rsp:Variable"
        for variable in request.find_all(path):
            environment[variable.get("Name", "")] = variable.text or ""
        shell = Shell(
            resource_uri=request.resource_uri,
            shell_id=request.require("rsp:Shell").get("ShellId"),
            user=caller.user,
            environment=environment,
            idle_seconds=idle_seconds,
            streams=request.text("rsp:Shell/rsp:OutputStreams") or "stdout stderr",
        )
        self.shells.add(shell)
        if open_pool := self._endpoints.get(shell.resource_uri):
            shell.pool = open_pool(self._node)
            self.shells.adopt(shell, shell.pool.stream, "")
            await self._feed(shell, "", request.text("rsp:Shell/ps:creationXml"))
        return (
            f"<x:ResourceCreated><a:Address>{escape(caller.endpoint)}</a:Address>"
            f"<a:ReferenceParameters><w:ResourceURI>{shell.resource_uri}</w:ResourceURI>"
            "<w:SelectorSet>"
            f'<w:Selector Name="ShellId">{shell.id}</w:Selector></w:SelectorSet>'
            f"</a:ReferenceParameters></x:ResourceCreated>{_shell_element(shell, caller)}"
        )

    async def _command(self, request: WsmanRequest, shell: Shell) -> str:
        if shell.pool is not None:
            return await self._pipeline(request, shell)
        command = request.require("rsp:CommandLine/rsp:Command").text or ""
        arguments = (e.text or "" for e in request.find_all("rsp:CommandLine/rsp:Arguments"))
        started = await self.shells.start(
            shell, (command, *arguments), skip_cmd_shell=request.switched_on("WINRS_SKIP_CMD_SHELL")
        )
        return _command_response(started.id)

    async def _pipeline(self, request: WsmanRequest, shell: Shell) -> str:
        """A command of PowerShell: the client names it, and its argument is a first fragment."""
        assert shell.pool is not None
        if len(shell.commands) > PIPELINES_MAX:
            raise faults.too_many_operations(PIPELINES_MAX)
        command_id = request.require("rsp:CommandLine").get("CommandId", "").upper()
        try:
            self.shells.adopt(shell, shell.pool.pipeline(command_id), command_id)
        except ValueError as problem:
            raise faults.schema_violation() from problem
        await self._feed(shell, command_id, request.text("rsp:CommandLine/rsp:Arguments"))
        return _command_response(command_id)

    async def _send(self, request: WsmanRequest, shell: Shell) -> str:
        request.require("rsp:Send/rsp:Stream")
        for stream in request.find_all("rsp:Send/rsp:Stream"):
            end = stream.get("End", "").lower() in ("true", "1")
            await self._feed(shell, stream.get("CommandId", ""), stream.text, end=end)
        return "<rsp:SendResponse/>"

    async def _feed(
        self, shell: Shell, command_id: str, text: str | None, *, end: bool = False
    ) -> None:
        """Give base64 to a command; what can't be read, there or here, is a schema violation."""
        try:
            data = base64.b64decode(text or "", validate=True)
            await shell.command(command_id).send(data, end=end)
        except (binascii.Error, ValueError) as problem:
            raise faults.schema_violation() from problem

    async def _receive(self, request: WsmanRequest, shell: Shell) -> str:
        command_id = request.require("rsp:Receive/rsp:DesiredStream").get("CommandId")
        if command_id is None and shell.pool is None:
            raise faults.bad_parameter()
        command = shell.command(command_id or "")
        room = min(request.envelope_bytes_max, self._settings.envelope_bytes_max) - FRAME_BYTES
        chunks, ended = await command.receive(room)
        streams = "".join(
            f'<rsp:Stream Name="{chunk.stream}"{_of(command)}>'
            f"{base64.b64encode(chunk.data).decode('ascii')}</rsp:Stream>"
            for chunk in chunks
        )
        return f"<rsp:ReceiveResponse>{streams}{_state(command, ended)}</rsp:ReceiveResponse>"

    async def _signal(self, request: WsmanRequest, shell: Shell) -> str:
        command = shell.command(request.require("rsp:Signal").get("CommandId", ""))
        if (request.text("rsp:Signal/rsp:Code") or "").lower() not in ENDING_SIGNALS:
            raise faults.bad_parameter()
        del shell.commands[command.id]
        await command.kill()
        return "<rsp:SignalResponse/>"

    def _config(self) -> str:
        """What `winrm get winrm/config` shows of the limits; the rest is left out."""
        settings = self._settings
        auth = (
            f"<cfg:Auth><cfg:Basic>{_xml_bool(settings.basic)}</cfg:Basic><cfg:Kerberos>true"
            "</cfg:Kerberos><cfg:Negotiate>true</cfg:Negotiate>"
            f"<cfg:Certificate>{_xml_bool(settings.https)}</cfg:Certificate>"
            f"<cfg:CredSSP>{str(self._settings.credssp).lower()}</cfg:CredSSP>"
            "<cfg:CbtHardeningLevel>Strict</cfg:CbtHardeningLevel></cfg:Auth>"
        )
        return (
            f'<cfg:Config xmlns:cfg="{CONFIG}">'
            f"<cfg:MaxEnvelopeSizekb>{settings.envelope_bytes_max // 1024}</cfg:MaxEnvelopeSizekb>"
            f"<cfg:MaxTimeoutms>{settings.operation_seconds_max * 1000:.0f}</cfg:MaxTimeoutms>"
            "<cfg:Service><cfg:MaxConcurrentOperationsPerUser>"
            f"{settings.operations_per_user_max}</cfg:MaxConcurrentOperationsPerUser>"
            f"<cfg:AllowUnencrypted>{_xml_bool(settings.allow_unencrypted)}</cfg:AllowUnencrypted>"
            f"{auth}</cfg:Service><cfg:Winrs><cfg:AllowRemoteShellAccess>true"
            "</cfg:AllowRemoteShellAccess>"
            f"<cfg:IdleTimeout>{settings.shell_idle_seconds * 1000:.0f}</cfg:IdleTimeout>"
            f"<cfg:MaxShellsPerUser>{settings.shells_per_user_max}</cfg:MaxShellsPerUser>"
            "</cfg:Winrs></cfg:Config>"
        )


def _state(command: Command, ended: bool) -> str:
    if not ended:
        return f'<rsp:CommandState{_of(command)} State="{SHELL}/CommandState/Running"/>'
    ends = "".join(
        f'<rsp:Stream Name="{name}" CommandId="{command.id}" End="true"></rsp:Stream>'
        for name in ("stdout", "stderr")
    )
    return (
        f'{ends}<rsp:CommandState CommandId="{command.id}" State="{SHELL}/CommandState/Done">'
        f"<rsp:ExitCode>{command.exit_code}</rsp:ExitCode></rsp:CommandState>"
    )


def _command_response(command_id: str) -> str:
    return f"<rsp:CommandResponse><rsp:CommandId>{command_id}</rsp:CommandId></rsp:CommandResponse>"


def _of(command: Command) -> str:
    """The attribute that says whose output it is; a pool's own has none."""
    return f' CommandId="{command.id}"' if command.id else ""


def _shell_element(shell: Shell, caller: Caller) -> str:
    return (
        f"<rsp:Shell><rsp:ShellId>{shell.id}</rsp:ShellId>"
        f"<rsp:ResourceUri>{shell.resource_uri}</rsp:ResourceUri>"
        f"<rsp:Owner>{escape(shell.user)}</rsp:Owner>"
        f"<rsp:ClientIP>{escape(caller.address)}</rsp:ClientIP>"
        f"<rsp:IdleTimeOut>PT{shell.idle_seconds:.3f}S</rsp:IdleTimeOut>"
        "<rsp:InputStreams>stdin</rsp:InputStreams>"
        f"<rsp:OutputStreams>{escape(shell.output_streams)}</rsp:OutputStreams>"
        "<rsp:ShellRunTime>P0DT0H0M0S</rsp:ShellRunTime>"
        "<rsp:ShellInactivity>P0DT0H0M0S</rsp:ShellInactivity></rsp:Shell>"
    )


def _xml_bool(value: bool) -> str:
    return "true" if value else "false"
