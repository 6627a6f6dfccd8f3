"""A real key distribution centre on loopback: MIT Kerberos from Debian, unpacked without root."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
REALM = "CORP.EXAMPLE"
PACKAGES = (
    "krb5-kdc", "krb5-admin-server", "krb5-user", "libverto1", "libgssrpc4", "libkadm5srv-mit12",
    "libkadm5clnt-mit12", "libkdb5-10", "libverto-libev1", "libev4",
)  # fmt: skip
READY = "commencing operation"


class CannotHave(Exception):
    """This machine has no KDC, and why."""


def unpacked(name: str, *packages: str) -> Path:
    """The folder where these Debian packages lie unpacked."""
    command = [str(ROOT / ".ci" / "debian"), name, *packages]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    if done.returncode:
        raise CannotHave(f"{name} of Debian can't be had: {done.stderr.strip()[-200:]}")
    return Path(done.stdout.strip())


class Kdc:
    """One realm; `bad_logons` tells how often it saw a wrong password."""

    def __init__(self, folder: Path, programs: Path, *, date: str | None = None) -> None:
        """`date`: a shift of its clock as faketime writes it, such as -2d."""
        self.folder = folder
        self.config = folder / "krb5.conf"
        self._programs = programs
        self._known: set[str] = set()
        libraries = next(programs.rglob("libverto.so.1")).parent
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("KRB5")},
            "LD_LIBRARY_PATH": str(libraries),
            "KRB5_CONFIG": str(self.config),
            "KRB5_KDC_PROFILE": str(folder / "kdc.conf"),
        }
        if date is not None:
            faketime = unpacked("faketime", "libfaketime")
            library = next(faketime.rglob("libfaketime.so.1"))
            self._environment |= {"LD_PRELOAD": str(library), "FAKETIME": date}
        self._write(libraries)
        self.run("kdb5_util", "create", "-s", "-r", REALM, "-P", "master")
        self._process = self._serve()

    @property
    def bad_logons(self) -> int:
        """Log-ons with a wrong password so far."""
        log = (self.folder / "kdc.log").read_text(encoding="utf-8", errors="replace")
        return log.count("PREAUTH_FAILED")

    def add(self, principal: str, *, password: str) -> None:
        """Add an account."""
        self._known.add(principal)
        self._admin("addprinc", "+requires_preauth", "-pw", password, principal)

    def keytab(self, name: str, principals: Sequence[str]) -> Path:
        """A file with the keys of these principals, which are added where they are not there."""
        path = self.folder / name
        path.unlink(missing_ok=True)
        for principal in principals:
            if principal not in self._known:
                self._admin("addprinc", "-randkey", principal)
                self._known.add(principal)
            self._admin("ktadd", "-norandkey", "-k", str(path), principal)
        return path

    def kinit(self, principal: str, keytab: Path) -> Path:
        """A cache with a ticket, got at the time that this KDC believes in."""
        cache = self.folder / "cache"
        self.run("kinit", "-c", str(cache), "-k", "-t", str(keytab), principal)
        return cache

    def run(self, program: str, *arguments: str) -> None:
        """Run one of its programs."""
        path = next(self._programs.rglob(f"*bin/{program}"))
        done = subprocess.run(
            [str(path), *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{program} {arguments}: {done.stdout}{done.stderr}"

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def _admin(self, *words: str) -> None:
        self.run("kadmin.local", "-r", REALM, *words)

    def _serve(self) -> "subprocess.Popen[str]":
        command = [str(next(self._programs.rglob("sbin/krb5kdc"))), "-n"]
        process = subprocess.Popen(
            command, env=self._environment, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        for line in process.stderr:
            if READY in line:
                return process
        raise AssertionError(f"no KDC, exit {process.wait()}")

    def _write(self, libraries: Path) -> None:
        port = free_port()
        folder = self.folder
        folder.mkdir(parents=True, exist_ok=True)
        sections: dict[Path, Mapping[str, Sequence[str]]] = {
            self.config: {
                "libdefaults": (
                    f"default_realm = {REALM}",
                    "dns_lookup_kdc = false",
                    "dns_lookup_realm = false",
                    "dns_canonicalize_hostname = false",
                    "rdns = false",
                    "udp_preference_limit = 1",
                    "kdc_timesync = 0",  # else the client would take over the KDC's clock
                ),
                "realms": (f"{REALM} = {{\n kdc = 127.0.0.1:{port}\n}}",),
                "domain_realm": (f".corp.example = {REALM}",),
                # What the KDC reads of this file.
                "logging": (f"kdc = FILE:{folder}/kdc.log", "kdc = STDERR"),
                "dbmodules": (f"db_module_dir = {libraries}/krb5/plugins/kdb",),
            },
            folder / "kdc.conf": {
                "kdcdefaults": (
                    f"kdc_listen = 127.0.0.1:{port}",
                    f"kdc_tcp_listen = 127.0.0.1:{port}",
                ),
                "realms": (
                    f"{REALM} = {{",
                    f" database_name = {folder}/principal",
                    f" key_stash_file = {folder}/stash",
                    "}",
                ),
            },
        }
        for path, parts in sections.items():
            text = "".join(f"[{name}]\n" + "\n".join(lines) + "\n" for name, lines in parts.items())
            path.write_text(text, encoding="utf-8")


@contextmanager
def kdc(folder: Path, *, date: str | None = None) -> Iterator[Kdc]:
    """A running KDC. Raises CannotHave where there is none."""
    centre = Kdc(folder, unpacked("kdc", *PACKAGES), date=date)
    try:
        yield centre
    finally:
        centre.close()
