"""Walks the way to one node step by step, and asks it what `ownernode doctor` judges. Read-only."""

import asyncio
import hashlib
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from statistics import median
from time import perf_counter
from typing import Any

from controller.adapters.winrm.endpoints import Endpoint, endpoint_of
from controller.adapters.winrm.failures import sentence_of
from controller.adapters.winrm.frames import shown
from controller.adapters.winrm.nodes import WinRMNodes
from controller.adapters.winrm.parsing import parse_observation
from controller.errors import (
    LogonRefused,
    OwnernodeError,
    ProtocolBroken,
    RemoteFailed,
    SpecError,
    Unreachable,
)
from controller.model.checkup import Check, CheckName, CheckResult, NodeCondition
from controller.model.desired import Connection
from controller.model.names import short_node

STEP_SECONDS = 5.0
CALL_SECONDS = 30.0
PINGS = 3
CERTIFICATE_DAYS_WARN = 14
TEXT_CHARACTERS_MAX = 256
_TEXTS = ("user", "domain", "system", "vmPath", "vhdPath")


class Stopped(Exception):
    """The way ends here; `check` says why."""

    def __init__(self, check: Check) -> None:
        super().__init__(check.found)
        self.check = check


class Examination:
    """The examination of one node: `checks` of the way in, and the `condition` behind it."""

    def __init__(self, node: str, connection: Connection, nodes: WinRMNodes) -> None:
        self.node = node
        self.checks: list[Check] = []
        self.condition: NodeCondition | None = None
        self._connection = connection
        self._nodes = nodes

    async def run(self) -> None:
        """Go as far as the node lets us; never raises for what is wrong with it."""
        try:
            endpoint = await self._resolve()
            await self._connect(endpoint)
            self.condition = await self._ask()
        except Stopped as stopped:
            self.checks.append(stopped.check)

    async def _resolve(self) -> Endpoint:
        try:
            endpoint = endpoint_of(self.node, self._connection)
        except SpecError as error:
            remedy = "correct `connection` of the cluster's document"
            raise self._stop(CheckName.NAME, str(error), remedy) from error
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(STEP_SECONDS):
                found = await loop.getaddrinfo(endpoint.host, endpoint.port)
        except (OSError, TimeoutError, UnicodeError) as error:
            remedy = "add the node to DNS, or its address to `connection.addresses`"
            found_text = f"{endpoint.host}: {sentence_of(error)}"
            raise self._stop(CheckName.NAME, found_text, remedy) from error
        address = found[0][4][0]
        same = address == endpoint.host
        self._pass(CheckName.NAME, f"{address}, as configured" if same else f"is {address}")
        return endpoint

    async def _connect(self, endpoint: Endpoint) -> None:
        await self._open(endpoint, None, CheckName.PORT)
        self._pass(CheckName.PORT, str(endpoint.port))
        if not endpoint.tls:
            found = f"none: messages are sealed by {self._connection.authentication}"
            self._pass(CheckName.TLS, found)
            return
        context = ssl.create_default_context(cafile=self._connection.ca_file)
        if endpoint.pin:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        certificate = await self._open(endpoint, context, CheckName.TLS)
        if endpoint.pin:
            self._check_pin(endpoint.pin, certificate)
        else:
            self._check_end(certificate)

    async def _open(
        self, endpoint: Endpoint, context: ssl.SSLContext | None, step: CheckName
    ) -> Mapping[str, Any]:
        """Connect and leave again; with TLS, what the certificate says and its hash."""
        name = endpoint.certificate_name if context else None
        try:
            async with asyncio.timeout(STEP_SECONDS):
                _, writer = await asyncio.open_connection(
                    endpoint.host, endpoint.port, ssl=context, server_hostname=name
                )
        except (OSError, TimeoutError) as error:
            remedy = {
                CheckName.PORT: f"enable WinRM there (winrm quickconfig); open {endpoint.port}",
                CheckName.TLS: "give the node a certificate for its full name, and `tls.ca` or"
                " `tls.pins` for it",
            }[step]
            raise self._stop(step, sentence_of(error), remedy) from error
        channel = writer.get_extra_info("ssl_object")
        writer.transport.abort()
        if channel is None:
            return {}
        raw = channel.getpeercert(binary_form=True)
        return {**(channel.getpeercert() or {}), "sha256": hashlib.sha256(raw).hexdigest()}

    def _check_pin(self, pin: str, certificate: Mapping[str, Any]) -> None:
        if certificate["sha256"] != pin.replace(":", "").lower():
            remedy = f"if it was renewed, pin {certificate['sha256']}"
            raise self._stop(CheckName.TLS, "another certificate than the pinned one", remedy)
        self._pass(CheckName.TLS, "the pinned certificate")

    def _check_end(self, certificate: Mapping[str, Any]) -> None:
        ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
        days = (ends - datetime.now(UTC)).days
        if days < CERTIFICATE_DAYS_WARN:
            found, remedy = f"its certificate ends in {days} days", "renew it"
            self.checks.append(self._check(CheckName.TLS, CheckResult.WARN, found, remedy))
        else:
            self._pass(CheckName.TLS, "a trusted certificate of its name")

    async def _ask(self) -> NodeCondition:
        seconds = []
        for _ in range(PINGS + 1):  # the first one logs on and starts the agent
            began = perf_counter()
            ping = await self._call(CheckName.LOG_ON, "ping", {})
            seconds.append(perf_counter() - began)
        self._pass(CheckName.LOG_ON, f"{self._connection.authentication} is accepted")
        asked_at = datetime.now(UTC)
        own = await self._call(CheckName.RIGHTS, "doctor", {})
        seen = await self._call(CheckName.RIGHTS, "observe", {"clusterWide": True})
        try:
            reply = parse_observation(seen)
            hardware = reply.own.hardware
            if hardware is None or reply.lists is None:
                raise ProtocolBroken("it did not tell what it was asked for")
            texts = {name: _text(own[name]) for name in _TEXTS}
            return NodeCondition(
                node=reply.node,
                powershell=_text(ping["powershell"]) or "",
                user=texts["user"],
                administrator=_flag(own["administrator"]),
                domain=texts["domain"],
                domain_joined=own["domainJoined"] is True,
                system=texts["system"],
                modules={shown(m["name"]): shown(m["version"]) for m in own["modules"]},
                clock=datetime.fromisoformat(own["time"]),
                asked_at=asked_at,
                quotas=await self._quotas(),
                cluster=reply.cluster.name,
                cluster_id=reply.cluster.id,
                functional_level=reply.cluster.functional_level,
                migrations_parallel_max=reply.cluster.migrations_parallel_max,
                migrations_max=hardware.migrations_max,
                balancer_mode=reply.cluster.balancer_mode,
                scvmm_agent=hardware.scvmm_agent,
                vm_path=texts["vmPath"],
                vhd_path=texts["vhdPath"],
                volumes=tuple(volume.path for volume in reply.lists.volumes),
                call_seconds=median(seconds[1:]),
                nodes=tuple(node.name for node in reply.nodes),
            )
        except (ProtocolBroken, LookupError, TypeError, ValueError) as error:
            found = f"its answers make no sense: {error}"[:TEXT_CHARACTERS_MAX]
            raise self._stop(CheckName.RIGHTS, found, "report this, with `record`") from error

    async def _call(
        self, step: CheckName, operation: str, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        try:
            return await self._nodes.call(
                self.node, operation, arguments, timeout_seconds=CALL_SECONDS
            )
        except LogonRefused as error:
            remedy = "see docs/log-on.md; the account needs Remote Management Users at least"
            raise self._stop(CheckName.LOG_ON, str(error), remedy) from error
        except RemoteFailed as error:
            missing = error.kind.startswith("CommandNotFoundException")
            step = CheckName.MODULES if missing else step
            remedy = {
                CheckName.MODULES: "install the Hyper-V and clustering modules for PowerShell",
            }.get(step, "give the account Full access to the cluster, and Hyper-V Administrators")
            raise self._stop(step, str(error), remedy) from error
        except OwnernodeError as error:
            raise self._stop(step, str(error), "look at the node's WinRM service") from error

    async def _quotas(self) -> Mapping[str, int] | None:
        try:
            return await self._nodes.quotas(self.node, timeout_seconds=CALL_SECONDS)
        except (LogonRefused, Unreachable):
            return None

    def _pass(self, name: CheckName, found: str) -> None:
        self.checks.append(self._check(name, CheckResult.PASS, found))

    def _stop(self, name: CheckName, found: str, remedy: str) -> Stopped:
        return Stopped(self._check(name, CheckResult.FAIL, found, remedy))

    def _check(self, name: CheckName, result: CheckResult, found: str, remedy: str = "") -> Check:
        return Check(
            node=short_node(self.node), name=name, result=result, found=found, remedy=remedy
        )


def _text(value: object) -> str | None:
    return None if value is None else shown(str(value)[:TEXT_CHARACTERS_MAX])


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
