"""Who we are to the nodes: an account, and a secret that never shows itself."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from controller.errors import SpecError

_FILE_BYTES_MAX = 64 * 1024
_FORM = "two lines, username=... and password=..."
_OTHER_FORMS = (
    " (for Kerberos also username=... and keytab=..., or cache=...;"
    " for Certificate certificate=... and key=...)"
)
_FORMS: Mapping[frozenset[str], frozenset[str]] = {
    frozenset({"username", "password"}): frozenset({"NTLM", "Basic", "CredSSP", "Kerberos"}),
    frozenset({"username", "keytab"}): frozenset({"Kerberos"}),
    frozenset({"cache"}): frozenset({"Kerberos"}),
    frozenset({"certificate", "key"}): frozenset({"Certificate"}),
}
"""What a file of credentials may hold -> the kinds of authentication that it is good for."""


class Secret:
    """A text that no repr, str, format, log or traceback gives away."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text, for the one call that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> str:
        raise TypeError("a secret is not written anywhere")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """One log-on. Equal credentials are one account to whoever counts failures."""

    username: str = ""
    """`svc`, `CORP\\svc`; for Kerberos the principal, `svc@CORP.EXAMPLE`."""
    password: Secret = field(default_factory=lambda: Secret(""))
    keytab: str = ""
    """File with the principal's keys."""
    cache: str = ""
    """Cache with tickets that somebody else keeps fresh, such as FILE:/run/krb5cc."""
    certificate: str = ""
    """PEM file that proves the account that a node has mapped it to; `key` is its key's."""
    key: str = ""
    content: str = ""
    """Hash of the files named above: a rotated key is another credential."""

    def check(self, authentication: str) -> None:
        """Raise SpecError unless this kind of authentication can use them."""
        if authentication not in _FORMS[self._form()]:
            raise SpecError(f"the credentials are not for {authentication}: they give {self}")

    def __str__(self) -> str:
        return " and ".join(sorted(self._form()))

    def _form(self) -> frozenset[str]:
        given = {
            "username": self.username,
            "password": self.password.reveal(),
            "keytab": self.keytab,
            "cache": self.cache,
            "certificate": self.certificate,
            "key": self.key,
        }
        return frozenset(name for name, value in given.items() if value)


Secrets = Callable[[str], Mapping[str, str]]
"""Name -> what the secret holds, read anew each time. Raises SpecError; may block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialSource:
    """Where credentials are read anew before each log-on, so that a rotated one is taken up."""

    file: str | None = None
    env: str | None = None
    """Name of an environment variable that holds the same two lines."""
    secret: str | None = None
    """Name of a secret with the keys `username` and `password`, or of another form's names."""
    secrets: Secrets | None = field(default=None, compare=False)

    def read(self) -> Credentials:
        """The credentials of now. Raises SpecError, which never quotes the content."""
        if self.file is not None:
            place = f"credentials file {self.file}"
            try:
                with Path(self.file).open("rb") as file:
                    text = file.read(_FILE_BYTES_MAX).decode("utf-8-sig")
            except OSError as error:
                raise SpecError(f"{place} cannot be read: {error.strerror}") from error
            except UnicodeDecodeError:
                raise SpecError(f"{place} is not UTF-8 text") from None
        elif self.env is not None:
            place = f"environment variable {self.env}"
            if (content := os.environ.get(self.env)) is None:
                raise SpecError(f"{place} with the credentials is not set; expected {_FORM}")
            text = content
        elif self.secret is not None:
            place = f"secret {self.secret}"
            if self.secrets is None:
                raise SpecError(f"{place} can be read with `run --kubernetes` only")
            text = "".join(f"{name}={value}\n" for name, value in self.secrets(self.secret).items())
        else:
            raise SpecError(f"no credentials are configured; expected a file or env of {_FORM}")
        return parse_credentials(text, place)


def parse_credentials(text: str, place: str) -> Credentials:
    """Read `name=value` lines of one of the forms; empty lines and # comments are skipped.

    Everything after the first `=` counts, blanks included: passwords may begin or end with one.
    Files that are named are looked at, so that a change of theirs is noticed.
    """
    found: dict[str, str] = {}
    names = frozenset[str]().union(*_FORMS)
    for line in text.replace("\r\n", "\n").split("\n"):
        name, separator, value = line.partition("=")
        name = name.strip()
        if not name or name.startswith("#"):
            continue
        if not separator or name not in names or name in found:
            raise SpecError(f"{place} is not of the form: {_FORM}{_OTHER_FORMS}")
        found[name] = value if name == "password" else value.strip()
    if frozenset(name for name, value in found.items() if value) not in _FORMS:
        raise SpecError(
            f"{place} lacks a user name or a password, or gives too much;"
            f" expected {_FORM}{_OTHER_FORMS}"
        )
    secret = Secret(found.pop("password", ""))
    files = [found[name] for name in ("keytab", "certificate", "key") if name in found]
    return Credentials(**found, password=secret, content=_hash_of(files, place))


def _hash_of(files: Sequence[str], place: str) -> str:
    content = hashlib.sha256()
    for name in files:
        try:
            with Path(name).open("rb") as file:
                content.update(file.read(_FILE_BYTES_MAX))
        except OSError as error:
            raise SpecError(f"{place} names {name}, which cannot be read: {error.strerror}") from (
                error
            )
    return content.hexdigest() if files else ""
