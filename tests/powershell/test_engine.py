"""A real engine behaves as a process on a simulated node, and its cmdlets as the real ones."""

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

import generate_stubs
import psutil
import pytest
from stories import CLUSTER

from controller.simulator.cmdlet_errors import NodeUnreachable
from controller.simulator.config import load_world
from controller.simulator.engine import ENGINES_MAX, EngineHost, TooManyEngines, find_engine
from controller.simulator.invoke import invoke
from controller.simulator.processes import CommandNotFound, Output, Process
from controller.simulator.values import Value
from controller.simulator.world import World

T = TypeVar("T")


def test_the_stubs_are_those_of_the_signatures() -> None:
    """`python tests/powershell/generate_stubs.py` writes them; nobody else does."""
    for name, text in generate_stubs.stubs().items():
        assert (generate_stubs.STUBS / name).read_text(encoding="utf-8") == text, name


# ---- which engine


def test_a_named_engine_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt OWNERNODE_POWERSHELL is an error, not a silent way back to none."""
    monkeypatch.setenv("OWNERNODE_POWERSHELL", "/nowhere/pwsh")
    with pytest.raises(FileNotFoundError, match="/nowhere/pwsh"):
        find_engine()


def test_pwsh_on_path_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever has PowerShell installed needs no variable."""
    monkeypatch.delenv("OWNERNODE_POWERSHELL", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_engine() is None
    program(tmp_path / "pwsh", "exit 0")
    assert find_engine() == tmp_path / "pwsh"


# ---- any program in its place


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def with_host(
    engine: Path, act: Callable[[EngineHost], Awaitable[T]], world: World | None = None
) -> T:
    async def run(node: str, cmdlet: str, parameters: Mapping[str, Value]) -> list[Value]:
        assert world is not None
        return invoke(world, node, cmdlet, parameters)

    async def main() -> T:
        host = EngineHost(engine, run)
        try:
            async with asyncio.timeout(60):
                return await act(host)
        finally:
            await host.close()

    return asyncio.run(main())


async def read_all(process: Process) -> tuple[bytes, bytes, int]:
    out, err = b"", b""
    while (output := await process.read()).exit_code is None:
        out, err = out + output.stdout, err + output.stderr
    return out, err, output.exit_code


def test_other_programs_are_not_found(tmp_path: Path) -> None:
    """The engine stands for powershell.exe and nothing else."""

    async def act(host: EngineHost) -> None:
        with pytest.raises(CommandNotFound):
            await host.start("HV01", "cmd.exe", ("/c", "ver"), {})

    with_host(program(tmp_path / "engine", "exit 0"), act)


def test_pipes_and_exit_code_come_through(tmp_path: Path) -> None:
    """Input, both outputs, the node's name and the shell's variables, the exit code."""
    engine = program(tmp_path / "engine", 'cat; echo "$COMPUTERNAME $X $1" >&2; exit 3')

    async def act(host: EngineHost) -> tuple[bytes, bytes, int]:
        process = await host.start("HV01", "PowerShell.exe", ("-A -B",), {"X": "y"})
        await process.write(b"in\n", end=True)
        return await read_all(process)

    assert with_host(engine, act) == (b"in\n", b"HV01 y -A\n", 3)


def test_a_killed_engine_takes_its_jobs_along(tmp_path: Path) -> None:
    """A deleted shell leaves no process behind, and the reader learns of the end."""
    engine = program(tmp_path / "engine", "sleep 300 & echo $!; wait")

    async def act(host: EngineHost) -> tuple[int, Output]:
        process = await host.start("HV01", "powershell", (), {})
        child = int((await process.read()).stdout)
        reading = asyncio.create_task(process.read())
        await process.kill()
        return child, await reading

    child, output = with_host(engine, act)
    assert output.exit_code not in (None, 0)
    assert _ends(child)


def _ends(pid: int) -> bool:
    """Whether a process that was sent SIGKILL is gone, or waits to be reaped, within 10 s."""
    for _ in range(1000):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        # The kernel tells nobody but the parent, which is gone.
        time.sleep(0.01)
    return False


def test_writing_to_an_ended_engine_is_a_broken_pipe(tmp_path: Path) -> None:
    """As winrshost finds it: the pipe is being closed."""

    async def act(host: EngineHost) -> None:
        process = await host.start("HV01", "powershell", (), {})
        await read_all(process)
        with pytest.raises(BrokenPipeError):
            await process.write(b"x", end=False)

    with_host(program(tmp_path / "engine", "exit 0"), act)


def test_engines_are_few(tmp_path: Path) -> None:
    """One more than the limit is refused; when one has ended there is room again."""

    async def act(host: EngineHost) -> None:
        running = [await host.start("HV01", "powershell", (), {}) for _ in range(ENGINES_MAX)]
        with pytest.raises(TooManyEngines):
            await host.start("HV01", "powershell", (), {})
        await running[0].kill()
        await host.start("HV01", "powershell", (), {})

    with_host(program(tmp_path / "engine", "exec cat"), act)


# ---- the stub cmdlets in a real engine


def run_script(engine: Path, text: str, world: World) -> tuple[list[str], int]:
    """What a script writes on HV01 with the stubs at hand, line by line, and its exit code."""

    async def act(host: EngineHost) -> tuple[bytes, bytes, int]:
        encoded = base64.b64encode(
            ("$ProgressPreference = 'SilentlyContinue'\n" + text).encode("utf-16-le")
        ).decode()
        arguments = ("-NoLogo", "-NoProfile", "-NonInteractive", "-EncodedCommand", encoded)
        process = await host.start("HV01", "powershell.exe", arguments, {})
        await process.write(b"", end=True)
        return await read_all(process)

    out, _, code = with_host(engine, act, world)
    return out.decode().splitlines(), code


CATCH = """
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
try {{ {0} }} catch {{ $_.FullyQualifiedErrorId; [string]$_.CategoryInfo.Category
    $_.Exception.GetType().FullName; $_.Exception.HResult }}
"""
HYPER_V = "Microsoft.HyperV.PowerShell"


@pytest.mark.engine
@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("Get-VM -Ident 1", "NamedParameterNotFound,Get-VM"),
        ("Get-VM -Id xyz", "ParameterArgumentTransformationError,Get-VM"),
        ("Get-VM -Id ([guid]::Empty) -Name a", "AmbiguousParameterSet,Get-VM"),
        ("New-VHD -Path a.vhdx -Dynamic -ParentPath b", "AmbiguousParameterSet,New-VHD"),
        ("Set-VM -VM (Get-VMHost) -Notes x", "MismatchedPSTypeName,Set-VM"),
        (
            "Set-VMFirmware -VM (Get-VM)[0] -EnableSecureBoot Enabled",
            "ParameterArgumentTransformationError,Set-VMFirmware",
        ),
        ("@(Get-VM)[0].MemoryStartupBytes", "PropertyNotFoundStrict"),
        ("(Get-Cluster).MaximumParallelMigration", "PropertyNotFoundStrict"),
        ("Stop-VM -Name x", "CommandNotFoundException"),
    ],
)
def test_a_mistaken_call_fails_as_on_a_node(engine: Path, call: str, error: str) -> None:
    """Misspelt parameters, wrong types and sets, properties that the class has not got."""
    lines, _ = run_script(engine, CATCH.format(call), load_world(CLUSTER))
    assert lines[0] == error


