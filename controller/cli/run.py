"""`run`: the controller, for as long as it is let."""

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path,
    typer.Option(
        "--config",
        envvar="OWNERNODE_CONFIG",
        exists=True,
        help="File, or folder of files, of FailoverCluster documents: the operator's own.",
    ),
]
SpecsOption = Annotated[
    list[str],
    typer.Option(
        "--specs",
        envvar="OWNERNODE_SPECS",
        help="Folder of placements, watched, or git+https://..., git+ssh://... (docs/git.md); "
        "may be given several times.",
    ),
]
StateOption = Annotated[
    Path,
    typer.Option(
        "--state",
        envvar="OWNERNODE_STATE",
        help="Folder for the journal and the last good specs; of this process alone.",
    ),
]


def run(
    config: ConfigOption,
    specs: SpecsOption,
    state: StateOption = Path("/var/lib/ownernode"),
    listen: Annotated[
        str, typer.Option(envvar="OWNERNODE_LISTEN", help="host:port of metrics, page and API.")
    ] = "127.0.0.1:9464",
    token: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            envvar="OWNERNODE_TOKEN_FILE",
            help="Token that orders need (pause, stop, approve); absent: `token` in --state.",
        ),
    ] = None,
    web_config: Annotated[
        Path | None,
        typer.Option(
            envvar="OWNERNODE_WEB_CONFIG",
            help="TLS and passwords of the HTTP side, a web.config.yml as exporters read it.",
        ),
    ] = None,
    vm_metrics: Annotated[
        bool,
        typer.Option(
            "--vm-metrics", envvar="OWNERNODE_VM_METRICS", help="Three series a VM on /metrics."
        ),
    ] = False,
    log_format: Annotated[
        str, typer.Option(envvar="OWNERNODE_LOG_FORMAT", help="text or json.")
    ] = "text",
) -> None:
    """Keep the configured clusters as declared, until SIGTERM or SIGINT.

    With mode Observe, the default of a FailoverCluster, it watches and reports only.
    """
    from controller.adapters.http.server import bind
    from controller.adapters.specs.once import read_clusters
    from controller.app.process import Controller
    from controller.cli.process import run_until_stopped
    from controller.errors import SpecError
    from controller.settings import LogForm, Settings, configure_logging, parse_listen

    if log_format not in tuple(LogForm):
        raise SpecError(f"--log-format is {log_format!r}, expected text or json")
    address = parse_listen(listen)
    settings = Settings(
        config=config,
        specs=tuple(specs),
        state=state,
        token=token,
        web_config=web_config,
        vm_metrics=vm_metrics,
    )
    clusters = read_clusters(config)
    configure_logging(LogForm(log_format))
    with Controller(settings, clusters) as controller:
        listening = bind(address.host, address.port)
        raise typer.Exit(run_until_stopped(controller.serve(listening)))
