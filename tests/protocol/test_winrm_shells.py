"""Shells, commands, streams and quotas, seen through stock pywinrm."""

import asyncio
import contextlib
import re
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
import requests
from winrm.exceptions import (
    WinRMOperationTimeoutError,
    WinRMTransportError,
    WSManFaultError,
)
from winrm_node import (
    OTHER_PASSWORD,
    OTHER_USER,
    PASSWORD,
    USER,
    Programs,
    Serve,
    Watched,
    flood,
    run,
    shell,
)

from controller.simulator.processes import Process
from controller.simulator.winrm_server import faults
from controller.simulator.winrm_server.soap import duration_seconds

PAGE = Path(__file__).parents[2] / "docs" / "winrm-server.md"


def test_program_of_the_documentation_works(
    serve: Serve, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dozen lines in docs/winrm-server.md do what the page says they do."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    page = PAGE.read_text(encoding="utf-8")
    program, said = re.findall(r"```(?:python|text)\n(.*?)```", page, re.DOTALL)[:2]
    endpoint = f"http://127.0.1.1:{serve().server.address[1]}/wsman"
    settings = {"ENDPOINT": endpoint, "USER": USER, "PASSWORD": PASSWORD}
    exec(program, settings)
    assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    ("command", "arguments", "expected"),
    [
        ("hostname", (), ("HV01\r\n", "", 0)),
        ("HOSTNAME.EXE", (), ("HV01\r\n", "", 0)),
        ("whoami", (), ("corp\\svc-move\r\n", "", 0)),
        ("cmd", ("/c", "echo", "one two"), ("one two\r\n", "", 0)),
        ("echo", (), ("ECHO is on.\r\n", "", 0)),
        ("echo", ("%PLACE%", "%NOWHERE%"), ("Žižkov %NOWHERE%\r\n", "", 0)),
        ("cmd.exe", ("/c", "exit", "3"), ("", "", 3)),
        ("ver", (), ("\r\nMicrosoft Windows [Version 10.0.20348.2227]\r\n", "", 0)),
    ],
)
def test_builtin_command(
    serve: Serve, command: str, arguments: tuple[str, ...], expected: tuple[str, str, int]
) -> None:
    """What a plain program may run without any PowerShell, variables of the shell included."""
    client = serve().client()
    with shell(client, env_vars={"PLACE": "Žižkov"}) as shell_id:
        assert run(client, shell_id, command, *arguments) == expected


def test_unknown_command_is_refused_in_the_words_of_cmd(serve: Serve) -> None:
    """cmd.exe ran and did not find it: no fault, but stderr and exit code 1."""
    client = serve().client()
    with shell(client) as shell_id:
        stdout, stderr, code = run(client, shell_id, "powershell.exe", "-Version")
    assert (stdout, code) == ("", 1)
    assert stderr == (
        "'powershell.exe' is not recognized as an internal or external command,\r\n"
        "operable program or batch file.\r\n"
    )


def test_line_too_long_for_cmd_is_refused_in_its_words(serve: Serve) -> None:
    """Scripts on the command line hit 8,191 characters; that is no fault either."""
    client = serve().client()
    with shell(client) as shell_id:
        fits = "x" * (8191 - len("echo "))
        assert run(client, shell_id, "echo", fits)[2] == 0
        assert run(client, shell_id, "echo", fits + "x") == (
            "",
            "The command line is too long.\r\n",
            1,
        )


@pytest.mark.parametrize(
    ("transport", "https", "element_bytes"),
    [("ntlm", False, 32_768), ("ntlm", True, 4096), ("basic", True, 1_000_000)],
)
def test_four_megabytes_arrive_complete_and_in_order(
    serve: Serve, transport: str, https: bool, element_bytes: int
) -> None:
    """An answer of many envelopes is put together byte by byte, whatever the element size."""
    client = serve(https=https, stream_element_bytes=element_bytes).client(transport, https=https)
    with shell(client) as shell_id:
        command_id = client.run_command(shell_id, "flood", ["4000000"])
        stdout, stderr, code = client.get_command_output(shell_id, command_id)
    assert stdout == b"".join(flood(4_000_000))
    assert (stderr, code) == (b"", 0)


