"""What the node's scripts may say, judged on a parse of them.

The parse is the engine's own (`--lint`), stored in parse.json with the scripts' hashes, so that the
rules hold where no engine is at hand too. `python tests/powershell/lint.py` writes it anew.
"""

import hashlib
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from allowed import COMMANDS, DYNAMIC, LIVE, MEMBERS, OWN_FIELDS, TYPES
from generate_stubs import lines_of

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SCRIPTS = ROOT / "controller" / "adapters" / "winrm" / "scripts"
STORED = HERE / "parse.json"
FORBIDDEN = re.compile(
    r"\b(?:Stop|Remove|Save|Checkpoint|Clear|Uninstall|Dismount|Restart|Reset)-\w+"
    r"|\bSuspend-VM\b|\bInvoke-Expression\b|\biex\b|\bAdd-Type\b"
    r"|-(?:Force\w*|IgnoreLocked|TurnOff|Cancel|Delete|Drain)\b"
    r"|\b(?:Quick|TurnOff|ShutdownForce)\b",
    re.IGNORECASE,
)
CULTURE = re.compile(r"-[ci]?(?:not)?(?:like|match)\b|-[ci]?(?:replace|split)\b", re.IGNORECASE)
# To these a name is a pattern, or a search on every node: objects and ids select, names never.
NAMES_ALLOWED = {("New-VM", "Name"), ("Set-ClusterParameter", "Name")}
NAME_SELECTORS = {"Name", "VMName", "Group", "Resource"}
COLUMNS_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """One breach: which rule, where, what."""

    rule: str
    place: str
    what: str


def lint(parse: Mapping[str, Any], source: str, functions: set[str]) -> list[Finding]:
    """Every breach in one script; `functions` are those that all scripts together define."""
    name = parse["file"]
    found = [
        *_syntax(parse),
        *(f for command in parse["commands"] for f in _command(name, command, functions)),
        *_types(parse),
        *(f for member in parse["members"] for f in _member(name, member)),
        *_text(name, source),
    ]
    return sorted(set(found))


def _syntax(parse: Mapping[str, Any]) -> Iterator[Finding]:
    for rule in ("errors", "newer_than_5_1", "non_ascii"):
        for entry in parse[rule]:
            yield Finding(rule=rule, place=parse["file"], what=str(entry))


def _command(file: str, command: Mapping[str, Any], functions: set[str]) -> Iterator[Finding]:
    place, name = f"{file}:{command['line']}", command["name"]
    if command["operator"] or name is None:
        if command["text"] not in DYNAMIC.get(file, ()):
            yield Finding(rule="dynamic command", place=place, what=command["text"])
    elif name in CMDLETS:
        yield from _cmdlet(place, command)
    elif name in COMMANDS:
        if not set(command["parameters"]) <= COMMANDS[name] or command["splats"]:
            yield Finding(rule="parameter", place=place, what=command["text"])
    elif name not in functions:
        yield Finding(rule="unknown command", place=place, what=name)


def _cmdlet(place: str, command: Mapping[str, Any]) -> Iterator[Finding]:
    """A cmdlet of the modules: by name only, in one parameter set, with all that it requires."""
    name, given = command["name"], set(command["parameters"])
    sets: Mapping[str, Mapping[str, str]] = CMDLETS[name]["sets"]
    known = {parameter for parameters in sets.values() for parameter in parameters}
    for parameter in sorted(given - known):
        yield Finding(rule="parameter", place=place, what=f"{name} -{parameter}")
    if command["positional"] or command["splats"]:
        yield Finding(rule="unnamed argument", place=place, what=command["text"])
    fitting = [
        parameters
        for parameters in sets.values()
        if given <= set(parameters)
        and {p for p, declared in parameters.items() if declared.endswith("!")} <= given
    ]
    if given <= known and not fitting:
        yield Finding(rule="parameter set", place=place, what=command["text"])
    for parameter in sorted(given & NAME_SELECTORS):
        if (name, parameter) not in NAMES_ALLOWED:
            yield Finding(rule="selected by name", place=place, what=f"{name} -{parameter}")
    for parameter, word in re.findall(r"-(\w+) ([A-Z]\w*)\b", command["text"]):
        declared = {p[parameter].removesuffix("!") for p in sets.values() if parameter in p}
        members = {m for short in declared for m in ENUMS.get(short, ())}
        if word not in members:
            yield Finding(rule="enum member", place=place, what=f"{name} -{parameter} {word}")


