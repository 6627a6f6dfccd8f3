"""The controller's side of docs/protocol.md, once more and in few lines, over stock pywinrm."""

import base64
import gzip
import json
from typing import Any

import requests
from winrm.exceptions import WinRMOperationTimeoutError, WinRMTransportError
from winrm.protocol import Protocol

from controller.simulator.agent_process import ShippedScripts

SWITCHES = [
    "-NoLogo",
    "-NoProfile",
    "-NonInteractive",
    "-InputFormat",
    "None",
    "-OutputFormat",
    "Text",
]


class AgentClient:
    """The controller's side of the protocol, by its document, over stock pywinrm."""

    def __init__(self, client: Protocol, scripts: ShippedScripts) -> None:
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
