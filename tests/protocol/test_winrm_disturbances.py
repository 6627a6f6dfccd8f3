"""What goes wrong between client and node: cut, silent, frozen and dead."""

import asyncio
from random import Random

import pytest
import requests
from winrm.exceptions import WinRMOperationTimeoutError, WinRMTransportError, WSManFaultError
from winrm_node import Node, Programs, Serve, run, shell

from controller.simulator.winrm_server.injection import Cut, Faults
from controller.simulator.winrm_server.server import bind_listeners


def test_sealed_messages_break_for_good_after_an_idle_cut(serve: Serve) -> None:
    """HTTP.sys drops a silent connection; pywinrm then meets 400 until it logs on anew.

    The incident: evil-winrm-py issue 3, "400 after 2 min 5 s"; Ansible works around it.
    """
    node = serve(idle_seconds=0.4)
    client = node.client()
    shell_id = client.open_shell()
    wait_until_cut(node)
    for _ in range(3):
        with pytest.raises(WinRMTransportError) as refused:
            client.run_command(shell_id, "hostname")
        assert refused.value.code == 400
        wait_until_cut(node)
    client.transport.close_session()
    assert run(client, shell_id, "hostname")[2] == 0


@pytest.mark.parametrize("transport", ["basic", "ntlm"])
def test_https_survives_an_idle_cut(serve: Serve, transport: str) -> None:
    """Where messages are not sealed the client reconnects and logs on without being told."""
    node = serve(idle_seconds=0.4, https=True)
    client = node.client(transport, https=True)
    shell_id = client.open_shell()
    wait_until_cut(node)
    assert run(client, shell_id, "hostname")[2] == 0


def test_waiting_for_output_is_not_idling(serve: Serve) -> None:
    """A Receive that is held longer than the idle time keeps its connection."""
    node = serve(idle_seconds=0.3, operation_seconds_max=0.6)
    client = node.client()
    shell_id = client.open_shell()
    command_id = client.run_command(shell_id, "silent")
    with pytest.raises(WinRMOperationTimeoutError):
        client.get_command_output_raw(shell_id, command_id)


@pytest.mark.parametrize(("cut", "executed"), [(Cut.BEFORE, 0), (Cut.AFTER, 1)])
def test_cut_exchange_is_executed_or_not_as_scripted(serve: Serve, cut: Cut, executed: int) -> None:
    """To the client both look alike, and that is the point: the outcome is unknown."""
    node = serve()
    client = node.client()
    node.server.faults.script_cuts([cut])
    with pytest.raises(requests.ConnectionError):
        client.open_shell()
    assert node.server.counts["Create"] == executed
    assert node.server.shells == executed
    client.transport.close_session()
    client.open_shell()
    assert node.server.shells == executed + 1


def test_chance_of_cuts_follows_its_seed() -> None:
    """A run with faults can be repeated from its seed; scripted cuts come first."""

    def drawn(seed: int) -> list[Cut]:
        faults = Faults(random=Random(seed), cut_probability=0.3)
        faults.script_cuts([Cut.AFTER])
        return [faults.next_cut() for _ in range(200)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert drawn(1)[0] is Cut.AFTER
    assert {Cut.NONE, Cut.BEFORE, Cut.AFTER} == set(drawn(1))


def test_dropped_connections_are_noticed_at_the_next_call(serve: Serve) -> None:
    """A failed switch or firewall: all connections at once; the shells outlive them."""
    node = serve()
    client = node.client()
    shell_id = client.open_shell()
    node.loop.run(node.server.drop_connections())
    with pytest.raises(WinRMTransportError):
        client.run_command(shell_id, "hostname")
    client.transport.close_session()
    assert run(client, shell_id, "hostname")[2] == 0


def test_restart_of_the_service_kills_shells(serve: Serve) -> None:
    """The connection may live on; the shell and its process do not."""
    programs = Programs()
    node = serve(programs)
    client = node.client()
    shell_id = client.open_shell()
    command_id = client.run_command(shell_id, "silent")
    node.loop.run(node.server.kill_shells())
    assert programs.silent[0].killed.is_set()
    with pytest.raises(WSManFaultError) as lost:
        client.get_command_output_raw(shell_id, command_id)
    assert lost.value.wsman_fault_code == 2150858843


def test_frozen_node_accepts_and_says_nothing(serve: Serve) -> None:
    """Only the read time-out ends the waiting for a hung host; when it thaws, it answers again."""
    node = serve()
    client = node.client()
    shell_id = client.open_shell()
    node.server.freeze()
    client.transport.read_timeout_sec = (3, 0.05)  # type: ignore[assignment]
    with pytest.raises(requests.ReadTimeout):
        client.run_command(shell_id, "hostname")
    assert node.server.counts["Command"] == 0
    node.server.thaw()
    client.transport.close_session()
    client.transport.read_timeout_sec = 10
    assert run(client, shell_id, "hostname")[2] == 0


def test_dead_node_refuses_and_comes_back_empty(serve: Serve) -> None:
    """A node that lost power: refused at once, and after its return at the same address, bare."""
    programs = Programs()
    node = serve(programs)
    client = node.client()
    shell_id = client.open_shell()
    client.run_command(shell_id, "silent")
    node.loop.run(node.server.stop())
    assert programs.silent[0].killed.is_set()
    assert not node.server.running
    with pytest.raises(requests.ConnectionError):
        node.client().open_shell()
    address = node.server.address
    node.loop.run(node.server.start())
    assert node.server.address == address
    client.transport.close_session()
    with pytest.raises(WSManFaultError) as lost:
        client.run_command(shell_id, "hostname")
    assert lost.value.wsman_fault_code == 2150858843
    with shell(node.client()) as again:
        assert again != shell_id


def test_delayed_action_is_late_and_complete(serve: Serve) -> None:
    """An overloaded host: the client's own limit is the only thing that ends the waiting."""
    node = serve()
    client = node.client()
    node.server.faults.delays["Create"] = 0.2
    client.transport.read_timeout_sec = (3, 0.05)  # type: ignore[assignment]
    with pytest.raises(requests.ReadTimeout):
        client.open_shell()
    client.transport.close_session()
    node.server.faults.delays.clear()
    client.transport.read_timeout_sec = 10
    assert client.open_shell()


def test_one_port_is_found_on_all_addresses() -> None:
    """Nodes differ by address alone; a port that is taken is named."""
    addresses = [f"127.0.1.{number}" for number in range(1, 17)]
    listeners = bind_listeners(addresses, 0)
    ports = {listener.getsockname()[1] for listener in listeners}
    assert [listener.getsockname()[0] for listener in listeners] == addresses
    assert len(ports) == 1
    listeners[0].listen()
    with pytest.raises(OSError, match="in use"):
        bind_listeners(addresses, ports.pop())
    for listener in listeners:
        listener.close()


def wait_until_cut(node: Node) -> None:
    """Return when the server has no connection left."""

    async def none_left() -> None:
        while connections := list(node.server.connections):
            await asyncio.wait(connections)

    node.loop.run(none_left())
