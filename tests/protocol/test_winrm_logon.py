"""Who gets in: every kind of log-on with right and wrong credentials, and what it is bound to."""

import base64
import hashlib
import socket
import ssl
from typing import Any

import pytest
import requests
import spnego
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import NegotiateOptions
from winrm.exceptions import InvalidCredentialsError, WinRMTransportError
from winrm_node import FULL_NAME, PASSWORD, USER, Node, Serve, run, shell

from controller.simulator.winrm_server.authentication import Account, Accounts

WAYS = (("ntlm", False), ("ntlm", True), ("basic", True))


@pytest.mark.parametrize(("transport", "https"), WAYS)
def test_right_password_gets_in(serve: Serve, transport: str, https: bool) -> None:
    """NTLM with sealed messages over http, NTLM bound to the channel and Basic over https."""
    node = serve(https=https)
    client = node.client(transport, https=https)
    with shell(client) as shell_id:
        assert run(client, shell_id, "hostname") == ("HV01\r\n", "", 0)
        assert run(client, shell_id, "whoami") == ("corp\\svc-move\r\n", "", 0)


@pytest.mark.parametrize(("transport", "https"), WAYS)
@pytest.mark.parametrize("wrong", [{"password": "guess"}, {"username": "CORP\\nobody"}])
def test_wrong_credential_stays_out(
    serve: Serve, transport: str, https: bool, wrong: dict[str, str]
) -> None:
    """A wrong password and an unknown user look alike, and one try is one refusal."""
    node = serve(https=https)
    with pytest.raises(InvalidCredentialsError):
        node.client(transport, https=https, **wrong).open_shell()
    assert node.server.counts["LogOnRefused"] == 1
    assert node.server.counts["Create"] == 0


def test_client_certificate_gets_in(serve: Serve) -> None:
    """A certificate whose subject names an account logs that account on, without a password."""
    node = serve(https=True)
    shown = node.ca.issue_for_client(USER)
    client = node.client(
        "certificate", https=True, cert_pem=shown.certificate_file, cert_key_pem=shown.key_file
    )
    with shell(client) as shell_id:
        assert run(client, shell_id, "whoami")[0] == "corp\\svc-move\r\n"


def test_client_certificate_of_a_stranger_stays_out(serve: Serve) -> None:
    """Being signed by the right authority is not enough: the subject must be an account."""
    node = serve(https=True)
    shown = node.ca.issue_for_client("CORP\\nobody")
    client = node.client(
        "certificate", https=True, cert_pem=shown.certificate_file, cert_key_pem=shown.key_file
    )
    with pytest.raises(InvalidCredentialsError):
        client.open_shell()


def test_certificate_header_without_certificate_stays_out(serve: Serve) -> None:
    """The header of certificate authentication is a claim, not a proof."""
    node = serve(https=True)
    mutual = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
    answer = requests.post(
        node.url(https=True),
        data=b"<x/>",
        headers={"Authorization": mutual},
        verify=str(node.ca.ca_file),
        timeout=10,
    )
    assert answer.status_code == 401


def test_node_with_certificate_of_another_is_not_trusted(serve: Serve) -> None:
    """A client that is sent to the wrong node must notice before it sends a password."""
    node = serve(https=True, certified_for="hv02.corp.example")
    with pytest.raises(requests.exceptions.SSLError, match="hv01"):
        node.client("basic", https=True).open_shell()
    assert node.server.counts["HTTP"] == 0


def test_certificate_of_unknown_authority_is_not_trusted(serve: Serve) -> None:
    """The simulator's authority is trusted by those alone who were given its file."""
    node = serve(https=True)
    with pytest.raises(requests.exceptions.SSLError):
        node.client("basic", https=True, ca_trust_path=None).open_shell()


def test_missing_channel_binding_stays_out(serve: Serve) -> None:
    """NTLM over https without a binding could have been relayed from elsewhere: refused."""
    node = serve(https=True)
    with pytest.raises(InvalidCredentialsError):
        node.client("ntlm", https=True, send_cbt=False).open_shell()


@pytest.mark.parametrize(("certificate", "status"), [("own", 200), ("other", 401)])
def test_channel_binding_must_be_that_of_this_certificate(
    serve: Serve, certificate: str, status: int
) -> None:
    """A log-on made for the channel to one node can't be replayed on the channel to another."""
    node = serve(https=True)
    with tls_channel(node) as channel:
        own = channel.getpeercert(binary_form=True) or b""
        assert handshake(channel, bound_client(own if certificate == "own" else b"x")) == status


