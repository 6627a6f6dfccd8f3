"""The simulator's own agent: started as the real one, answering the frames of docs/protocol.md."""

import base64
import gzip
import hashlib
import json
import uuid
from collections.abc import Mapping
from random import Random
from typing import Any

import jsonschema
import pytest
import requests
from winrm.exceptions import WinRMOperationTimeoutError, WinRMTransportError, WSManFaultError
from winrm.protocol import Protocol
from winrm_node import Node, Serve

from controller.simulator.agent_process import AgentHost, ShippedScripts, shipped_scripts
from controller.simulator.winrm_server.injection import Cut

SWITCHES = [
    "-NoLogo",
    "-NoProfile",
    "-NonInteractive",
    "-InputFormat",
    "None",
    "-OutputFormat",
    "Text",
]
SCRIPTS = ShippedScripts(bootstrap="# žluťoučký\n$Input | Out-Null\n", agent="function F { 'ř' }\n")


class Operations:
    """Stands for the cluster: remembers what was executed; `size` is how long an answer is."""

    def __init__(self) -> None:
        self.executed: list[str] = []

    async def respond(self, node: str, operation: str, arguments: Mapping[str, Any]) -> Any:
        if operation == "ping":
            data = {"node": node, "powershell": "5.1.20348.2227"}
            return {"ok": True, "data": data, "errors": []}
        self.executed.append(arguments["key"])
        noise = Random(arguments["key"]).randbytes(arguments.get("size", 0)).hex()
        return {"ok": True, "data": {"key": arguments["key"], "noise": noise}, "errors": []}


class AgentClient:
    """The controller's side of the protocol, by its document, over stock pywinrm."""

    def __init__(self, client: Protocol, scripts: ShippedScripts = SCRIPTS) -> None:
        self.client = client
        self.noise_lines = 0
        self.lines_of_last_reply = 0
        self._torn = b""
        self._shell = client.open_shell(codepage=65001)
        encoded = base64.b64encode(scripts.bootstrap.encode("utf-16-le")).decode()
        self._command = client.run_command(
            self._shell,
            "powershell.exe",
            [*SWITCHES, "-EncodedCommand", encoded],
            console_mode_stdin=False,
        )
        packed = gzip.compress(scripts.agent.encode())
        self.send(base64.b64encode(packed) + b"\n")
        self.ready = self._read("0", "ready")

    def call(self, call_id: str, operation: str, **arguments: Any) -> Any:
        """One call, sent again after each lost exchange until its reply has come."""
        call = json.dumps({"operation": operation, "arguments": arguments})
        line = f"HV1 {call_id} call {base64.b64encode(call.encode()).decode()}\n".encode()
        return self.line(call_id, line)

    def line(self, call_id: str, line: bytes) -> Any:
        for _ in range(200):
            try:
                self.send(line)
                return self._read(call_id, "done")
            except (requests.ConnectionError, WinRMTransportError):
                self.client.transport.close_session()
                self._torn = b""
        raise AssertionError("200 repeats were not enough")

    def close(self) -> None:
        self.send(b"", end=True)
        end = self.client.get_command_output(self._shell, self._command)
        assert end == (b"", b"", 0)

    def send(self, data: bytes, *, end: bool = False) -> None:
        self.client.send_command_input(self._shell, self._command, data, end=end)

    def _read(self, call_id: str, last: str) -> Any:
        pieces: list[bytes] = []
        while True:
            try:
                out, err, _, done = self.client.get_command_output_raw(self._shell, self._command)
            except WinRMOperationTimeoutError:
                continue
            assert not done, err.decode()
            *lines, self._torn = (self._torn + out).split(b"\n")
            for line in lines:
                if not line.startswith(b"HV1 "):
                    self.noise_lines += 1
                    continue
                assert len(line) <= 49_152 + 100
                _, frame_id, kind, payload = line.decode("ascii").split(" ")
                if frame_id != call_id:
                    continue
                pieces.append(base64.b64decode(payload))
                if kind == last:
                    self.lines_of_last_reply = len(pieces)
                    try:
                        return json.loads(gzip.decompress(b"".join(pieces)))
                    except (OSError, EOFError):
                        pieces.clear()  # the first telling was torn; this is where the second ends


