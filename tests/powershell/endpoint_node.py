"""The JEA endpoint's module in a real engine, in a session like Windows makes."""

import base64
import gzip
import json
import shutil
from pathlib import Path
from typing import Any

from engine_node import NODE, EngineNode

from controller.adapters.winrm.psrp import FUNCTIONS
from controller.simulator.processes import Process

ROOT = Path(__file__).parents[2]
DEPLOYED = ROOT / "deploy" / "windows" / "OwnernodeOperations"
SCRIPTS = ROOT / "controller" / "adapters" / "winrm" / "scripts"
DRIVER = Path(__file__).parent / "endpoint.ps1"


def assemble(folder: Path) -> Path:
    """The module as Install-OwnernodeEndpoint.ps1 puts it on a node."""
    module = folder / "OwnernodeOperations"
    shutil.copytree(DEPLOYED, module)
    shutil.copytree(SCRIPTS, module / "scripts")
    return module


class EndpointNode(EngineNode):
    """One session on node HV01; calls and refusals go through the functions' own parameters."""

    def __init__(self, engine: Path, module: Path, *, language: str = "NoLanguage") -> None:
        self._module = module
        self._language = language
        super().__init__(engine)

    def invoke(self, command: str, *, script: bool = False, **parameters: Any) -> dict[str, Any]:
        """Run one command of the session: its output as text, and its error's id and message."""
        asked = {"command": command, "script": script, "parameters": parameters}
        self.send(base64.b64encode(json.dumps(asked).encode()) + b"\n")
        answer: dict[str, Any] = json.loads(base64.b64decode(self.line()))
        return answer

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """The reply to one call, under an id of its own; an assertion where there is none."""
        self._calls += 1
        return self.repeat(operation, f"call-{self._calls}", **arguments)

    def repeat(self, operation: str, call_id: str, **arguments: Any) -> dict[str, Any]:
        """The same under an id that may have been used before."""
        said = self.invoke(FUNCTIONS[operation], callId=call_id, **arguments)
        assert said["error"] is None, said
        (text,) = said["output"]
        reply: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(text)))
        return reply

    async def _start(self) -> Process:
        switches = f"-NoLogo -NoProfile -NonInteractive -File {DRIVER}"
        environment = {
            "OWNERNODE_MODULE": str(self._module / "OwnernodeOperations.psd1"),
            "OWNERNODE_ROLE": str(self._module / "RoleCapabilities" / "Ownernode.psrc"),
            "OWNERNODE_LANGUAGE": self._language,
        }
        return await self._host.start(NODE, "powershell.exe", (switches,), environment)

    def _ready(self) -> dict[str, Any]:
        return {}
