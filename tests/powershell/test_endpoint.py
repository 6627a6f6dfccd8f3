"""The JEA endpoint of deploy/windows: its functions work without a language, and nothing else does.

The session is NoLanguage with every command private but the role's; the module is the one that the
install script puts together. What only Windows does (the service account, the transcripts, who may
connect) is not played here.
"""

import json
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from both_ways import both_ways
from endpoint_node import DEPLOYED, SCRIPTS, EndpointNode, assemble
from stories import CLUSTER, FENCE, FOLDERS, STORIES, Story, template_of

from controller.adapters.winrm.psrp import ENDPOINT, FUNCTIONS
from controller.simulator import jea
from controller.simulator.config import load_world
from controller.simulator.world import World

WINDOWS = DEPLOYED.parent
MODULE = (DEPLOYED / "OwnernodeOperations.psm1").read_text(encoding="utf-8")
INTENT = "11111111-1111-4111-8111-111111111111"
FAILBACK_OFF = {"setting": "Failback", "before": ["on"], "after": ["off"]}
FOLDERS_SET = {
    **FENCE,
    "intent": INTENT,
    "node": "HV01",
    "before": FOLDERS,
    "folder": "C:\\ClusterStorage\\Volume1\\images",
}
SET = {**FENCE, "intent": INTENT, "vmId": INTENT, "node": "HV01", **FAILBACK_OFF}


@pytest.fixture(scope="module")
def endpoint(engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EndpointNode]:
    """A session at the endpoint of HV01; give it a world before calling."""
    node = EndpointNode(engine, assemble(tmp_path_factory.mktemp("module")))
    yield node
    node.close()


# ---- what is written in the files, held without an engine


def declared(function: str) -> dict[str, str]:
    """The parameters of a function of the module, in lower case, each with its attributes."""
    body = re.search(rf"function {function} {{.*?\n    param\((.*?)\n    \)", MODULE, re.DOTALL)
    assert body is not None
    parts = re.split(r"\]\$(\w+)", body[1])
    return {name.lower(): text for text, name in zip(parts[::2], parts[1::2], strict=False)}


def test_controller_simulator_module_and_role_know_the_same_functions() -> None:
    """One list, wherever it is written."""
    functions = set(FUNCTIONS.values())
    assert functions == set(jea.FUNCTIONS)
    assert {jea.FUNCTIONS[f][0]: f for f in functions} == dict(FUNCTIONS)
    for name in ("OwnernodeOperations.psd1", "RoleCapabilities/Ownernode.psrc"):
        text = (DEPLOYED / name).read_text(encoding="utf-8")
        assert set(re.findall(r"'(Invoke-Ownernode\w+)'", text)) == functions, name
    exported = MODULE[MODULE.index("Export-ModuleMember") :]
    assert set(re.findall(r"'(Invoke-Ownernode\w+)'", exported)) == functions


@pytest.mark.parametrize("function", sorted(jea.FUNCTIONS))
def test_the_simulated_endpoint_takes_the_module_s_parameters(function: str) -> None:
    """What the simulator binds, the module binds, mandatory or not."""
    _, mandatory, optional = jea.FUNCTIONS[function]
    found = {name: "Mandatory" in text for name, text in declared(function).items()}
    assert found == {
        "callid": True,
        **{name.lower(): True for name in mandatory},
        **{name.lower(): False for name in optional},
    }


@pytest.mark.parametrize("function", [*sorted(jea.FUNCTIONS), "New-Template", "New-TemplateDisk"])
def test_every_parameter_of_a_function_is_bounded(function: str) -> None:
    """Text is matched from its first character to its last, numbers have a range, the rest a type.

    `$` would let a final newline pass.
    """
    for name, text in declared(function).items():
        assert "[Validate" in text or text.endswith(("[guid", "[bool")), name
        for pattern in re.findall(r"ValidatePattern\('([^']*)'\)", text):
            assert pattern.startswith("\\A"), name
            assert pattern.endswith("\\z"), name