def test_answer_respects_the_envelope_that_the_client_announced(serve: Serve) -> None:
    """pywinrm announces 153,600 bytes; no answer may be longer, and few should be much shorter."""
    client = serve(allow_unencrypted=True).client("basic")
    lengths: list[int] = []
    with shell(client) as shell_id:
        assert client.transport.session is not None
        client.transport.session.hooks["response"].append(
            lambda answer, **_: lengths.append(len(answer.content))
        )
        command_id = client.run_command(shell_id, "flood", ["1000000"])
        client.get_command_output(shell_id, command_id)
    assert max(lengths) <= 153_600
    assert len(lengths) <= 15


def test_input_goes_in_by_chunks_and_comes_out_whole(serve: Serve) -> None:
    """Chunks of 96 KiB, bytes of every value, and an end that closes the pipe."""
    client = serve().client()
    data = bytes(range(256)) * 1200
    received = b""
    with shell(client) as shell_id:
        command_id = client.run_command(shell_id, "more", console_mode_stdin=False)
        for start in range(0, len(data), 96 * 1024):
            client.send_command_input(shell_id, command_id, data[start : start + 96 * 1024])
        while len(received) < len(data):
            received += client.get_command_output_raw(shell_id, command_id)[0]
        client.send_command_input(shell_id, command_id, "konec ž".encode(), end=True)
        rest, _, code = client.get_command_output(shell_id, command_id)
    assert received == data
    assert (rest.decode(), code) == ("konec ž", 0)


def test_shells_of_a_user_are_counted(serve: Serve) -> None:
    """The quota is per user: another user still gets a shell, and so does who closes one."""
    client = serve(shells_per_user_max=2).client()
    first = client.open_shell()
    client.open_shell()
    with pytest.raises(WSManFaultError) as refused:
        client.open_shell()
    assert refused.value.wsman_fault_code == 2150859173
    assert refused.value.fault_subcode == "w:QuotaLimit"
    client.close_shell(first, close_session=False)
    client.open_shell()


def test_quota_of_one_user_is_not_that_of_another(serve: Serve) -> None:
    """Somebody else's leaked shells take nothing from the controller's account."""
    node = serve(shells_per_user_max=1)
    node.client().open_shell()
    node.client(username=OTHER_USER, password=OTHER_PASSWORD).open_shell()
    assert node.server.shells == 2


def test_commands_use_up_a_shell_even_when_they_are_cleaned_up(serve: Serve) -> None:
    """WinRS gives an operation back only with its shell; who starts a command a call runs dry."""
    client = serve(operations_per_user_max=3).client()
    with shell(client) as shell_id:
        for _ in range(3):
            run(client, shell_id, "hostname")
        with pytest.raises(WSManFaultError) as refused:
            client.run_command(shell_id, "hostname")
        assert refused.value.wmierror_code == 2150859174
        assert refused.value.wsman_fault_code is None
        assert refused.value.fault_subcode == "w:InternalError"
    with shell(client) as shell_id:
        assert run(client, shell_id, "hostname")[2] == 0


def test_forgotten_shell_dies_of_its_idle_time(serve: Serve) -> None:
    """An agent whose controller has gone ends by itself, with its process."""
    programs = Programs()
    client = serve(programs).client()
    shell_id = client.open_shell(idle_timeout="PT0.5S")
    client.run_command(shell_id, "silent")
    assert programs.silent[0].killed.wait(10)
    with pytest.raises(WSManFaultError, match="invalid selectors"):
        client.run_command(shell_id, "hostname")


def test_shell_is_kept_alive_by_use(serve: Serve) -> None:
    """Each operation on a shell starts its idle time anew."""
    node = serve()
    client = node.client()
    with shell(client, idle_timeout="PT5S") as shell_id:
        assert run(client, shell_id, "hostname")[2] == 0
        assert node.server.shells == 1
    assert node.server.shells == 0