@pytest.mark.engine
def test_an_error_has_the_identity_of_the_real_one(engine: Path) -> None:
    """Error id, category, exception type and HRESULT: what a script may decide by."""
    lines, _ = run_script(engine, CATCH.format("Get-VM -Id ([guid]::Empty)"), load_world(CLUSTER))
    assert lines == [
        f"InvalidParameter,{HYPER_V}.Commands.GetVM",
        "InvalidArgument",
        f"{HYPER_V}.VirtualizationException",
        "-2146233087",
    ]


@pytest.mark.engine
def test_objects_have_the_types_of_the_real_ones(engine: Path) -> None:
    """GUIDs, enums, time spans, 64-bit numbers, and objects within objects."""
    script = """
    $vm = Get-VM | Where-Object { $_.Name -eq 'sql' }
    foreach ($value in $vm.Id, $vm.State, $vm.Uptime, $vm.MemoryAssigned, $vm.IsClustered) {
        $value.GetType().FullName
    }
    $vm.PSObject.TypeNames[0]
    [string]$vm.State
    [int]$vm.State
    $vm.DVDDrives.Count
    [string]$vm.DVDDrives[0].DvdMediaType
    (Get-Cluster).MaximumParallelMigrations.GetType().FullName
    """
    lines, _ = run_script(engine, script, load_world(CLUSTER))
    assert lines == [
        "System.Guid",
        f"{HYPER_V}.VMState",
        "System.TimeSpan",
        "System.Int64",
        "System.Boolean",
        f"{HYPER_V}.VirtualMachine",
        "Running",
        "2",
        "1",
        "ISO",
        "System.UInt32",
    ]


@pytest.mark.engine
def test_a_node_that_loses_power_takes_its_engine_along(engine: Path) -> None:
    """Nothing is answered from there, and nothing executed after."""
    world = load_world(CLUSTER)
    world.crash_node("HV01")
    with pytest.raises(NodeUnreachable):
        invoke(world, "HV01", "Get-VM", {})
    lines, code = run_script(engine, "'before'; Get-VM; 'after'", world)
    assert (lines, code) == (["before"], 1)


@pytest.mark.engine
def test_a_stranger_at_the_bridge_gets_nothing(engine: Path) -> None:
    """The bridge is on loopback; only a process that was given a token may speak."""
    script = """
    $address, $port, $token = $env:OWNERNODE_BRIDGE.Split(' ')
    $client = [Net.Sockets.TcpClient]::new($address, [int]$port)
    $writer = [IO.StreamWriter]::new($client.GetStream())
    $writer.Write("wrong`n{""cmdlet"": ""Get-VM"", ""parameters"": {}}`n")
    $writer.Flush()
    $null -eq [IO.StreamReader]::new($client.GetStream()).ReadLine()
    """
    lines, _ = run_script(engine, script, load_world(CLUSTER))
    assert lines == ["True"]
