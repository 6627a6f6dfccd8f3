"""`record`: what a cluster's nodes answer, without its names, as a document."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.run import ConfigOption
from controller.cli.tables import say
from controller.cli.target import ClusterMaybe


def record(
    config: ConfigOption,
    cluster: ClusterMaybe = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write to this file instead of stdout.")
    ] = None,
) -> None:
    """Write down what each node answers, with names, paths and ids replaced. Changes nothing.

    `ownernode simulate --config FILE` serves it again. Which doubtful facts about Windows it
    settles is told on stderr. Exit status: 0; 1 when no node answered.
    """
    from controller.adapters.specs.once import choose_cluster, read_clusters
    from controller.app import recording
    from controller.model.transcript import write_transcript

    transcript = asyncio.run(recording.record(choose_cluster(read_clusters(config), cluster)))
    for fact in transcript.facts:
        say(f"{'open' if fact.answer is None else 'settled'}: {fact.question} {fact.answer or ''}")
    text = write_transcript(transcript)
    if out is None:
        print(text, end="")
    else:
        out.write_text(text, encoding="utf-8")