def test_the_session_has_no_language_and_no_virtual_account() -> None:
    """A virtual account is the node's machine to the cluster, and leaves no name in its log."""
    text = (WINDOWS / "Ownernode.pssc").read_text(encoding="utf-8")
    settings = dict(re.findall(r"^    (\w+) += (.*)$", text, re.MULTILINE))
    assert settings["SessionType"] == "'RestrictedRemoteServer'"
    assert settings["LanguageMode"] == "'NoLanguage'"
    assert "GroupManagedServiceAccount" in settings
    assert "RunAsVirtualAccount" not in settings
    install = (WINDOWS / "Install-OwnernodeEndpoint.ps1").read_text(encoding="utf-8")
    assert f"Register-PSSessionConfiguration -Name '{ENDPOINT}'" in install


def test_the_module_runs_every_script_of_the_agent() -> None:
    """A script that is added to the agent is a part of the endpoint too."""
    parts = re.search(r"^\$Parts = (.*)$", MODULE, re.MULTILINE)
    assert parts is not None
    named = {f"{name}.ps1" for name in re.findall(r"'(\w+)'", parts[1])}
    assert named | {"agent.ps1", "bootstrap.ps1"} == {path.name for path in SCRIPTS.glob("*.ps1")}


@pytest.mark.parametrize("path", [*SCRIPTS.glob("*.ps1"), DEPLOYED / "OwnernodeOperations.psm1"])
def test_nothing_calls_what_a_restricted_session_replaces(path: Path) -> None:
    """RestrictedRemoteServer puts poorer functions of these names before the cmdlets."""
    code = re.sub(r"#.*", "", path.read_text(encoding="utf-8"))
    replaced = r"(?:Clear-Host|Exit-PSSession|Get-(?:Command|FormatData|Help)|Measure-Object"
    assert re.findall(rf"\b{replaced}|Out-Default|Select-Object)\b", code, re.IGNORECASE) == []


@pytest.mark.parametrize("path", [DEPLOYED / "RoleCapabilities/Ownernode.psrc"])
def test_the_role_shows_functions_only(path: Path) -> None:
    """No cmdlet, program, provider, alias or variable is visible."""
    text = path.read_text(encoding="utf-8")
    settings = set(re.findall(r"^    (\w+) += ", text, re.MULTILINE))
    assert settings == {"GUID", "Description", "ModulesToImport", "VisibleFunctions"}


@pytest.mark.engine
def test_the_files_are_windows_powershell_5_1(engine: Path) -> None:
    """No parse error, nothing newer than 5.1, nothing but ASCII."""
    files = [*DEPLOYED.rglob("*.ps*"), *WINDOWS.glob("*.ps*")]
    found = subprocess.run(
        [engine, "--lint", *files], capture_output=True, text=True, check=True, timeout=60
    )
    for parse in json.loads(found.stdout):
        for rule in ("errors", "newer_than_5_1", "non_ascii"):
            assert parse[rule] == [], parse["file"]


# ---- the session


@pytest.mark.engine
@pytest.mark.parametrize(
    "command",
    ["Get-VM", "Get-Cluster", "Import-Module", "Get-Command", "Invoke-MoveRole", "Start-NodeJob"],
)
def test_nothing_else_is_offered(endpoint: EndpointNode, command: str) -> None:
    """Neither a cmdlet behind the functions nor the scripts' own functions."""
    endpoint.world = load_world(CLUSTER)
    endpoint.cmdlets.clear()
    said = endpoint.invoke(command)
    assert (said["output"], said["error"]) == ([], "CommandNotFoundException")
    assert endpoint.cmdlets == []


@pytest.mark.engine
@pytest.mark.parametrize(
    "text", ["1", "Get-VM | Stop-VM", "Invoke-OwnernodePing -CallId a; Get-VM", "& { Get-VM }"]
)
def test_no_script_runs(endpoint: EndpointNode, text: str) -> None:
    """Not even one that only calls what is offered and more."""
    endpoint.world = load_world(CLUSTER)
    endpoint.cmdlets.clear()
    said = endpoint.invoke(text, script=True)
    assert (said["output"], said["error"]) == ([], "ScriptsNotAllowed")
    assert endpoint.cmdlets == []


