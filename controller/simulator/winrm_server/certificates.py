"""A certificate authority of the simulator's own, made anew at each start.

WinRM over HTTPS stands on a certificate for the node's full name (Microsoft docs, "Configure
WinRM for HTTPS"), signed by an authority that the client is told to trust.
"""

import hashlib
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_FOR = timedelta(days=30)
"""Longer than any simulator runs; short enough that a leaked key is soon worthless."""


class Validity(Enum):
    """Since when, and until when, from now."""

    GOOD = (timedelta(hours=-1), VALID_FOR)
    EXPIRED = (-VALID_FOR, timedelta(hours=-1))


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCertificate:
    """A certificate and its key in one PEM file each, and the hash that channel bindings use."""

    certificate_file: Path
    key_file: Path
    sha256: bytes

    def server_context(self, *, client_ca_file: Path) -> ssl.SSLContext:
        """TLS as a node offers it: a client may, but need not, show a certificate of its own."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate_file, self.key_file)
        context.load_verify_locations(client_ca_file)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context


class CertificateAuthority:
    """Signs certificates for nodes and clients, and keeps all files in one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("ownernode simulator CA")
        self._serials = 0
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.ca_file = directory / "ca.pem"
        self.ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue_for_node(
        self, full_name: str, *, validity: Validity = Validity.GOOD
    ) -> IssuedCertificate:
        """A server certificate that is good for this DNS name alone, and for no address."""
        name = x509.DNSName(full_name)
        return self._issue(full_name, ExtendedKeyUsageOID.SERVER_AUTH, validity, name)

    def issue_for_client(
        self, user: str, *, validity: Validity = Validity.GOOD
    ) -> IssuedCertificate:
        """A client certificate whose subject names the account that it logs on."""
        return self._issue(user, ExtendedKeyUsageOID.CLIENT_AUTH, validity)

    def _issue(
        self,
        common_name: str,
        usage: x509.ObjectIdentifier,
        validity: Validity,
        *names: x509.GeneralName,
    ) -> IssuedCertificate:
        key = ec.generate_private_key(ec.SECP256R1())
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            self._builder(_name(common_name), key.public_key(), validity)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(authority, critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        stem = f"{self._serials:03d}"
        certificate_file = self._directory / f"{stem}.pem"
        certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file = self._directory / f"{stem}.key"
        key_file.touch(mode=0o600)
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        der = certificate.public_bytes(serialization.Encoding.DER)
        return IssuedCertificate(
            certificate_file=certificate_file,
            key_file=key_file,
            sha256=hashlib.sha256(der).digest(),
        )

    def _builder(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        validity: Validity = Validity.GOOD,
    ) -> x509.CertificateBuilder:
        self._serials += 1
        now = datetime.now(UTC)
        since, until = validity.value
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + since)
            .not_valid_after(now + until)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
