"""`stop`, `pause`, `resume`, `approve`: what a person tells a running controller."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.client import URL_DEFAULT, UrlOption, tell
from controller.errors import SpecError
from controller.model.control import Verb

ReasonOption = Annotated[str, typer.Option("--reason", help="Why; others will read it.")]
ForOption = Annotated[
    str | None, typer.Option("--for", help="How long, such as 2h; absent: until resumed.")
]
ClusterOption = Annotated[str, typer.Option("--cluster", help="Which cluster.")]
OwnerOption = Annotated[
    str | None, typer.Option("--owner", help="Who orders it; absent: whoever is logged on.")
]
TokenOption = Annotated[
    Path,
    typer.Option(
        "--token-file", envvar="OWNERNODE_TOKEN_FILE", help="Token of the running controller."
    ),
]
TOKEN_DEFAULT = Path("/var/lib/ownernode/token")


def stop(
    reason: ReasonOption,
    cluster: ClusterOption = "",
    duration: ForOption = None,
    owner: OwnerOption = None,
    token_file: TokenOption = TOKEN_DEFAULT,
    url: UrlOption = URL_DEFAULT,
) -> None:
    """Start nothing new any more, in one cluster or in all. What is under way goes on."""
    seconds = _seconds(duration)
    _give(Verb.STOP, url, token_file, owner, reason=reason, cluster=cluster, seconds=seconds)


def pause(
    name: Annotated[str, typer.Argument(help="A VM or a node.")],
    reason: ReasonOption,
    cluster: ClusterOption = "",
    duration: ForOption = None,
    owner: OwnerOption = None,
    token_file: TokenOption = TOKEN_DEFAULT,
    url: UrlOption = URL_DEFAULT,
) -> None:
    """Start nothing new with one VM, or with anything that comes from or goes to one node."""
    _give(
        Verb.PAUSE,
        url,
        token_file,
        owner,
        reason=reason,
        cluster=cluster,
        name=name,
        seconds=_seconds(duration),
    )


def resume(
    reason: ReasonOption,
    name: Annotated[
        str, typer.Argument(help="The VM or node that was paused; absent: what `stop` stopped.")
    ] = "",
    cluster: ClusterOption = "",
    owner: OwnerOption = None,
    token_file: TokenOption = TOKEN_DEFAULT,
    url: UrlOption = URL_DEFAULT,
) -> None:
    """End a pause or a stop. What the file STOP in the state folder stops, its removal resumes."""
    _give(Verb.RESUME, url, token_file, owner, reason=reason, cluster=cluster, name=name)


def approve(
    digest: Annotated[str, typer.Argument(help="As `ownernode status` shows it.")],
    reason: ReasonOption,
    cluster: ClusterOption = "",
    owner: OwnerOption = None,
    token_file: TokenOption = TOKEN_DEFAULT,
    url: UrlOption = URL_DEFAULT,
) -> None:
    """Say yes to exactly the plan of this digest, on exactly this state of the cluster."""
    _give(Verb.APPROVE, url, token_file, owner, reason=reason, cluster=cluster, digest=digest)


def _give(
    verb: Verb, url: str, token_file: Path, owner: str | None, **said: str | int | None
) -> None:
    try:
        token = token_file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise SpecError(
            f"the token file {token_file} cannot be read ({why}); it is in the controller's state "
            "folder unless `run --token-file` says otherwise"
        ) from error
    body = {"owner": owner or getpass.getuser(), **said}
    print(tell(url, verb, token, {name: v for name, v in body.items() if v is not None}))


def _seconds(duration: str | None) -> int | None:
    from controller.model.quantities import parse_duration

    if duration is None:
        return None
    seconds = parse_duration(duration)
    if not seconds:
        raise SpecError(f"--for is {duration!r}, expected a duration such as 30m or 2h")
    return seconds