def _types(parse: Mapping[str, Any]) -> Iterator[Finding]:
    for name in sorted(set(parse["types"]) - TYPES):
        yield Finding(rule="type", place=parse["file"], what=name)


def _member(file: str, member: Mapping[str, Any]) -> Iterator[Finding]:
    place, name, on = f"{file}:{member['line']}", member["name"], member["on"]
    classes = LIVE.get(file, {}).get(on.lower())
    if classes is not None and not member["call"]:
        if not any(name in CLASSES[cls] for cls in classes):
            yield Finding(rule="property", place=place, what=f"{on}.{name}")
    elif name not in MEMBERS | OWN_FIELDS | PROPERTIES:
        yield Finding(rule="property", place=place, what=f"{on}.{name}")


def _text(file: str, source: str) -> Iterator[Finding]:
    for number, line in enumerate(source.splitlines(), 1):
        place = f"{file}:{number}"
        code = _without_comment(line)
        if match := FORBIDDEN.search(code):
            yield Finding(rule="forbidden word", place=place, what=match[0])
        if '"' in code:
            yield Finding(rule="expandable string", place=place, what=line.strip())
        if match := CULTURE.search(code):
            yield Finding(rule="pattern or culture", place=place, what=match[0])
        if len(line) > COLUMNS_MAX:
            yield Finding(rule="line length", place=place, what=line)


def _without_comment(line: str) -> str:
    """The line up to a number sign that is in no single-quoted string."""
    match = re.match(r"(?:'[^']*'|[^'#])*", line)
    assert match is not None
    return match[0] if line[match.end() :].startswith("#") else line


def parse_with(engine: Path, scripts: list[Path]) -> list[dict[str, Any]]:
    """The engine's own parse; `ValueError` from an engine that has no --lint."""
    done = subprocess.run(
        [engine, "--lint", *scripts], capture_output=True, text=True, timeout=60, check=False
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def parse_texts(engine: Path, texts: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The parse of texts that are in no file."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, text in texts.items():
            paths.append(Path(folder) / name)
            paths[-1].write_text(text, encoding="utf-8")
        return {parse["file"]: parse for parse in parse_with(engine, paths)}


def scripts() -> list[Path]:
    return sorted(SCRIPTS.glob("*.ps1"))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def stored() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(STORED.read_text(encoding="utf-8"))
    return found


def parse_all(engine: Path, mistakes: Mapping[str, str]) -> dict[str, Any]:
    """What parse.json holds."""
    return {
        "hashes": {path.name: digest(path) for path in scripts()},
        "scripts": {parse["file"]: parse for parse in parse_with(engine, scripts())},
        "mistakes": parse_texts(engine, mistakes),
    }


def write(document: Mapping[str, Any]) -> None:
    STORED.write_text(lines_of(document), encoding="utf-8")


_MODULES = json.loads((HERE / "signatures.json").read_text(encoding="utf-8"))["modules"].values()
CMDLETS = {name: value for module in _MODULES for name, value in module["cmdlets"].items()}
CLASSES = {name: value for module in _MODULES for name, value in module["classes"].items()}
ENUMS = {
    name.split(".")[-1]: value for module in _MODULES for name, value in module["enums"].items()
}
PROPERTIES = {name for properties in CLASSES.values() for name in properties}


if __name__ == "__main__":
    from mistakes import MISTAKES

    from controller.simulator.engine import find_engine

    found_engine = find_engine()
    assert found_engine is not None, "writing parse.json takes an engine with --lint"
    write(parse_all(found_engine, {f"{rule}.ps1": text for rule, text in MISTAKES.items()}))
