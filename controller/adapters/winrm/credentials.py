"""Who we are to the nodes: a user name and a password that never show themselves."""

import os
from dataclasses import dataclass
from pathlib import Path

from controller.errors import SpecError

_FILE_BYTES_MAX = 64 * 1024
_FORM = "two lines, username=... and password=..."


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

    username: str
    password: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialSource:
    """Where credentials are read anew before each log-on, so that a rotated one is taken up."""

    file: str | None = None
    env: str | None = None
    """Name of an environment variable that holds the same two lines."""

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
        else:
            raise SpecError(f"no credentials are configured; expected a file or env of {_FORM}")
        return parse_credentials(text, place)


def parse_credentials(text: str, place: str) -> Credentials:
    """Read `username=...` and `password=...`, each once; empty lines and # comments are skipped.

    Everything after the first `=` counts, blanks included: passwords may begin or end with one.
    """
    found: dict[str, str] = {}
    for line in text.replace("\r\n", "\n").split("\n"):
        name, separator, value = line.partition("=")
        name = name.strip()
        if not name or name.startswith("#"):
            continue
        if not separator or name not in ("username", "password") or name in found:
            raise SpecError(f"{place} is not of the form: {_FORM}")
        found[name] = value
    if not found.get("username") or not found.get("password"):
        raise SpecError(f"{place} lacks a user name or a password; expected {_FORM}")
    return Credentials(username=found["username"].strip(), password=Secret(found["password"]))
