"""The signing key of the installation, and signatures of run reports.

A signature shows that the auditor wrote a report on the machine with the key. It does not show who
asked for it. The key is created once in the data folder. If it is lost, the new key is announced:
`receipts.pub` keeps all public keys, and each report names its key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from auditor.core.errors import ConfigError
from probes.log import EventLogger
from storage.errors import explain_file_error
from storage.files.spool import replace_atomically
from storage.models.run_report import RunReport
from storage.sanitize import sanitize

logger = EventLogger(__name__)

PRIVATE_KEY_FILE_NAME, PUBLIC_KEYS_FILE_NAME = "receipts.key", "receipts.pub"
"""Names of the two files in the data folder."""

SIGNATURE_FIELD = "signature"
"""The key of the signature in a run report."""

SIGNED_PAYLOAD_PREFIX = b"presence-auditor receipt\n"
"""Prefix of the signed bytes, so that a signature cannot be used for anything else."""

PUBLIC_KEYS_HEADER = (
    "# Public keys (Ed25519) that signed run reports of this folder, newest last. Keep all lines.\n"
)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with its public key in base64."""

    private_key: Ed25519PrivateKey
    public_key: str

    @classmethod
    def open(cls, folder: Path) -> SigningKey:
        """Return the key of a data folder; create it if there is none. Raises ConfigError."""
        try:
            return cls._load_existing(folder) or cls._create(folder)
        except OSError as error:
            subject = f"cannot use the key file {error.filename}"
            raise ConfigError(subject, *explain_file_error(error)) from None

    @classmethod
    def read(cls, folder: Path) -> SigningKey | None:
        """Return the key of a data folder, or None; write nothing. Raises ConfigError, OSError."""
        try:
            key = load_pem_private_key((folder / PRIVATE_KEY_FILE_NAME).read_bytes(), password=None)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            remedy = "restore it from a backup, or remove it: then a new key is created"
            raise ConfigError(
                str(folder / PRIVATE_KEY_FILE_NAME), "not a private key for run reports", remedy
            )
        return cls(key, _encode_public_key(key.public_key()))

    @classmethod
    def _load_existing(cls, folder: Path) -> SigningKey | None:
        signing_key = cls.read(folder)
        if signing_key and signing_key.public_key not in read_known_public_keys(folder):
            _append_public_key(folder, signing_key.public_key)
            logger.warning(
                "public_key_restored",
                "{file} had no entry for the signing key; it was added again",
                file=str(folder / PUBLIC_KEYS_FILE_NAME),
            )
        return signing_key

    @classmethod
    def _create(cls, folder: Path) -> SigningKey:
        key = Ed25519PrivateKey.generate()
        signing_key = cls(key, _encode_public_key(key.public_key()))
        former_keys = read_known_public_keys(folder)
        _append_public_key(folder, signing_key.public_key)
        _write_private_file(
            folder / PRIVATE_KEY_FILE_NAME,
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )
        if former_keys:
            logger.warning(
                "signing_key_created",
                "{folder} has no signing key any more; created a new one: {key}",
                folder=str(folder),
                key=compute_key_fingerprint(signing_key.public_key),
            )
        return signing_key

    def sign_report(self, report: RunReport) -> RunReport:
        """Return the report with its signature."""
        content = json.loads(
            json.dumps(sanitize(remove_signature(report.to_json())), ensure_ascii=False)
        )
        signature = {
            "key": self.public_key,
            "value": _encode_base64(self.private_key.sign(build_signed_payload(content))),
        }
        return RunReport.from_json({**content, SIGNATURE_FIELD: signature})


def remove_signature(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a report without its signature."""
    return {name: value for name, value in document.items() if name != SIGNATURE_FIELD}


def build_signed_payload(document: Mapping[str, Any]) -> bytes:
    """Return the bytes to sign: the prefix and the canonical JSON without the signature."""
    return SIGNED_PAYLOAD_PREFIX + to_canonical_json(remove_signature(document))


def to_canonical_json(value: Any) -> bytes:
    """Return the canonical JSON of a value: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def hash_canonical_json(value: Mapping[str, Any] | Iterable[Any]) -> str:
    """Return the SHA-256 of the canonical JSON of a value."""
    return hashlib.sha256(to_canonical_json(value)).hexdigest()


def compute_report_hash(report: RunReport) -> str:
    """Return the hash of a run report, which the next report contains."""
    return hash_canonical_json(report.to_json())


def get_public_key(report: RunReport) -> str | None:
    """Return the public key that a run report names, or None."""
    return report.signature.key if report.signature else None


def has_valid_signature(report: RunReport) -> bool:
    """Return True if the key that a run report names signed exactly this content."""
    signature = report.signature
    if signature is None:
        return False
    try:
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(signature.key, validate=True))
        public.verify(
            base64.b64decode(signature.value, validate=True), build_signed_payload(report.to_json())
        )
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def compute_key_fingerprint(public_key: str) -> str:
    """Return the fingerprint of a public key: 32 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(public_key.encode()).hexdigest()[:32]


def read_known_public_keys(folder: Path) -> tuple[str, ...]:
    """Return the public keys that have signed in this folder, oldest first."""
    try:
        lines = (folder / PUBLIC_KEYS_FILE_NAME).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return ()
    return tuple(line.split()[0] for line in lines if line.strip() and not line.startswith("#"))


def merge_public_keys(source: Path, target: Path) -> None:
    """Add the public keys of one folder to another, as for a backup or a restore."""
    for public in read_known_public_keys(source):
        if public not in read_known_public_keys(target):
            _append_public_key(target, public)


def _encode_public_key(public_key: Ed25519PublicKey) -> str:
    return _encode_base64(public_key.public_bytes_raw())


def _encode_base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _append_public_key(folder: Path, public_key: str) -> None:
    """Append a public key to the file.

    It is written before the private key, because a superfluous line does no harm.
    """
    file = folder / PUBLIC_KEYS_FILE_NAME
    content = file.read_text("utf-8") if file.exists() else PUBLIC_KEYS_HEADER
    _write_private_file(file, f"{content.rstrip()}\n{public_key}\n".encode())


def _write_private_file(file: Path, body: bytes) -> None:
    """Write a complete file that only its owner can read."""
    with replace_atomically(file, f".{file.name}.") as new:
        new.write_bytes(body)
