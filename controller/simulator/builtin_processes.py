"""The few commands of cmd.exe that a program may run on a simulated node without PowerShell.

Output is UTF-8, as in a shell opened with code page 65001; other code pages are not simulated.
"""

import asyncio
import re
from collections.abc import Callable, Mapping

from controller.simulator.processes import (
    CommandNotFound,
    EndedProcess,
    Output,
    Process,
    ProcessHost,
)

VERSION = "\r\nMicrosoft Windows [Version 10.0.20348.2227]\r\n"


class BuiltinProcesses:
    """A ProcessHost for hostname, whoami, ver, echo, exit, more, and cmd /c before any of them.

    `powershell` is the host that runs powershell.exe, where there is one.
    """

    def __init__(self, *, powershell: ProcessHost | None = None) -> None:
        self._powershell = powershell

    async def start(
        self,
        node: str,
        command: str,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
    ) -> Process:
        words = " ".join((command, *arguments)).strip()
        while found := re.match(r"cmd(\.exe)?\s+/[ck]\s+", words, re.IGNORECASE):
            words = words[found.end() :]
        name, _, rest = words.partition(" ")
        name = name.lower().removesuffix(".exe").removesuffix(".com")
        if name == "powershell" and self._powershell:
            return await self._powershell.start(node, command, arguments, environment)
        rest = _expand(rest, environment)
        if name == "more":
            return Copier()
        if name == "exit":
            code = rest.lower().removeprefix("/b").strip()
            return EndedProcess(exit_code=int(code) if code.isdecimal() else 0)
        try:
            text = SAYINGS[name](node, rest, environment)
        except KeyError:
            raise CommandNotFound(name) from None
        return EndedProcess(Output(stdout=text.encode()))


def _expand(text: str, environment: Mapping[str, str]) -> str:
    """Replace %NAME%; an unknown name stays as it is, as cmd.exe leaves it."""
    values = {name.upper(): value for name, value in environment.items()}
    return re.sub(r"%(\w+)%", lambda m: values.get(m[1].upper(), m[0]), text)


SAYINGS: Mapping[str, Callable[[str, str, Mapping[str, str]], str]] = {
    "hostname": lambda node, _, __: f"{node}\r\n",
    "ver": lambda _, __, ___: VERSION,
    "echo": lambda _, rest, __: f"{rest}\r\n" if rest else "ECHO is on.\r\n",
    "whoami": lambda _, __, env: f"{env['USERDOMAIN']}\\{env['USERNAME']}\r\n".lower(),
}


class Copier:
    """`more` with its input in a pipe: what comes in goes out, until the input ends."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Output] = asyncio.Queue()
        self._open = True

    async def write(self, data: bytes, *, end: bool) -> None:
        if not self._open:
            raise BrokenPipeError("the input was closed")
        if data:
            self._queue.put_nowait(Output(stdout=data))
        if end:
            await self._end(0)

    async def read(self) -> Output:
        return await self._queue.get()

    async def kill(self) -> None:
        if self._open:
            await self._end(1)

    async def _end(self, exit_code: int) -> None:
        self._open = False
        self._queue.put_nowait(Output(exit_code=exit_code))
