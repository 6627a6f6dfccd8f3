"""`simulate`: the simulated cluster alone, behind real WinRM, for anyone's tests."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.tables import say


def simulate(
    config: Annotated[
        Path,
        typer.Option(
            "--config", exists=True, dir_okay=False, help="world.yaml; see docs/simulator.md."
        ),
    ],
    directory: Annotated[
        Path,
        typer.Option("--dir", help="Where to write config.yaml, account and ca.pem."),
    ] = Path("ownernode-simulator"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of every node; 0: any.")] = 0,
    speed: Annotated[float, typer.Option(min=0.01, help="World seconds a real second.")] = 1.0,
) -> None:
    """Serve a simulated cluster until SIGTERM or SIGINT.

    Every node listens at an address of its own (127.0.1.N). What a client needs is written to
    --dir: a FailoverCluster document, the account, and the certificate authority.
    """
    from controller.app.world import serve_world
    from controller.cli.process import run_until_stopped

    async def serve() -> int:
        async with serve_world(config, directory, port=port, speed=speed) as site:
            for node, address in site.addresses.items():
                say(f"{node} at https://{address}/wsman")
            print(directory / "config.yaml", flush=True)
            await asyncio.Event().wait()
        return 0

    raise typer.Exit(run_until_stopped(serve()))
