"""The agent's text and the command that starts it (docs/protocol.md, Start)."""

import base64
import hashlib
from dataclasses import dataclass
from importlib import resources

COMMAND = "powershell.exe"
COMMAND_LINE_CHARACTERS_MAX = 8191
"""cmd.exe takes no longer line (Microsoft docs, command-prompt line string limitation)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentProgram:
    """What is started on each node."""

    text: str
    arguments: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """By which a running agent says which text it is."""
        return hashlib.sha256(self.text.encode("utf-8")).hexdigest()


def load_program() -> AgentProgram:
    """Read the scripts that lie beside this module."""
    folder = resources.files(__package__) / "scripts"
    texts = {
        script.name: script.read_text(encoding="utf-8")
        for script in folder.iterdir()
        if script.name.endswith(".ps1")
    }
    bootstrap, agent = texts.pop("bootstrap.ps1"), texts.pop("agent.ps1")
    encoded = base64.b64encode(bootstrap.encode("utf-16-le")).decode("ascii")
    arguments = (
        "-NoLogo",
        "-NoProfile",
        "-NonInteractive",
        "-InputFormat",
        "None",
        "-OutputFormat",
        "Text",
        "-EncodedCommand",
        encoded,
    )
    assert len(" ".join((COMMAND, *arguments))) < COMMAND_LINE_CHARACTERS_MAX
    parts = (*(texts[name] for name in sorted(texts)), agent)
    return AgentProgram(text="\n".join(parts), arguments=arguments)