@pytest.mark.engine
@pytest.mark.parametrize("operation", ["ping", "doctor", "observe"])
def test_what_is_read_is_what_the_agent_reads(
    endpoint: EndpointNode, agent: Any, operation: str
) -> None:
    """The same scripts give the same data, whichever way they are asked."""
    arguments = {"clusterWide": True, "slowSeconds": 0} if operation == "observe" else {}
    replies = []
    for node in (endpoint, agent):
        node.world = load_world(CLUSTER)
        replies.append(node.call(operation, **arguments))
    assert replies[0]["ok"], replies[0]["errors"]
    assert replies[0]["data"] == replies[1]["data"]


@pytest.mark.engine
def test_a_repeated_call_is_answered_from_memory(endpoint: EndpointNode) -> None:
    """A claim that was carried out would be refused the second time."""
    endpoint.world = load_world(CLUSTER)
    claim = {**FENCE, "epoch": 8}
    first = endpoint.repeat("claimEpoch", "claim-1", **claim)
    assert first["data"] == {"outcome": "submitted"}
    assert endpoint.repeat("claimEpoch", "claim-1", **claim) == first
    again = endpoint.repeat("claimEpoch", "claim-2", **claim)
    assert again["data"]["condition"] == "epochOlder"


@pytest.mark.engine
@pytest.mark.parametrize(
    "story", {s.operation: s for s in STORIES}.values(), ids=lambda s: f"{s.operation}-{s.untrue}"
)
def test_a_refusal_is_the_agent_s(endpoint: EndpointNode, story: Story) -> None:
    """A condition that is untrue is named, with what was found instead."""
    ours, theirs = both_ways(
        endpoint, CLUSTER, story.operation, story.arguments(str(uuid.uuid4())), story.prepare
    )
    assert ours.refused == story.untrue
    assert ours == theirs
    assert ours.commands == []


@pytest.mark.engine
@pytest.mark.parametrize(
    ("operation", "vm", "more"),
    [
        ("moveRole", "sql", {"source": "HV01", "target": "HV02"}),
        ("startRole", "halted", {"node": "HV01"}),
        ("setRole", "web", {"node": "HV01", **FAILBACK_OFF}),
        ("setProcessor", "halted", {"node": "HV01"}),
    ],
)
def test_a_change_is_made(
    endpoint: EndpointNode, operation: str, vm: str, more: dict[str, Any]
) -> None:
    """And by the cmdlet of docs/protocol.md, with the same parameters as the agent's."""

    def arguments(world: World) -> dict[str, Any]:
        return {"intent": INTENT, **FENCE, "vmId": world.vm(vm).id, **more}

    ours, theirs = both_ways(endpoint, CLUSTER, operation, arguments)
    assert len(ours.commands) == 1
    assert ours == theirs


@pytest.mark.engine
def test_the_folders_of_the_node_are_set(endpoint: EndpointNode) -> None:
    """The same of the one change that is of a node's own settings."""

    def arguments(world: World) -> dict[str, Any]:
        return FOLDERS_SET

    ours, theirs = both_ways(endpoint, CLUSTER, "setFolders", arguments)
    assert len(ours.commands) == 1
    assert ours == theirs


@pytest.mark.engine
@pytest.mark.parametrize("operation", ["registerVm", "createVm"])
def test_a_job_does_what_the_agent_s_does(endpoint: EndpointNode, operation: str) -> None:
    """In a process of its own, which the session watches; of a template every part arrives."""

    def arguments(world: World) -> dict[str, Any]:
        call = {"intent": str(uuid.uuid4()), **FENCE, "node": "HV01"}
        if operation == "registerVm":
            return {**call, "vmId": world.vm("bare").id}
        return {**call, "name": "new", "template": template_of("new")}

    ours, theirs = both_ways(endpoint, CLUSTER, operation, arguments)
    assert ours.job["state"] == "Succeeded"
    assert ours == theirs