def test_hung_command_is_killed_from_another_connection(serve: Serve) -> None:
    """A shell belongs to its user: a second log-on ends it, and the waiting Receive is told 995."""
    programs = Programs()
    node = serve(programs)
    node.server.faults = watched = Watched("Receive")
    client = node.client(operation_timeout_sec=20, read_timeout_sec=30)
    shell_id = client.open_shell()
    command_id = client.run_command(shell_id, "silent")
    told: list[WSManFaultError] = []

    def wait_for_output() -> None:
        try:
            client.get_command_output_raw(shell_id, command_id)
        except WSManFaultError as fault:
            told.append(fault)

    waiting = threading.Thread(target=wait_for_output)
    waiting.start()
    assert watched.reached.wait(10)
    node.client().close_shell(shell_id)
    waiting.join(10)
    assert [fault.wsman_fault_code for fault in told] == [995]
    assert programs.silent[0].killed.is_set()


def test_shell_of_somebody_else_is_out_of_reach(serve: Serve) -> None:
    """Knowing the id of a shell is not enough."""
    node = serve()
    shell_id = node.client().open_shell()
    with pytest.raises(WSManFaultError) as refused:
        node.client(username=OTHER_USER, password=OTHER_PASSWORD).run_command(shell_id, "hostname")
    assert refused.value.wsman_fault_code == 5
    assert refused.value.fault_subcode == "w:AccessDenied"


def test_receive_without_output_times_out_and_loses_nothing(serve: Serve) -> None:
    """Fault 2150858793 means: ask again; the process goes on and its output is kept."""
    client = serve(operation_seconds_max=0.2).client()
    with shell(client) as shell_id:
        command_id = client.run_command(shell_id, "more", console_mode_stdin=False)
        for _ in range(3):
            with pytest.raises(WinRMOperationTimeoutError):
                client.get_command_output_raw(shell_id, command_id)
        client.send_command_input(shell_id, command_id, b"late")
        assert client.get_command_output_raw(shell_id, command_id)[0] == b"late"


def test_send_to_a_full_pipe_times_out(serve: Serve) -> None:
    """A process that does not read lets Send run into OperationTimeout."""
    client = serve(operation_seconds_max=0.2).client()
    with shell(client) as shell_id:
        command_id = client.run_command(shell_id, "silent")
        with pytest.raises(WinRMOperationTimeoutError):
            client.send_command_input(shell_id, command_id, b"anybody there?")


@pytest.mark.parametrize("command", ["hostname", "more"])
def test_send_to_a_closed_pipe_is_fault_232(serve: Serve, command: str) -> None:
    """The process has ended, or its input was closed: the pipe is being closed."""
    client = serve().client()
    with shell(client) as shell_id:
        command_id = client.run_command(shell_id, command)
        if command == "more":
            client.send_command_input(shell_id, command_id, b"", end=True)
        with pytest.raises(WSManFaultError) as refused:
            client.send_command_input(shell_id, command_id, b"more")
        assert refused.value.wsman_fault_code == 232
        assert "Shell cmd plugin" in refused.value.response


@pytest.mark.parametrize("code", [170, 1460])
def test_planned_fault_is_met_once(serve: Serve, code: int) -> None:
    """A busy winrscmd.dll, as a test arranges it: this Send fails, the next one passes."""
    node = serve()
    client = node.client()
    with shell(client) as shell_id:
        command_id = client.run_command(shell_id, "more", console_mode_stdin=False)
        node.server.faults.fail("Send", faults.from_shell_plugin(code))
        with pytest.raises(WSManFaultError) as refused:
            client.send_command_input(shell_id, command_id, b"x")
        assert refused.value.wsman_fault_code == code
        client.send_command_input(shell_id, command_id, b"y")
        assert client.get_command_output_raw(shell_id, command_id)[0] == b"y"


def test_request_above_the_envelope_limit_is_413(serve: Serve) -> None:
    """No SOAP, no executing, and the answer is seen although the body was not wanted."""
    node = serve(envelope_bytes_max=100 * 1024)
    client = node.client()
    with shell(client) as shell_id:
        command_id = client.run_command(shell_id, "more", console_mode_stdin=False)
        with pytest.raises(WinRMTransportError) as refused:
            client.send_command_input(shell_id, command_id, bytes(96 * 1024))
        assert refused.value.code == 413
        assert refused.value.response_text == ""
        assert node.server.counts["Send"] == 0
        client.transport.close_session()


