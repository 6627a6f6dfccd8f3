"""The agent of docs/protocol.md in a WinRS shell, over pywinrm.

A shell with one PowerShell process in it outlives connections, and so does the agent's memory of
its last reply: the same line under the same id is answered from there.
"""

import time
from typing import Any

from controller.adapters.winrm.failures import (
    FAILURES,
    Lost,
    ShellGone,
    StillRunning,
    readable_stderr,
)
from controller.adapters.winrm.frames import (
    PROTOCOL,
    READY_ID,
    FrameReader,
    Ready,
    Reply,
    encode_agent,
    encode_call,
)
from controller.adapters.winrm.program import COMMAND, AgentProgram
from controller.adapters.winrm.session import SOON_SECONDS, Call, NodeSession
from controller.errors import ProtocolBroken


class AgentSession(NodeSession):
    """One node's agent: a shell, a process in it, lines in and lines out."""

    def __init__(self, program: AgentProgram, **rest: Any) -> None:
        """`rest` is a NodeSession's."""
        super().__init__(**rest)
        self._program = program
        self._reader = FrameReader()
        self._shell_id: str | None = None
        self._command_id: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether an agent is believed to be running."""
        return self._command_id is not None

    def _open(self) -> None:
        self._shell_id = shell_id = self._exchange(
            lambda: _given(
                self._protocol.open_shell(
                    codepage=65001, noprofile=True, idle_timeout=self._limits.shell_idle_timeout
                )
            )
        )
        self._command_id = self._exchange(
            lambda: _given(
                self._protocol.run_command(
                    shell_id, COMMAND, self._program.arguments, console_mode_stdin=False
                )
            )
        )
        self._reader = FrameReader()
        self._reader.expect(READY_ID)
        self._write(encode_agent(self._program.text))
        ready = self._read()
        assert isinstance(ready, Ready)
        if ready.protocol != PROTOCOL or ready.agent != self._program.sha256:
            self._discard()
            raise ProtocolBroken(
                f"{self._node} runs another agent: protocol {ready.protocol}, {ready.agent[:64]}"
            )

    def _expect(self, call: Call) -> None:
        self._reader.expect(call.id)

    def _lost(self) -> None:
        self._reader.lost()

    def _send(self, call: Call) -> None:
        self._write(encode_call(call.id, call.operation, call.arguments))

    def _receive(self, call: Call) -> Reply:
        answer = self._read()
        assert isinstance(answer, Reply)
        return answer

    def _discard(self) -> None:
        """End the shell and its process if they can be reached; never raises."""
        shell_id, self._shell_id, self._command_id = self._shell_id, None, None
        if shell_id is None:
            return
        for _ in range(2):  # the connection may be one that was cut
            try:
                self._exchange(lambda: self._protocol.close_shell(shell_id, close_session=False))
                return
            except Lost:
                self._transport.close_session()
            except FAILURES:
                return  # Windows ends the shell after its idle time

    def _write(self, data: bytes) -> None:
        shell_id, command_id = self._shell_id, self._command_id
        assert shell_id is not None
        assert command_id is not None
        try:
            self._exchange(lambda: self._protocol.send_command_input(shell_id, command_id, data))
        except StillRunning as slow:
            # The bytes were most likely delivered (ansible/ansible #81538): a repeat is harmless.
            raise Lost("the node did not take the line in time", touched=True) from slow

    def _read(self) -> Ready | Reply:
        shell_id, command_id = self._shell_id, self._command_id
        assert shell_id is not None
        assert command_id is not None
        while True:
            began = time.monotonic()
            try:
                out, err, code, ended = self._exchange(
                    lambda: self._protocol.get_command_output_raw(shell_id, command_id)
                )
            except StillRunning:
                # It should have been held for the operation's time; whoever says so at once
                # is not asked in a tight loop.
                if time.monotonic() - began < SOON_SECONDS:
                    self._span.pause(SOON_SECONDS)
                continue
            if err:
                self._stderr = readable_stderr(err)
            if (found := self._reader.feed(out)) is not None:
                return found
            if ended:
                raise ShellGone(f"PowerShell ended with exit code {code}")


def _given(name: str | None) -> str:
    if not name:
        raise ValueError("an answer without the id that it should give")
    return name
