"""Write the stub modules of `controller/simulator/stubs` from the signatures.

`python tests/powershell/generate_stubs.py`: the functions have the parameters of the real cmdlets,
so that the engine's own binder judges the calls of our scripts; what they do happens in the world.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
STUBS = HERE.parents[1] / "controller" / "simulator" / "stubs"
PLAIN = {
    "Boolean": "bool",
    "DateTime": "datetime",
    "Guid": "guid",
    "Hashtable": "hashtable",
    "Int16": "int16",
    "Int32": "int",
    "Int64": "long",
    "PSObject": "psobject",
    "String": "string",
    "StringCollection": "System.Collections.Specialized.StringCollection",
    "SwitchParameter": "switch",
    "UInt32": "uint32",
    "UInt64": "uint64",
    "Version": "version",
}
SHOULD_PROCESS = {"Confirm", "WhatIf"}
HEAD = "# Written by tests/powershell/generate_stubs.py from signatures.json; not to be edited.\n"


def main() -> None:
    for name, text in stubs().items():
        (STUBS / name).write_text(text, encoding="utf-8")


def stubs() -> dict[str, str]:
    """Every generated file by its name."""
    modules = json.loads((HERE / "signatures.json").read_text(encoding="utf-8"))["modules"]
    enums = merged(modules, "enums")
    classes = merged(modules, "classes")
    files = {
        f"{name}.psm1": HEAD
        + "".join(
            function(cmdlet, signature, enums, classes)
            for cmdlet, signature in module["cmdlets"].items()
        )
        for name, module in modules.items()
    }
    types = {"classes": classes, "enums": enums}
    return {**files, "types.json": lines_of(types)}


def lines_of(document: Mapping[str, Mapping[str, Any]]) -> str:
    """JSON with one line for each entry of each part."""
    parts = []
    for part, entries in sorted(document.items()):
        lines = [
            f"  {json.dumps(key)}: {json.dumps(entries[key], sort_keys=True)}"
            for key in sorted(entries)
        ]
        parts.append(f" {json.dumps(part)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def merged(modules: Mapping[str, Any], part: str) -> dict[str, Any]:
    return {name: value for module in modules.values() for name, value in module[part].items()}


def function(
    name: str, signature: Mapping[str, Any], enums: Mapping[str, Any], classes: Mapping[str, Any]
) -> str:
    """One cmdlet as a function with its parameter sets."""
    sets: Mapping[str, Mapping[str, str]] = signature["sets"]
    parameters = sorted({p for parameters in sets.values() for p in parameters})
    binding = []
    if "default" in signature:
        binding.append(f"DefaultParameterSetName = '{signature['default']}'")
    if SHOULD_PROCESS & set(parameters):
        binding.append("SupportsShouldProcess")
    declared = [
        declaration(parameter, sets, enums, classes)
        for parameter in parameters
        if parameter not in SHOULD_PROCESS
    ]
    lines = ",\n".join(f"        {line}" for line in declared)
    return (
        f"\nfunction {name} {{\n    [CmdletBinding({', '.join(binding)})]\n    param(\n{lines}\n"
        f"    )\n    Invoke-World '{name}' $PSBoundParameters\n}}\n"
    )


def declaration(
    parameter: str,
    sets: Mapping[str, Mapping[str, str]],
    enums: Mapping[str, Any],
    classes: Mapping[str, Any],
) -> str:
    """One parameter: its sets, whether they require it, its type."""
    having = {name: types[parameter] for name, types in sets.items() if parameter in types}
    attributes = []
    for name, declared in having.items():
        words = []
        if len(sets) > 1 and len(having) < len(sets):
            words.append(f"ParameterSetName = '{name}'")
        if declared.endswith("!"):
            words.append("Mandatory")
        if words and (text := f"[Parameter({', '.join(words)})]") not in attributes:
            attributes.append(text)
    declared = next(iter(having.values())).removesuffix("!")
    return "\n        ".join((*attributes, f"{type_of(declared, enums, classes)}${parameter}"))


def type_of(declared: str, enums: Mapping[str, Any], classes: Mapping[str, Any]) -> str:
    """The type of a parameter; objects of the modules' own classes are told by their type name."""
    element = declared.removesuffix("[]")
    array = "[]" if declared.endswith("[]") else ""
    if element in PLAIN:
        return f"[{PLAIN[element]}{array}]"
    own = re.compile(rf"(^|\.){re.escape(element)}$")
    if full := next((name for name in enums if own.search(name)), None):
        return f"[{full}{array}]"
    if full := next((name for name in classes if own.search(name)), None):
        return f"[PSTypeName('{full}')][psobject{array}]"
    return f"[object{array}]"


if __name__ == "__main__":
    main()