def test_agent_says_who_it_is(serve: Serve) -> None:
    """Protocol version, hash of the text it was given, and node: what a client checks first."""
    node = serve(AgentHost(Operations().respond, SCRIPTS))
    agent = AgentClient(node.client())
    assert agent.ready == {
        "protocol": 1,
        "agent": hashlib.sha256(SCRIPTS.agent.encode()).hexdigest(),
        "node": "HV01",
        "powershell": "5.1.20348.2227",
    }
    agent.close()


def test_call_costs_two_exchanges(serve: Serve) -> None:
    """One Send, one Receive: what a warm agent is for."""
    node = serve(AgentHost(Operations().respond, SCRIPTS))
    agent = AgentClient(node.client())
    before = node.server.counts["HTTP"]
    reply = agent.call("a1", "work", key="x")
    assert node.server.counts["HTTP"] - before == 2
    assert reply == {
        "schema": "ownernode.io/reply/v1",
        "id": "a1",
        "operation": "work",
        "ok": True,
        "data": {"key": "x", "noise": ""},
        "errors": [],
    }


def test_long_reply_comes_in_parts(serve: Serve) -> None:
    """No line is longer than the protocol allows, and the pieces make one reply."""
    node = serve(AgentHost(Operations().respond, SCRIPTS))
    agent = AgentClient(node.client())
    reply = agent.call("a1", "work", key="x", size=400_000)
    assert len(reply["data"]["noise"]) == 800_000
    assert agent.lines_of_last_reply > 5


def test_repeated_id_is_answered_and_not_executed(serve: Serve) -> None:
    """The same id again: the same lines; another id is another call."""
    operations = Operations()
    agent = AgentClient(serve(AgentHost(operations.respond, SCRIPTS)).client())
    first = agent.call("a1", "work", key="x")
    assert agent.call("a1", "work", key="x") == first
    agent.call("a2", "work", key="x")
    assert operations.executed == ["x", "x"]


@pytest.mark.parametrize("payload", ["!!!", "", "bm90IEpTT04=", "WzFd", "eyJvcGVyYXRpb24iOjF9"])
def test_unreadable_call_is_a_bad_call(serve: Serve, payload: str) -> None:
    """Not base64, empty, not JSON, no object, no arguments: answered, nothing executed."""
    operations = Operations()
    agent = AgentClient(serve(AgentHost(operations.respond, SCRIPTS)).client())
    reply = agent.line("a1", f"HV1 a1 call {payload}\n".encode())
    assert (reply["ok"], reply["operation"], reply["data"]) == (False, None, None)
    assert [error["kind"] for error in reply["errors"]] == ["BadCall"]
    assert operations.executed == []


@pytest.mark.parametrize("line", [b"hello\n", b"HV1 0 call e30=\n", b"HV1 a_b call e30=\n", b"\n"])
def test_line_that_is_no_call_is_passed_over(serve: Serve, line: bytes) -> None:
    """The next call is answered as if nothing had been."""
    operations = Operations()
    agent = AgentClient(serve(AgentHost(operations.respond, SCRIPTS)).client())
    agent.send(line)
    assert agent.call("a1", "work", key="x")["ok"]
    agent.close()
    assert operations.executed == ["x"]


def test_noise_is_told_from_frames(serve: Serve) -> None:
    """A module that prints must not spoil a reply."""
    agent = AgentClient(serve(AgentHost(Operations().respond, SCRIPTS, noise=True)).client())
    assert agent.call("a1", "work", key="x")["ok"]
    assert agent.noise_lines == 2


def test_start_takes_its_time(serve: Serve) -> None:
    """powershell.exe and its modules need seconds to load; until then Receive times out."""
    node = serve(
        AgentHost(Operations().respond, SCRIPTS, startup_seconds=0.2), operation_seconds_max=0.05
    )
    assert AgentClient(node.client()).ready["protocol"] == 1
    assert node.server.counts["Receive"] > 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-Command", "Get-VM"], "No PowerShell here"),
        ([*SWITCHES[:-2], "-EncodedCommand", "AAAA"], "No PowerShell here"),
        ([*SWITCHES, "-EncodedCommand", "!!!"], "not base64"),
        ([*SWITCHES, "-EncodedCommand", "QQBCAA=="], "not the shipped bootstrap"),
    ],
)
def test_only_the_shipped_bootstrap_is_run(serve: Serve, words: list[str], complaint: str) -> None:
    """The simulator does not interpret PowerShell, and says so instead of pretending."""
    client = serve(AgentHost(Operations().respond, SCRIPTS)).client()
    shell_id = client.open_shell()
    command_id = client.run_command(shell_id, "powershell.exe", words)
    stdout, stderr, code = client.get_command_output(shell_id, command_id)
    assert (stdout, code) == (b"", 1)
    assert complaint in stderr.decode()


