"""What git, ssh and curl say becomes a sentence that tells a person what to do."""

import re
from dataclasses import dataclass

from controller.adapters.specs.git.address import Address
from controller.adapters.specs.git.program import Ran
from controller.model.faults import printable

_SHOWN_MAX = 200

_KNOWN: tuple[tuple[str, str], ...] = (
    (r"couldn't find remote ref|Remote branch .* not found", "the repository has no {kind} {ref}"),
    (
        r"not our ref|unadvertised object",
        "the repository has no {kind} {ref}, or does not give it",
    ),
    (
        r"Authentication failed|could not read (Username|Password)|(HTTP|error:) 40[13]",
        "{host} refuses the log-on; check the file of `credentials` and what it may read",
    ),
    (
        r"Permission denied \(|UNPROTECTED PRIVATE KEY|Load key",
        "{host} refuses the ssh key; check the file of `ssh-key`, its mode (0600) and its rights",
    ),
    (
        r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED",
        "the host key of {host} is not in the file of `known-hosts`; compare it by another way",
    ),
    (
        r"certificate verif|SSL certificate problem|server certificate|CAfile",
        "the certificate of {host} is not trusted; give the authority's file with `ca`",
    ),
    (r"redirect|error: 30[1278]", "{host} sends elsewhere; give the address that it sends to"),
    (
        r"Could not resolve|Name or service not known|Temporary failure in name",
        "{host} is not known by name",
    ),
    (r"[Pp]roxy", "the proxy refuses or can't reach {host}"),
    (
        "Connection (refused|reset|closed)|to connect|No route|timed out|too slow|hung up|EOF",
        "{host} can't be reached, or broke off",
    ),
    (
        r"repository .*not found|does not appear to be a git repository|(HTTP|error:) 404",
        "there is no repository at {url}, or not for this log-on",
    ),
    (r"No user exists for uid", "ssh wants the user that runs ownernode to have a name here"),
    (r"dubious ownership", "{url} belongs to another user than the one that runs ownernode"),
    (r"transport '.*' not allowed", "its way of transport is not allowed"),
    (r"fatal: unable to access", "{host} can't be reached: {last}"),
    (r"No space left|Disk quota", "the disk of the state folder is full"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What went wrong."""

    text: str
    is_local: bool = False
    """Whether it may be the mirror's fault and not the remote's."""


def sentence(ran: Ran, address: Address) -> Said:
    """Say why git failed; what is not known is repeated, made printable and short."""
    if ran.overrun == "time":
        return Said(text="it took longer than allowed")
    if "File too large" in ran.err or "signal 25" in ran.err or ran.status == -25:
        return Said(text="the repository is larger than allowed")
    last = _last(ran.err)
    for pattern, text in _KNOWN:
        if re.search(pattern, ran.err):
            place = address.host or address.url
            return Said(
                text=text.format(
                    kind=address.kind, ref=address.ref, host=place, url=address.url, last=last
                )
            )
    if re.search("fsck|index-pack|inflate", ran.err):
        found = re.search("object [0-9a-f]{40,64}: (.*)", ran.err)
        what = printable(found[1])[:_SHOWN_MAX] if found else last
        return Said(text=f"git finds what it got damaged or malformed: {what}", is_local=True)
    if ran.status < 0:
        return Said(text=f"git was ended by signal {-ran.status}", is_local=True)
    return Said(text=f"git says: {last or f'exit status {ran.status}'}", is_local=True)


def _last(err: str) -> str:
    """The line that tells most: the last one with git's own mark, else the last one."""
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    marked = [line for line in lines if line.startswith(("fatal:", "error:"))]
    found = (marked or lines or [""])[-1]
    return printable(found.removeprefix("fatal:").removeprefix("error:").strip())[:_SHOWN_MAX]