def test_terminated_command_is_unknown(serve: Serve) -> None:
    """After Signal the id is gone; same number as a lost shell, another message."""
    client = serve().client()
    with shell(client) as shell_id:
        command_id = client.run_command(shell_id, "silent")
        client.cleanup_command(shell_id, command_id)
        with pytest.raises(WSManFaultError) as refused:
            client.get_command_output_raw(shell_id, command_id)
        assert refused.value.wsman_fault_code == 2150858843
        assert "command identifier that does not exist" in refused.value.response
    with pytest.raises(WSManFaultError) as refused:
        client.run_command(shell_id, "hostname")
    assert refused.value.wsman_fault_code == 2150858843
    assert f"ShellId {shell_id} failed" in refused.value.response


def test_end_of_a_command_may_be_asked_for_again(serve: Serve) -> None:
    """An answer that was lost on the way is not lost with its exit code."""
    client = serve().client()
    with shell(client) as shell_id:
        command_id = client.run_command(shell_id, "cmd", ["/c", "exit", "7"])
        assert client.get_command_output_raw(shell_id, command_id)[2:] == (7, True)
        assert client.get_command_output_raw(shell_id, command_id)[2:] == (7, True)


def test_program_without_cmd_must_exist(serve: Serve) -> None:
    """With WINRS_SKIP_CMD_SHELL a missing program is a fault of the plug-in."""
    client = serve().client()
    with shell(client) as shell_id:
        with pytest.raises(WSManFaultError) as refused:
            client.run_command(shell_id, "nonsense.exe", skip_cmd_shell=True)
        assert refused.value.wsman_fault_code == 2147942402
        assert refused.value.fault_code == "s:Receiver"


@pytest.mark.parametrize("idle", ["300", "PT", "5 minutes"])
def test_idle_time_must_be_a_duration(serve: Serve, idle: str) -> None:
    """pywinrm passes idle_timeout on as it is; a bare number is a schema violation."""
    with pytest.raises(WSManFaultError) as refused:
        serve().client().open_shell(idle_timeout=idle)
    assert refused.value.wsman_fault_code == 2150858817
    assert refused.value.fault_subcode == "w:SchemaValidationError"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("PT20S", 20), ("PT0.250S", 0.25), ("P1DT2H3M4S", 93784), ("PT5M", 300), ("P", None)],
)
def test_duration(text: str, seconds: float | None) -> None:
    """xs:duration, as far as it has a fixed length."""
    assert duration_seconds(text) == seconds


def test_closing_the_client_while_it_waits_leaves_the_node_well(serve: Serve) -> None:
    """A client that gives up reading does not take the node with it."""
    node = serve()
    client = node.client()
    shell_id = client.open_shell()
    command_id = client.run_command(shell_id, "silent")
    client.transport.read_timeout_sec = (3, 0.05)  # type: ignore[assignment]
    with pytest.raises(requests.ReadTimeout):
        client.get_command_output_raw(shell_id, command_id)
    with contextlib.closing(node.connect()), shell(node.client()) as other:
        assert run(node.client(), other, "hostname")[2] == 0


class Slow(Programs):
    """Programs that start only when they are let."""

    def __init__(self) -> None:
        super().__init__()
        self.starting = threading.Event()
        self.may_start = asyncio.Event()

    async def start(
        self, node: str, command: str, arguments: tuple[str, ...], environment: Mapping[str, str]
    ) -> Process:
        self.starting.set()
        await self.may_start.wait()
        return await super().start(node, command, arguments, environment)


def test_command_that_starts_in_a_dying_shell_dies_with_it(serve: Serve) -> None:
    """No process outlives its shell, not even one that was being started when the shell went."""
    programs = Slow()
    node = serve(programs)
    client = node.client()
    shell_id = client.open_shell()
    told: list[WSManFaultError] = []

    def start() -> None:
        try:
            client.run_command(shell_id, "silent")
        except WSManFaultError as fault:
            told.append(fault)

    starting = threading.Thread(target=start)
    starting.start()
    assert programs.starting.wait(10)
    node.loop.run(node.server.kill_shells())
    node.loop.call(programs.may_start.set)
    starting.join(10)
    assert [fault.wsman_fault_code for fault in told] == [995]
    assert programs.silent[0].killed.is_set()