@pytest.mark.parametrize("line", [b"AAAA\n", base64.b64encode(gzip.compress(b"other")) + b"\n"])
def test_only_the_shipped_agent_is_run(serve: Serve, line: bytes) -> None:
    """A text that was damaged on its way, or is another version's, ends the process."""
    client = serve(AgentHost(Operations().respond, SCRIPTS)).client()
    shell_id = client.open_shell()
    encoded = base64.b64encode(SCRIPTS.bootstrap.encode("utf-16-le")).decode()
    command_id = client.run_command(
        shell_id, "powershell.exe", [*SWITCHES, "-EncodedCommand", encoded]
    )
    client.send_command_input(shell_id, command_id, line)
    stdout, stderr, code = client.get_command_output(shell_id, command_id)
    assert (stdout, code) == (b"", 1)
    assert stderr.startswith(b"The agent's text ")


def test_shipped_scripts_fit_the_start(serve: Serve) -> None:
    """The real bootstrap and agent go through cmd.exe's line limit and the one line on stdin."""
    scripts = shipped_scripts()
    agent = AgentClient(serve(AgentHost(Operations().respond, scripts)).client(), scripts)
    assert agent.ready["agent"] == hashlib.sha256(scripts.agent.encode()).hexdigest()
    agent.close()


def test_agent_of_a_killed_shell_is_gone(serve: Serve) -> None:
    """Only a lost process leaves an outcome unknown, and the client is told of it by number."""
    node = serve(AgentHost(Operations().respond, SCRIPTS))
    agent = AgentClient(node.client())
    node.loop.run(node.server.kill_shells())
    with pytest.raises(WSManFaultError) as lost:
        agent.call("a1", "work", key="x")
    assert lost.value.wsman_fault_code == 2150858843


@pytest.mark.parametrize("action", ["Send", "Receive"])
@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
@pytest.mark.parametrize(("transport", "https"), [("ntlm", False), ("basic", True)])
def test_call_survives_any_single_cut(
    serve: Serve, action: str, cut: Cut, transport: str, https: bool
) -> None:
    """Repeating the line with its id is always safe, wherever the connection broke."""
    operations = Operations()
    node = serve(AgentHost(operations.respond, SCRIPTS), https=https)
    agent = AgentClient(node.client(transport, https=https))
    node.server.faults.script_cuts([cut] if action == "Send" else [Cut.NONE, cut])
    assert agent.call("a1", "work", key="x", size=100_000)["data"]["key"] == "x"
    assert operations.executed == ["x"]


@pytest.mark.parametrize("probability", [0.02, 0.1])
@pytest.mark.parametrize(("transport", "https"), [("ntlm", False), ("basic", True)])
def test_each_call_is_executed_once_however_often_it_is_cut(
    serve: Serve, transport: str, https: bool, probability: float
) -> None:
    """2 to 10 % of all exchanges cut, before or after: every call answered, none executed twice."""
    operations = Operations()
    node: Node = serve(AgentHost(operations.respond, SCRIPTS), https=https)
    agent = AgentClient(node.client(transport, https=https))
    node.server.faults.cut_probability = probability
    keys = [f"key{number}" for number in range(100)]
    for key in keys:
        reply = agent.call(str(uuid.uuid4()), "work", key=key, size=200)
        assert reply["data"]["key"] == key
    assert operations.executed == keys


def test_replies_have_the_documented_shape(
    serve: Serve, protocol_schema: Mapping[str, Any]
) -> None:
    """What the agent says validates against docs/protocol.schema.json, good or bad."""
    agent = AgentClient(serve(AgentHost(Operations().respond, SCRIPTS)).client())
    validate = jsonschema.validators.validator_for(protocol_schema)
    for name, value in (
        ("ready", agent.ready),
        ("reply", agent.call("a1", "work", key="x")),
        ("reply", agent.line("a2", b"HV1 a2 call !\n")),
    ):
        validate({**protocol_schema, "$ref": f"#/$defs/{name}"}).validate(value)
