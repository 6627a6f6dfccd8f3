"""`validate`: whether specs are right, without any cluster."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.tables import Output, OutputOption, count, say

if TYPE_CHECKING:
    from controller.model.findings import Finding


def validate(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Folders of placements; single files may hold any kind.", exists=True),
    ],
    output: OutputOption = Output.TABLE,
) -> None:
    """Check specs and print every finding as file:line:column with what was expected.

    A folder is read as the controller reads it: FailoverCluster documents are refused there, as
    they say where credentials go. Exit status: 0 valid, 1 findings, 2 wrong usage.
    """
    from controller.adapters.specs.once import check_specs

    checked = check_specs(paths)
    _show(checked.findings, output)
    good = f"{count(checked.documents, 'document')} in {count(checked.files, 'file')}"
    if checked.findings:
        say(f"{count(len(checked.findings), 'finding')}; beside them {good} valid")
        raise typer.Exit(1)
    say(f"{good}: valid")


def _show(findings: "tuple[Finding, ...]", output: Output) -> None:
    from controller.cli.tables import Table, cells, clean, show

    if output is Output.TABLE:
        for finding in findings:
            print(clean(str(finding)))
        return
    rows = [
        (f"{f.file}:{f.line}:{f.column}", f.path, f.message, f.expected, f.suggestion)
        for f in findings
    ]
    columns = ("WHERE", "FIELD", "FINDING", "EXPECTED", "DID YOU MEAN")
    data = [
        {
            "file": f.file,
            "line": f.line,
            "column": f.column,
            "path": f.path,
            "message": f.message,
            "expected": f.expected,
            "suggestion": f.suggestion,
        }
        for f in findings
    ]
    show([Table(columns=columns, rows=cells(rows))], data, output)
