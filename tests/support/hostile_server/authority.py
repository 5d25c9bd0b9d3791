"""Invalid certificates of every kind for `site.example`, from a temporary authority."""

from __future__ import annotations

import ssl
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtensionOID, NameOID

NOW = datetime.now(UTC)
HOST = "site.example"
Pair = tuple[x509.Certificate, Any]


def key() -> Any:
    return ec.generate_private_key(ec.SECP256R1())


def certificate(
    name: str,
    issuer: Pair | None = None,
    *,
    authority: bool = False,
    days: tuple[int, int] = (-1, 60),
    hosts: tuple[str, ...] = (HOST,),
    private: Any = None,
    raw_names: bytes = b"",
) -> Pair:
    """Return a certificate and its key. Without an issuer, it is self-signed."""
    private = private or key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = issuer[1] if issuer else private
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + timedelta(days=days[0]))
        .not_valid_after(NOW + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if hosts and not authority:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    if raw_names:
        extension = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, raw_names)
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(signer, hashes.SHA256()), private


class Authority:
    """A root certificate that the tests trust, and TLS contexts with one fault each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = certificate("Test root", authority=True, days=(-100, 1000))
        self.middle = certificate("Test intermediate", self.root, authority=True)
        self.stranger = certificate("Unknown root", authority=True)
        self.file = folder / "root.pem"
        self.file.write_bytes(pem(self.root))

    def context(self, wrong: str, host: str = HOST) -> ssl.SSLContext:
        """Return a server's TLS context with the named fault, or a valid one for `host`."""
        hosts = (host,)
        chains = {
            "expired": [certificate(host, self.root, days=(-90, -1), hosts=hosts)],
            "not_yet_valid": [certificate(host, self.root, days=(5, 90), hosts=hosts)],
            "self_signed": [certificate(host, hosts=hosts)],
            "untrusted": [certificate(host, self.stranger, hosts=hosts), self.stranger],
            "incomplete_chain": [certificate(host, self.middle, hosts=hosts)],
            "wrong_host": [certificate(host, self.root, hosts=("other.example",))],
            "no_san": [certificate(host, self.root, hosts=())],
            "chain": [certificate(host, self.middle, hosts=hosts), self.middle],
        }
        if wrong == "weak_key":
            small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
            chains["weak_key"] = [certificate(host, self.root, private=small, hosts=hosts)]
        return self._server(
            chains.get(wrong) or [certificate(host, self.root, hosts=hosts)],
            weak=wrong == "weak_key",
        )

    def faulty_context(self, fault: str, host: str) -> ssl.SSLContext | None:
        """Return a server's TLS context with any fault. None: a server that speaks no TLS."""
        if fault in {"plain", "stall"}:
            return None
        if fault == "bad_names":
            return self.context_with_names(b"\x30\x05\x82")
        if fault == "many_names":
            return self.context_for(*(f"n{number}.example" for number in range(5_000)))
        context = self.context(fault, host)
        if fault == "old_protocol":
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                context.options |= ssl.OP_NO_TLSv1_3 | ssl.OP_NO_TLSv1_2
        elif fault == "weak_cipher":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers("ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0")
        elif fault == "unknown_name":
            context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        elif fault == "client_certificate":
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.file)
        return context

    def context_with_names(self, der: bytes) -> ssl.SSLContext:
        """Return a server's TLS context with a self-signed certificate that has these raw names."""
        return self._server([certificate(HOST, hosts=(), raw_names=der)])

    def context_for(self, *hosts: str) -> ssl.SSLContext:
        """Return a server's TLS context with a valid certificate for these hosts."""
        return self._server([certificate(HOST, self.root, hosts=hosts)])

    def _server(self, chain: list[Pair], *, weak: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if weak:
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        file = self.folder / "server.pem"
        private = chain[0][1].private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        file.write_bytes(private + b"".join(pem(pair) for pair in chain))
        context.load_cert_chain(file)
        return context


def pem(pair: Pair) -> bytes:
    return pair[0].public_bytes(serialization.Encoding.PEM)
