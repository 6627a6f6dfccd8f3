"""A real kube-apiserver on a real etcd, RBAC on, on loopback, ended as exactly what was begun."""

import json
import os
import secrets
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
READY_SECONDS = 60
ADMIN, CONTROLLER = "admin", "system:serviceaccount:ownernode:ownernode"
NAMESPACE = "ownernode"
AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "users": [CONTROLLER]}, {"level": "None"}],
}


class Missing(Exception):
    """The programs can't be had on this machine; the message says why."""


@cache
def build() -> subprocess.CompletedProcess[str]:
    """Build etcd, kube-apiserver and kubectl if need be: five minutes, once on a machine."""
    return subprocess.run(
        [str(ROOT / ".ci/kubernetes")], stdout=subprocess.PIPE, stderr=None, text=True, check=False
    )


def programs() -> Path:
    """The folder with the three programs. Raises Missing."""
    built = build()
    if built.returncode != 0:
        raise Missing(".ci/kubernetes could not build the programs; it said why above")
    return Path(built.stdout.strip())


@dataclass(slots=True)
class ApiServer:
    """The two processes, and how to speak to them."""

    folder: Path
    bin: Path
    port: int
    etcd_port: int
    tokens: Mapping[str, str]
    """By user."""
    etcd: subprocess.Popen[bytes] | None = None
    server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def audit_log(self) -> Path:
        """Every call of the controller, as the server took it: a JSON object a line."""
        return self.folder / "audit.log"

    def kubeconfig(self, user: str, namespace: str = NAMESPACE, port: int | None = None) -> Path:
        """A kubeconfig file for that user."""
        named = user.replace(":", "-")
        server = f"https://127.0.0.1:{port or self.port}"
        path = self.folder / f"kubeconfig-{named}-{port or self.port}-{namespace}"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "test",
                    "cluster": {
                        "server": server,
                        "certificate-authority": str(self.folder / "ca.pem"),
                    },
                }
            ],
            "users": [{"name": named, "user": {"token": self.tokens[user]}}],
            "contexts": [
                {
                    "name": "test",
                    "context": {"cluster": "test", "user": named, "namespace": namespace},
                }
            ],
            "current-context": "test",
        }
        path.write_text(yaml.safe_dump(document))
        return path

    def kubectl(
        self,
        *arguments: str,
        user: str = ADMIN,
        text: str | None = None,
        check: bool = True,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as that user, with `text` on its standard input."""
        ran = subprocess.run(
            [str(self.bin / "kubectl"), *arguments],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "KUBECONFIG": str(self.kubeconfig(user, "default")),
            },
        )
        assert not check or ran.returncode == 0, ran.stderr
        return ran

    def apply(self, *documents: Mapping[str, Any] | str, **options: Any) -> None:
        """`kubectl apply` of documents, server-side."""
        texts = [d if isinstance(d, str) else yaml.safe_dump(dict(d)) for d in documents]
        self.kubectl(
            "apply",
            "--server-side",
            "--force-conflicts",
            "-f",
            "-",
            text="---\n".join(texts),
            **options,
        )

    def get(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
        """One object."""
        where = ["-n", namespace] if namespace else []
        found: dict[str, Any] = json.loads(
            self.kubectl("get", kind, name, "-o", "json", *where).stdout
        )
        return found

    def begin(self) -> None:
        """Start both and wait until the server is ready."""
        self.begin_etcd()
        self.begin_server()

    def begin_etcd(self) -> None:
        """Start etcd."""
        client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{free_port()}"
        self.etcd = self._start(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        )
        _wait(self.etcd, f"{client}/health", None, "etcd")

    def begin_server(self) -> None:
        """Start kube-apiserver."""
        pki = self.folder
        self.server = self._start(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--cert-dir={pki / 'generated'}",
            f"--tls-cert-file={pki / 'server.pem'}",
            f"--tls-private-key-file={pki / 'server.key'}",
            f"--token-auth-file={pki / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki / 'accounts.key'}",
            f"--service-account-signing-key-file={pki / 'accounts.key'}",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--endpoint-reconciler-type=none",
            "--watch-cache=true",
            f"--audit-policy-file={pki / 'audit.yaml'}",
            f"--audit-log-path={self.audit_log}",
        )
        context = ssl.create_default_context(cafile=str(pki / "ca.pem"))
        _wait(self.server, f"{self.url}/readyz", context, "kube-apiserver", self.tokens[ADMIN])

    def compact(self) -> None:
        """Let etcd forget every version but the newest of each object."""
        at = f"http://127.0.0.1:{self.etcd_port}/v3/kv"
        newest = _post(f"{at}/range", {"key": "AA=="})["header"]["revision"]
        _post(f"{at}/compaction", {"revision": newest, "physical": True})

    def end(self) -> None:
        """End both."""
        for process in (self.server, self.etcd):
            end_process(process)
        self.server = self.etcd = None

    def _start(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{program}.log").open("ab") as log:
            return subprocess.Popen(
                [str(self.bin / program), *arguments],
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
            )


def end_process(process: subprocess.Popen[bytes] | None, seconds: float = 10) -> None:
    """End one process that we began, whatever it is doing."""
    if process is None or process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(seconds)


@contextmanager
def api_server(folder: Path) -> Iterator[ApiServer]:
    """A server of one's own, without any of our kinds yet. Raises Missing."""
    bin_folder = programs()
    users = {ADMIN: "system:masters", CONTROLLER: "system:serviceaccounts", "tenant": "tenants"}
    tokens = {user: secrets.token_hex(16) for user in users}
    lines = (f'{tokens[user]},{user},{user},"{group}"\n' for user, group in users.items())
    (folder / "tokens.csv").write_text("".join(lines))
    (folder / "audit.yaml").write_text(yaml.safe_dump(AUDIT))
    _make_certificates(folder)
    found = ApiServer(
        folder=folder, bin=bin_folder, port=free_port(), etcd_port=free_port(), tokens=tokens
    )
    try:
        found.begin()
        yield found
    finally:
        found.end()


def _post(url: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Ask etcd, in JSON."""
    request = urllib.request.Request(url, data=json.dumps(dict(body)).encode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found


def _wait(
    process: subprocess.Popen[bytes],
    url: str,
    context: ssl.SSLContext | None,
    what: str,
    token: str | None = None,
) -> None:
    """Return when the address answers 200."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers=headers)
    give_up = time.monotonic() + READY_SECONDS
    while time.monotonic() < give_up:
        if process.poll() is not None:
            raise AssertionError(f"{what} ended with {process.returncode}; see its log")
        try:
            with urllib.request.urlopen(request, timeout=2, context=context):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"{what} was not ready after {READY_SECONDS} s; see its log")


def _make_certificates(folder: Path) -> None:
    """A CA, a certificate of it for loopback, and a key for tokens of service accounts."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
    now = datetime.now(UTC)

    def builder(name: x509.Name, public: Any) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(ca_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=2))
        )

    ca = (
        builder(ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    server = (
        builder(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")]),
            key.public_key(),
        )
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")]
            ),
            critical=False,
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()),
            critical=False,
        )
        .sign(ca_key, hashes.SHA256())
    )
    accounts = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (folder / "server.pem").write_bytes(server.public_bytes(serialization.Encoding.PEM))
    for name, private in (("server.key", key), ("accounts.key", accounts)):
        (folder / name).write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
