"""The address of a source: what is meant is taken, what could mean something else is refused."""

from pathlib import Path

import pytest

from controller.adapters.specs.git.address import RefKind, parse_address
from controller.errors import SpecError

SHA = "0123456789abcdef0123456789abcdef01234567"
SSH = "ssh-key=/k&known-hosts=/h"


def test_everything_that_an_address_can_say() -> None:
    """Several paths, a branch, files of every sort; nothing is left to git's own settings."""
    address = parse_address(
        "git+https://git.corp.example:8443/vm/Placements.git?branch=release/2026&path=prod&path=x.yaml"
        "&interval=5m&credentials=/etc/o/git&ca=/etc/o/ca.pem&proxy=http://proxy:3128"
        f"&gpg-keys=/etc/o/keys&allowed-signers=/etc/o/signers&webhook-secret=/etc/o/hook&accept={SHA}"
    )
    assert address.name == "placements"
    assert address.url == "https://git.corp.example:8443/vm/Placements.git"
    assert address.host == "git.corp.example:8443"
    assert (address.kind, address.ref) == (RefKind.BRANCH, "release/2026")
    assert address.paths == ("prod", "x.yaml")
    assert address.interval_seconds == 300
    assert address.files["credentials"] == Path("/etc/o/git")
    assert address.signed
    assert address.revision(SHA) == f"release/2026@sha1:{SHA}"


def test_what_is_not_said_has_the_safe_meaning() -> None:
    """Branch main, everything in it, once a minute."""
    address = parse_address("git+file:///srv/placements")
    assert (address.kind, address.ref, address.paths) == (RefKind.BRANCH, "main", ())
    assert address.interval_seconds == 60
    assert not address.signed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("git+http://git.corp.example/a", "git+http is not supported"),
        ("git+ext::sh -c id", "not supported"),
        ("git+https://anna:pw@git.corp.example/a", "no log-on belongs into an address"),
        ("git+https://token@git.corp.example/a", "no log-on belongs into an address"),
        (f"git+ssh://-oProxyCommand=id/a?{SSH}", "is no host name"),
        (f"git+ssh://-x@host/a?{SSH}", "is no user name"),
        ("git+ssh://git@host/a", "ssh-key=FILE is missing"),
        ("git+ssh://git@host/a?ssh-key=/k", "known-hosts=FILE is missing"),
        ("git+https://host", "names no repository"),
        ("git+file://host/a", "git+file:///absolute/path"),
        ("git+https://host/a?brnch=main", "did you mean branch?"),
        ("git+https://host/a?ssh-key=/k", "not an option of git+https"),
        ("git+https://host/a?branch=-x", "expected a name"),
        ("git+https://host/a?branch=a..b", "expected a name"),
        ("git+https://host/a?branch=a&tag=b", "branch and tag are given"),
        ("git+https://host/a?branch=a&branch=b", "branch is given twice"),
        ("git+https://host/a?commit=abc", "expected a whole commit id"),
        ("git+https://host/a?accept=abc", "expected a whole commit id"),
        ("git+https://host/a?path=../x", "below the repository's root"),
        ("git+https://host/a?path=/x", "below the repository's root"),
        ("git+https://host/a?ca=ca.pem", "expected an absolute path"),
        ("git+https://host/a?interval=0s", "expected 1s to 24h"),
        ("git+https://host/a?interval=1", "expected 1s to 24h"),
        ("git+https://host/a?proxy=http://u:p@proxy", "expected http://host:port"),
        ("git+https://host/a?status=https://api.host/x/statuses", "belong together"),
        ("git+https://host/a?status-token=/t", "belong together"),
        ("git+https://host/a?status=http://api.host/statuses&status-token=/t", "expected https"),
        ("git+https://host/a?status=https://api.host/x&status-token=/t", "ends in /statuses"),
        ("git+https://host/a?name=A_B", "expected lower-case letters"),
        ("git+https://host:port/a", "is no URL"),
        ("git+https://host/a#main", "no # or blank"),
    ],
)
def test_what_could_mean_something_else_is_refused(text: str, words: str) -> None:
    """Said in one sentence that shows no secret."""
    with pytest.raises(SpecError) as refused:
        parse_address(text)
    assert words in str(refused.value)
    assert "pw" not in str(refused.value)
    assert "token@" not in str(refused.value)
