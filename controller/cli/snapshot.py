"""`snapshot`: what a cluster says now, as a document."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.run import ConfigOption
from controller.cli.tables import say, say_unseen
from controller.cli.target import ClusterMaybe


def snapshot(
    config: ConfigOption,
    cluster: ClusterMaybe = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write to this file instead of stdout.")
    ] = None,
) -> None:
    """Write the observed state as JSON, readable by `plan --snapshot` and by other programs.

    Exit status: 0, also with gaps; 1 when no node answered.
    """
    from controller.adapters.specs.once import choose_cluster, read_clusters
    from controller.app.look import observe_once
    from controller.model.json_documents import write_document

    observed = asyncio.run(observe_once(choose_cluster(read_clusters(config), cluster)))
    say_unseen(observed)
    if not any(node.answered for node in observed.nodes):
        say("nothing could be observed: no node of the cluster answered; no snapshot is written")
        raise typer.Exit(1)
    text = write_document(observed)
    if out is None:
        print(text, end="")
    else:
        out.write_text(text, encoding="utf-8")
