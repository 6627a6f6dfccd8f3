"""The whole simulated site: a world on real time, met through stock pywinrm and pypsrp alone."""

import base64
import gzip
import json
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from agent_client import AgentClient
from pypsrp.exceptions import WSManFaultError as PSRPFault
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan
from winrm.exceptions import WSManFaultError
from winrm.protocol import Protocol
from winrm_node import PASSWORD, USER, LoopThread, run, shell

from controller.simulator.agent_process import shipped_scripts
from controller.simulator.config import load_world
from controller.simulator.engine import find_engine
from controller.simulator.serve import SimulatedSite

WORLD = """
cluster:
  name: demo
  domain: demo.example
  parameters: {OwnernodeEpoch: 1, OwnernodeHolder: aaaaaaaa-0000-4000-8000-000000000001}
nodes: [{name: HV01}, {name: HV02}, {name: HV03}]
volumes: [{name: Volume1}]
vms:
- {name: SQL01, node: HV01, memory: 8Gi}
- {name: WEB01, node: HV02, memory: 2Gi}
- {name: LAB01, node: HV02, memory: 2Gi, clustered: false}
"""
FENCE = {"epoch": 1, "holder": "aaaaaaaa-0000-4000-8000-000000000001"}
CALLS_MAX = 2000
"""How often a test asks before it gives up waiting for the world."""

Open = Callable[..., SimulatedSite]