BAD_ARGUMENTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ping", {"callId": "a b"}),
    ("ping", {"callId": "a\n"}),
    ("ping", {"more": 1}),
    ("observe", {"clusterWide": "yes"}),
    ("observe", {"clusterWide": True, "slowSeconds": -1}),
    ("claimEpoch", {**FENCE, "epoch": -1}),
    ("claimEpoch", {**FENCE, "holder": "nobody"}),
    ("moveRole", {**FENCE, "intent": INTENT, "vmId": "*", "source": "HV01", "target": "HV02"}),
    ("moveRole", {**FENCE, "intent": INTENT, "vmId": INTENT, "source": "*", "target": "HV02"}),
    ("moveRole", {**FENCE, "intent": INTENT, "vmId": INTENT, "source": "HV01", "target": "a\n"}),
    ("startRole", {**FENCE, "intent": INTENT, "vmId": INTENT, "node": "HV01;x"}),
    ("setRole", {**SET, "setting": "Name"}),
    ("setRole", {**SET, "setting": "failback"}),
    ("setRole", {**SET, "after": ["$(Get-VM)"]}),
    ("setRole", {**SET, "after": []}),
    ("setProcessor", {**FENCE, "intent": INTENT, "vmId": "*", "node": "HV01"}),
    ("setFolders", {**FOLDERS_SET, "folder": "C:\\ClusterStorage\\Volume1"}),
    ("setFolders", {**FOLDERS_SET, "folder": "C:\\ClusterStorage\\Volume1\\..\\..\\VMs"}),
    ("setFolders", {**FOLDERS_SET, "folder": "C:\\ClusterStorage\\Volume1\\$(Get-VM)"}),
    ("setFolders", {**FOLDERS_SET, "before": ["D:\\VMs"]}),
    (
        "registerVm",
        {**FENCE, "intent": INTENT, "vmId": INTENT, "node": "HV01", "accepts": ["$(Get-VM)"]},
    ),
)
BAD_TEMPLATES: tuple[dict[str, Any], ...] = (
    {"generation": 3},
    {"generation": None},
    {"processors": 0},
    {"location": "..\\here"},
    {"location": "\\\\server\\share"},
    {"disks": [{"path": "C:\\x.exe", "createBytes": 1, "controller": "SCSI"}]},
    {"disks": [{"path": "C:\\x.vhdx", "createBytes": 1, "controller": "SCSI", "more": 1}]},
    {"switch": "*"},
    {"vlan": 4095},
    {"iso": "C:\\x.vhdx"},
    {"stopAction": "TurnOff"},
    {"more": 1},
)


@pytest.mark.engine
@pytest.mark.parametrize(("operation", "arguments"), BAD_ARGUMENTS)
def test_a_bad_argument_is_refused_by_its_parameter(
    endpoint: EndpointNode, operation: str, arguments: dict[str, Any]
) -> None:
    """Before anything is asked of the cluster, under an id that says whose fault it was."""
    refused(endpoint, FUNCTIONS[operation], {"callId": "bad", **arguments})


@pytest.mark.engine
@pytest.mark.parametrize("part", BAD_TEMPLATES, ids=str)
def test_a_bad_template_is_refused_by_its_parameter(
    endpoint: EndpointNode, part: dict[str, Any]
) -> None:
    """The same for each part of a template."""
    call = {"callId": "bad", "intent": INTENT, **FENCE, "node": "HV01", "name": "new"}
    template = {**template_of("new"), **part}
    refused(endpoint, FUNCTIONS["createVm"], {**call, "template": template})


def refused(endpoint: EndpointNode, function: str, arguments: dict[str, Any]) -> None:
    endpoint.world = load_world(CLUSTER)
    endpoint.cmdlets.clear()
    said = endpoint.invoke(function, **arguments)
    assert said["output"] == []
    assert said["error"].rpartition(",")[2] == function
    assert endpoint.cmdlets == []
