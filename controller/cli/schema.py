"""`crd` and `schema`: the forms of documents, for API servers, editors and other programs."""

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.tables import say


def crd(
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write one file a kind into.")
    ] = None,
) -> None:
    """Print the CustomResourceDefinitions of all kinds as YAML, or write them to a folder."""
    from controller.adapters.specs.crd_text import crd_files

    texts = crd_files()
    if out is None:
        print("---\n".join(texts[name] for name in sorted(texts)), end="")
        return
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")
    say(f"{len(texts)} CRDs written to {out}")


def schema(
    kind: Annotated[
        str,
        typer.Argument(
            help="A kind of spec, any of them, or snapshot, plan or report.", metavar="KIND"
        ),
    ],
) -> None:
    """Print the JSON Schema (draft 2020-12) of one kind of document."""
    import json

    from controller.model import json_documents
    from controller.model.names import same_name
    from controller.model.schemas import schema_of, schema_of_any
    from controller.model.spec import KINDS

    documents = {
        "snapshot": json_documents.SNAPSHOT,
        "plan": json_documents.PLAN,
        "report": json_documents.REPORT,
    }
    known = (*KINDS, "any", *documents)
    found = next((name for name in known if same_name(name, kind)), None)
    if found is None:
        say(f"ownernode: there is no kind {kind!r}; expected one of {', '.join(known)}")
        raise typer.Exit(2)
    if found in documents:
        made = json_documents.document_schema(documents[found])
    else:
        made = schema_of_any() if found == "any" else schema_of(found)
    print(json.dumps(made, indent=2, ensure_ascii=False))
