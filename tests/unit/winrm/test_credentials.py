"""Credentials: read in one form only, and never shown."""

import pickle
from pathlib import Path

import pytest

from controller.adapters.winrm.credentials import CredentialSource, Secret, parse_credentials
from controller.errors import SpecError


def test_secret_shows_itself_nowhere() -> None:
    """Neither repr nor str, formatting, nor the containers that hold it tell the text."""
    found = parse_credentials("username=CORP\\svc\npassword=s3cret\n", "x")
    shown = f"{found} {found.password} {found.password!r} {[found.password]} {vars_of(found)}"
    assert "s3cret" not in shown
    assert found.password.reveal() == "s3cret"
    with pytest.raises(TypeError):
        pickle.dumps(found.password)


def vars_of(found: object) -> str:
    return repr({name: getattr(found, name) for name in ("username", "password")})


def test_everything_after_the_equals_sign_is_the_password() -> None:
    """Blanks, equals signs and quotes are characters like others; CR LF is a line end."""
    found = parse_credentials("# ours\r\n\r\nusername = u\r\npassword= a=b'c \r\n", "x")
    assert found.username == "u"
    assert found.password == Secret(" a=b'c ")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "username=u",
        "password=p",
        "username=u\npassword=",
        "username=u\npassword=p\npassword=q",
        "username=u\npassword=p\ndomain=d",
        "u\np",
    ],
)
def test_another_form_is_refused_without_quoting_it(text: str) -> None:
    """What is wrong is said by what is expected, for the file is a secret."""
    with pytest.raises(SpecError) as found:
        parse_credentials(text, "credentials file /run/x")
    assert "/run/x" in str(found.value)
    assert "username=" in str(found.value)


def test_both_places_hold_the_same_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file and an environment variable are read alike, and a missing one is named."""
    file = tmp_path / "c"
    file.write_bytes("\ufeffusername=u\npassword=p\n".encode())
    monkeypatch.setenv("OWNERNODE_TEST_ACCOUNT", "username=u\npassword=p")
    from_file = CredentialSource(file=str(file)).read()
    assert from_file == CredentialSource(env="OWNERNODE_TEST_ACCOUNT").read()
    for nowhere in (CredentialSource(file=str(tmp_path / "d")), CredentialSource(env="NOT_THERE")):
        with pytest.raises(SpecError, match=r"d\b|NOT_THERE"):
            nowhere.read()
