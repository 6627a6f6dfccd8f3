"""`run`: the controller, for as long as it is let."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.errors import SpecError

if TYPE_CHECKING:
    from controller.settings import Listen, Settings

_CONFIG = typer.Option(
    "--config",
    envvar="OWNERNODE_CONFIG",
    exists=True,
    help="File, or folder of files, of FailoverCluster documents: the operator's own.",
)
_SPECS = typer.Option(
    "--specs",
    envvar="OWNERNODE_SPECS",
    help="Folder of placements, watched, or git+https://..., git+ssh://... (docs/git.md); "
    "may be given several times.",
)
ConfigOption = Annotated[Path, _CONFIG]
SpecsOption = Annotated[list[str], _SPECS]
StateOption = Annotated[
    Path,
    typer.Option(
        "--state",
        envvar="OWNERNODE_STATE",
        help="Folder for the journal and the last good specs; of this process alone.",
    ),
]


def run(
    config: Annotated[Path | None, _CONFIG] = None,
    specs: Annotated[list[str] | None, _SPECS] = None,
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
    kubernetes: Annotated[
        bool,
        typer.Option(
            "--kubernetes",
            envvar="OWNERNODE_KUBERNETES",
            help="Clusters and placements are objects of a Kubernetes API server, in place of "
            "--config; the pod's own account, or $KUBECONFIG (docs/kubernetes.md).",
        ),
    ] = False,
    namespace: Annotated[
        str | None,
        typer.Option(
            envvar="OWNERNODE_NAMESPACE",
            help="With --kubernetes: where the Lease and secrets are; absent: the pod's own.",
        ),
    ] = None,
    lease_seconds: Annotated[
        str,
        typer.Option(
            envvar="OWNERNODE_LEASE_SECONDS",
            help="With --kubernetes: how long a Lease lasts, how long its holder leads after a "
            "renewal, and the time between two tries.",
        ),
    ] = "15/10/2",
) -> None:
    """Keep the configured clusters as declared, until SIGTERM or SIGINT.

    With mode Observe, the default of a FailoverCluster, it watches and reports only.
    """
    from controller.adapters.http.server import bind
    from controller.adapters.specs.once import read_clusters
    from controller.app.process import Controller
    from controller.cli.process import run_until_stopped
    from controller.settings import LogForm, Settings, configure_logging, parse_listen

    if log_format not in tuple(LogForm):
        raise SpecError(f"--log-format is {log_format!r}, expected text or json")
    address = parse_listen(listen)
    settings = Settings(
        config=config,
        specs=tuple(specs or ()),
        state=state,
        token=token,
        web_config=web_config,
        vm_metrics=vm_metrics,
    )
    if kubernetes:
        if config is not None:
            raise SpecError("with --kubernetes clusters are objects: leave --config out")
        configure_logging(LogForm(log_format))
        raise typer.Exit(_in_kubernetes(settings, namespace, lease_seconds, address))
    if config is None or not specs:
        raise SpecError("give --config and --specs, or --kubernetes")
    clusters = read_clusters(config)
    configure_logging(LogForm(log_format))
    with Controller(settings, clusters) as controller:
        listening = bind(address.host, address.port)
        raise typer.Exit(run_until_stopped(controller.serve(listening)))


def _in_kubernetes(
    settings: "Settings", namespace: str | None, lease_seconds: str, address: "Listen"
) -> int:
    try:
        from controller.app.kubernetes import Replica
    except ModuleNotFoundError as error:
        raise SpecError(
            f"--kubernetes needs {error.name}; install it: pip install 'ownernode[kubernetes]'"
        ) from error
    from controller.adapters.http.server import bind
    from controller.cli.process import run_until_stopped
    from controller.settings import Kubernetes, parse_lease

    kubernetes = Kubernetes(namespace=namespace, lease_seconds=parse_lease(lease_seconds))
    listening = bind(address.host, address.port)

    async def serve() -> None:
        await Replica(settings, kubernetes).serve(listening)

    return run_until_stopped(serve())