@pytest.fixture
def open_site(loop: LoopThread, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens sites; their nodes are found by full name, as a name server would tell."""
    sites: list[SimulatedSite] = []
    hosts: dict[str, str] = {}

    def start(world: str = WORLD, **options: Any) -> SimulatedSite:
        site = SimulatedSite(load_world(world), user=USER, password=PASSWORD, **options)
        loop.run(site.__aenter__())
        sites.append(site)
        for name, address in site.addresses.items():
            hosts[name.lower()] = address.split(":")[0]
        return site

    resolve = socket.getaddrinfo

    def resolve_node(host: Any, *rest: Any, **more: Any) -> Any:
        return resolve(hosts.get(str(host).lower(), host), *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_node)
    yield start
    for site in sites:
        loop.run(site.__aexit__(None, None, None))


def connect(site: SimulatedSite, node: str) -> Protocol:
    """A stock client that checks the node's certificate by its full name."""
    name = next(name for name in site.addresses if name.startswith(f"{node}."))
    return Protocol(
        f"https://{name}:{site.addresses[name].split(':')[1]}/wsman",
        transport="ntlm",
        username=site.user,
        password=site.password,
        ca_trust_path=str(site.ca_file),
        proxy=None,
        operation_timeout_sec=5,
        read_timeout_sec=10,
    )


def agent_on(site: SimulatedSite, node: str) -> AgentClient:
    return AgentClient(connect(site, node), shipped_scripts())


def call(agent: AgentClient, operation: str, **arguments: Any) -> Any:
    reply = agent.call(str(uuid.uuid4()), operation, **arguments)
    assert reply["ok"], reply["errors"]
    return reply["data"]


def test_each_node_answers_at_its_own_address(open_site: Open) -> None:
    """One port, an address a node, and a certificate for each full name."""
    site = open_site()
    assert [a.split(":")[0] for a in site.addresses.values()] == [
        "127.0.1.1",
        "127.0.1.2",
        "127.0.1.3",
    ]
    assert len({a.split(":")[1] for a in site.addresses.values()}) == 1
    for node in ("HV01", "HV02", "HV03"):
        assert agent_on(site, node).ready["node"] == node


def test_plain_programs_run_beside_the_agent(open_site: Open) -> None:
    """The same node runs the agent and what a program of a dozen lines asks for."""
    client = connect(open_site(), "HV02")
    with shell(client) as shell_id:
        assert run(client, shell_id, "hostname") == ("HV02\r\n", "", 0)


def test_node_tells_what_it_owns(open_site: Open) -> None:
    """Observation shows the world's own VMs, each on its node."""
    site = open_site()
    seen = call(agent_on(site, "HV02"), "observe", clusterWide=False)
    assert sorted(vm["name"] for vm in seen["vms"]) == ["LAB01", "WEB01"]
    assert [role["name"] for role in seen["roles"]] == ["WEB01"]


def test_move_is_submitted_and_takes_its_time(open_site: Open) -> None:
    """A migration goes on by itself, at the world's speed, and ends on the target."""
    site = open_site(speed=500)
    source, target = agent_on(site, "HV01"), agent_on(site, "HV03")
    vm = call(source, "observe", clusterWide=False)["vms"][0]
    outcome = call(
        source,
        "moveRole",
        **FENCE,
        intent=str(uuid.uuid4()),
        vmId=vm["id"],
        source="HV01",
        target="HV03",
    )
    assert outcome == {"outcome": "submitted"}
    assert site.world.truth_of("SQL01").in_flight
    for _ in range(CALLS_MAX):
        call(target, "ping")
        if not site.world.truth_of("SQL01").in_flight:
            break
    seen = call(target, "observe", clusterWide=False)
    assert [vm["id"] for vm in seen["vms"]] == [vm["id"]]
    assert site.world.truth_of("SQL01").owner_node == "HV03"


def test_node_without_power_refuses_and_comes_back_bare(open_site: Open, loop: LoopThread) -> None:
    """Its address answers nobody, the others go on, and after its return no shell is known."""
    site = open_site()
    agent, other = agent_on(site, "HV01"), agent_on(site, "HV02")
    site.world.crash_node("HV01")
    loop.run(site.align())
    with pytest.raises(requests.ConnectionError):
        connect(site, "HV01").open_shell()
    assert call(other, "ping")["node"] == "HV02"
    site.world.boot_node("HV01")
    loop.run(site.align())
    with pytest.raises(WSManFaultError) as lost:
        agent.call("a1", "ping")
    assert lost.value.wsman_fault_code == 2150858843
    assert agent_on(site, "HV01").ready["node"] == "HV01"


def test_call_to_a_node_that_hangs_is_late(open_site: Open) -> None:
    """A node cut off from its cluster does not answer until it has noticed."""
    site = open_site(
        WORLD + "doubts: {cutOffNodeAnswers: hang, cutOffNoticedSeconds: 20}\n", speed=100
    )
    agent = agent_on(site, "HV03")
    site.world.cut_off("HV03")
    cut_at = site.world.now
    reply = agent.call("a1", "observe", clusterWide=False)
    assert not reply["ok"]
    assert site.world.now - cut_at >= 20


def test_new_agent_knows_no_job_of_the_one_before(open_site: Open) -> None:
    """A lost agent loses the state of its jobs, and observation has to decide."""
    site = open_site()
    agent = agent_on(site, "HV02")
    lab = next(
        vm for vm in call(agent, "observe", clusterWide=False)["vms"] if vm["name"] == "LAB01"
    )
    intent = str(uuid.uuid4())
    call(agent, "registerVm", **FENCE, intent=intent, vmId=lab["id"], node="HV02")
    jobs = call(agent, "observe", clusterWide=False)["jobs"]
    assert [job["intent"] for job in jobs] == [intent]
    assert call(agent_on(site, "HV02"), "observe", clusterWide=False)["jobs"] == []


@pytest.mark.engine
@pytest.mark.timeout(240)
def test_scripts_run_in_an_engine_where_there_is_one(open_site: Open) -> None:
    """The same client, the same world; between them a real PowerShell executes the real agent."""
    engine = find_engine()
    if engine is None:
        pytest.skip(
            "no PowerShell engine: OWNERNODE_POWERSHELL is not set and there is no pwsh on PATH"
        )
    site = open_site(engine=engine)
    agent = agent_on(site, "HV02")
    seen = call(agent, "observe", clusterWide=False)
    assert sorted(vm["name"] for vm in seen["vms"]) == ["LAB01", "WEB01"]
    with shell(connect(site, "HV02")) as shell_id:
        assert run(connect(site, "HV02"), shell_id, "hostname")[0] == "HV02\r\n"
    agent.close()


def test_more_engines_than_the_machine_can_bear_are_refused_at_once(tmp_path: Path) -> None:
    """An engine takes some 100 MB: larger fleets are answered by the simulator itself."""
    nodes = ", ".join(f"{{name: HV{number:02d}}}" for number in range(1, 6))
    world = load_world(f"cluster: {{name: demo, domain: demo.example}}\nnodes: [{nodes}]\n")
    with pytest.raises(ValueError, match="4 nodes"):
        SimulatedSite(world, user=USER, password=PASSWORD, engine=tmp_path / "pwsh")


def test_site_leaves_nothing_behind(loop: LoopThread) -> None:
    """Keys, credentials and ports go with the site."""

    async def visit() -> tuple[Path, str, bool]:
        async with SimulatedSite(load_world(WORLD), user=USER, password=PASSWORD) as site:
            return site.ca_file, next(iter(site.addresses.values())), site.ca_file.exists()

    ca_file, address, existed = loop.run(visit())
    assert existed
    assert not ca_file.parent.exists()
    with pytest.raises(ConnectionRefusedError), socket.socket() as client:
        client.connect((address.split(":")[0], int(address.split(":")[1])))


def pool_of(site: SimulatedSite, configuration: str = "Ownernode") -> RunspacePool:
    """A stock client of PowerShell remoting: its own connection, log-on and sealing."""
    name = next(name for name in site.addresses if name.startswith("HV01."))
    wsman = WSMan(
        name,
        port=int(site.addresses[name].split(":")[1]),
        username=USER,
        password=PASSWORD,
        auth="ntlm",
        cert_validation=str(site.ca_file),
        no_proxy=True,
    )
    return RunspacePool(wsman, configuration_name=configuration)


def test_stock_pypsrp_calls_the_endpoint_s_functions(open_site: Open) -> None:
    """A reply is one text, and the same id gets the same text."""
    with pool_of(open_site()) as pool:
        said = []
        for _ in range(2):
            with PowerShell(pool) as shell:
                shell.add_cmdlet("invoke-ownernodePING").add_parameter("CallId", "a-1")
                said += shell.invoke()
                assert not shell.had_errors
        assert said[0] == said[1]
        reply = json.loads(gzip.decompress(base64.b64decode(said[0])))
        assert (reply["id"], reply["ok"], reply["data"]["node"]) == ("a-1", True, "HV01")


@pytest.mark.parametrize(
    ("command", "is_script", "error"),
    [
        ("Get-VM", False, "CommandNotFoundException"),
        ("Invoke-OwnernodePing -CallId a", True, "ScriptsNotAllowed"),
        ("Invoke-OwnernodePing", False, "MissingMandatoryParameter,Invoke-OwnernodePing"),
    ],
)
def test_stock_pypsrp_gets_the_endpoint_s_errors(
    open_site: Open, command: str, is_script: bool, error: str
) -> None:
    """What is not offered fails as in a session without a language."""
    with pool_of(open_site()) as pool, PowerShell(pool) as shell:
        if is_script:
            shell.add_script(command)
        else:
            shell.add_cmdlet(command)
        assert shell.invoke() == []
        assert shell.had_errors
        assert [record.fq_error for record in shell.streams.error] == [error]


def test_stock_pypsrp_finds_no_other_endpoint(open_site: Open) -> None:
    """Only the one that deploy/windows registers is there."""
    with pytest.raises(PSRPFault):
        pool_of(open_site(), "Microsoft.PowerShell").open()