def test_binding_of_zeros_stays_out(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that knows bindings and has none sends sixteen zeros; Strict refuses that too."""
    node = serve(https=True)
    monkeypatch.setattr("spnego._ntlm.md5", lambda data: bytes(16))
    with tls_channel(node) as channel:
        assert handshake(channel, bound_client(b"anything")) == 401


def test_negotiate_tokens_wrapped_in_spnego_get_in(serve: Serve) -> None:
    """pypsrp and Windows' own clients wrap NTLM in SPNEGO; pywinrm does not."""
    node = serve()
    client = spnego.client(
        USER, PASSWORD, protocol="negotiate", options=NegotiateOptions.use_negotiate
    )
    with node.connect() as connection:
        assert handshake(connection, client) == 200


def test_ntlm_authenticates_one_connection(serve: Serve) -> None:
    """What was proved on one connection counts for nothing on the next."""
    node = serve()
    with node.connect() as known, node.connect() as stranger:
        assert handshake(known, ntlm_client()) == 200
        assert ask(known, b"")[0] == 200
        assert ask(stranger, b"")[0] == 401


def test_challenge_keeps_the_connection_and_refusal_ends_it(serve: Serve) -> None:
    """The 401 of Windows: a line each for the schemes, no body, and the connection is closed."""
    node = serve()
    with node.connect() as connection:
        status, head, body = ask(connection, b"")
        assert status == 401
        offered = [line for line in head if line.startswith("WWW-Authenticate")]
        assert offered == [
            "WWW-Authenticate: Negotiate",
            "WWW-Authenticate: Kerberos",
            'WWW-Authenticate: Basic realm="WSMAN"',
        ]
        assert head[0] == "HTTP/1.1 401 "
        assert "Server: Microsoft-HTTPAPI/2.0" in head
        assert "Connection: close" in head
        assert body == b""
        assert connection.recv(1) == b""
    with node.connect() as connection:
        first = base64.b64encode(ntlm_client().step() or b"").decode()
        status, head, _ = ask(connection, b"", f"Negotiate {first}")
        assert status == 401
        assert "Connection: close" not in head
        assert sum(line.startswith("WWW-Authenticate: Negotiate ") for line in head) == 1
        assert ask(connection, b"", "Negotiate AAAA")[0] == 401


def test_basic_over_plain_http_needs_permission(serve: Serve) -> None:
    """AllowUnencrypted is false on Windows: a clear body gets an empty 500, whoever sends it."""
    with pytest.raises(WinRMTransportError) as refused:
        serve().client("basic").open_shell()
    assert refused.value.code == 500
    assert refused.value.response_text == ""
    client = serve(allow_unencrypted=True).client("basic")
    with shell(client) as shell_id:
        assert run(client, shell_id, "hostname")[0] == "HV01\r\n"


def test_clear_messages_after_ntlm_need_permission(serve: Serve) -> None:
    """A client that logs on by NTLM and then speaks in the clear is refused too."""
    with pytest.raises(WinRMTransportError) as refused:
        serve().client("ntlm", message_encryption="never").open_shell()
    assert refused.value.code == 500


def test_basic_switched_off_is_not_offered(serve: Serve) -> None:
    """A method that the node does not offer looks to pywinrm like a wrong password."""
    node = serve(https=True, basic=False)
    with pytest.raises(InvalidCredentialsError):
        node.client("basic", https=True).open_shell()


def test_refusing_node_refuses_everybody(serve: Serve) -> None:
    """An account that was locked meanwhile: the right password is refused like a wrong one."""
    node = serve()
    node.server.faults.refuse_logons = True
    with pytest.raises(InvalidCredentialsError):
        node.client().open_shell()
    node.server.faults.refuse_logons = False
    client = node.client()
    with shell(client) as shell_id:
        assert run(client, shell_id, "hostname")[2] == 0


def test_whole_handshake_is_three_requests(serve: Serve) -> None:
    """A log-on costs 401, challenge and acceptance; the requests after it cost one each."""
    node = serve()
    client = node.client()
    with shell(client):
        assert node.server.counts["HTTP"] == 4
    assert node.server.counts["HTTP"] == 5


@pytest.mark.parametrize("password", ["a:b", "line\nbreak"])
def test_password_that_ntlm_could_not_check_is_refused_at_once(
    tmp_path_factory: pytest.TempPathFactory, password: str
) -> None:
    """Better than a node on which the right password never works."""
    with pytest.raises(ValueError, match="credential file"):
        Accounts((Account(user="a", password=password),), tmp_path_factory.mktemp("accounts"))


def tls_channel(node: Node) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(node.ca.ca_file))
    return context.wrap_socket(node.connect(), server_hostname=FULL_NAME)


def bound_client(certificate: bytes) -> spnego.ContextProxy:
    digest = hashlib.sha256(certificate).digest()
    bindings = GssChannelBindings(application_data=b"tls-server-end-point:" + digest)
    return ntlm_client(channel_bindings=bindings)


def ntlm_client(**options: Any) -> spnego.ContextProxy:
    return spnego.client(USER, PASSWORD, protocol="ntlm", **options)


def handshake(connection: socket.socket, client: spnego.ContextProxy) -> int:
    """Log on with blank requests; the status of the last answer."""
    token = client.step()
    while token:
        value = base64.b64encode(token).decode()
        status, head, _ = ask(connection, b"", f"Negotiate {value}")
        offer = next((x for x in head if x.startswith("WWW-Authenticate: Negotiate ")), "")
        if status != 401 or not offer:
            return status
        token = client.step(base64.b64decode(offer.split(" ")[2]))
    return status


def ask(
    connection: socket.socket, body: bytes, authorization: str = ""
) -> tuple[int, list[str], bytes]:
    """POST on a bare connection: status, head and body of the answer."""
    lines = ["POST /wsman HTTP/1.1", f"Host: {FULL_NAME}:5985", f"Content-Length: {len(body)}"]
    if authorization:
        lines.append(f"Authorization: {authorization}")
    connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        assert piece, f"the connection ended after {received!r}"
        received += piece
    head_bytes, _, rest = received.partition(b"\r\n\r\n")
    head = head_bytes.decode().split("\r\n")
    length = next(int(line.split(": ")[1]) for line in head if line.startswith("Content-Length"))
    while len(rest) < length:
        rest += connection.recv(65536)
    return int(head[0].split(" ")[1]), head, rest
