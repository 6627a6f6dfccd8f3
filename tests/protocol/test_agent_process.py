"""The simulator's own agent: started as the real one, answering the frames of docs/protocol.md."""

import base64
import gzip
import hashlib
import uuid
from collections.abc import Mapping
from random import Random
from typing import Any

import jsonschema
import pytest
from agent_client import SWITCHES, AgentClient
from winrm.exceptions import WSManFaultError
from winrm_node import Node, Serve

from controller.simulator.agent_process import AgentHost, ShippedScripts, shipped_scripts
from controller.simulator.winrm_server.injection import Cut

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


def test_agent_says_who_it_is(serve: Serve) -> None:
    """Protocol version, hash of the text it was given, and node: what a client checks first."""
    node = serve(AgentHost(Operations().respond, SCRIPTS))
    agent = AgentClient(node.client(), SCRIPTS)
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
    agent = AgentClient(node.client(), SCRIPTS)
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
    agent = AgentClient(node.client(), SCRIPTS)
    reply = agent.call("a1", "work", key="x", size=400_000)
    assert len(reply["data"]["noise"]) == 800_000
    assert agent.lines_of_last_reply > 5


def test_repeated_id_is_answered_and_not_executed(serve: Serve) -> None:
    """The same id again: the same lines; another id is another call."""
    operations = Operations()
    agent = AgentClient(serve(AgentHost(operations.respond, SCRIPTS)).client(), SCRIPTS)
    first = agent.call("a1", "work", key="x")
    assert agent.call("a1", "work", key="x") == first
    agent.call("a2", "work", key="x")
    assert operations.executed == ["x", "x"]


@pytest.mark.parametrize("payload", ["!!!", "", "bm90IEpTT04=", "WzFd", "eyJvcGVyYXRpb24iOjF9"])
def test_unreadable_call_is_a_bad_call(serve: Serve, payload: str) -> None:
    """Not base64, empty, not JSON, no object, no arguments: answered, nothing executed."""
    operations = Operations()
    agent = AgentClient(serve(AgentHost(operations.respond, SCRIPTS)).client(), SCRIPTS)
    reply = agent.line("a1", f"HV1 a1 call {payload}\n".encode())
    assert (reply["ok"], reply["operation"], reply["data"]) == (False, None, None)
    assert [error["kind"] for error in reply["errors"]] == ["BadCall"]
    assert operations.executed == []


@pytest.mark.parametrize("line", [b"hello\n", b"HV1 0 call e30=\n", b"HV1 a_b call e30=\n", b"\n"])
def test_line_that_is_no_call_is_passed_over(serve: Serve, line: bytes) -> None:
    """The next call is answered as if nothing had been."""
    operations = Operations()
    agent = AgentClient(serve(AgentHost(operations.respond, SCRIPTS)).client(), SCRIPTS)
    agent.send(line)
    assert agent.call("a1", "work", key="x")["ok"]
    agent.close()
    assert operations.executed == ["x"]


def test_noise_is_told_from_frames(serve: Serve) -> None:
    """A module that prints must not spoil a reply."""
    agent = AgentClient(
        serve(AgentHost(Operations().respond, SCRIPTS, noise=True)).client(), SCRIPTS
    )
    assert agent.call("a1", "work", key="x")["ok"]
    assert agent.noise_lines == 2


def test_start_takes_its_time(serve: Serve) -> None:
    """powershell.exe and its modules need seconds to load; until then Receive times out."""
    node = serve(
        AgentHost(Operations().respond, SCRIPTS, startup_seconds=0.2), operation_seconds_max=0.05
    )
    assert AgentClient(node.client(), SCRIPTS).ready["protocol"] == 1
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


@pytest.mark.parametrize(
    "line", [b"AAAA\n", base64.b64encode(gzip.compress(b"other", mtime=0)) + b"\n"]
)
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
    agent = AgentClient(node.client(), SCRIPTS)
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
    agent = AgentClient(node.client(transport, https=https), SCRIPTS)
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
    agent = AgentClient(node.client(transport, https=https), SCRIPTS)
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
    agent = AgentClient(serve(AgentHost(Operations().respond, SCRIPTS)).client(), SCRIPTS)
    validate = jsonschema.validators.validator_for(protocol_schema)
    for name, value in (
        ("ready", agent.ready),
        ("reply", agent.call("a1", "work", key="x")),
        ("reply", agent.line("a2", b"HV1 a2 call !\n")),
    ):
        validate({**protocol_schema, "$ref": f"#/$defs/{name}"}).validate(value)
