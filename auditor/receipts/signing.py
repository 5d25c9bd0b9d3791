"""The network's key, and the signature that it puts under each receipt.

Who holds the key can sign anything: a signature shows that a receipt is what the auditor wrote where the key
lies, and nothing of who asked it to. The key is made once, beside the data. One that is lost is not made anew
in silence: `receipts.pub` keeps the public keys of this folder, and receipts name the one they are signed by.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
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
from storage.files.spool import replace_atomically
from storage.sanitize import sanitize

events = EventLogger(__name__)

PRIVATE_KEY_FILE_NAME, PUBLIC_KEYS_FILE_NAME = "receipts.key", "receipts.pub"
"""The names of the two files in the data folder."""

SIGNATURE_FIELD = "signature"
"""Where a receipt holds its own."""

SIGNED_PAYLOAD_PREFIX = b"presence-auditor receipt\n"
"""Stands before what is signed, so that a signature is good for nothing else."""

PUBLIC_KEYS_HEADER = "# Public keys (Ed25519) that signed receipts of this folder, the newest last. Keep every line.\n"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What signs. `public` is the key that proves it, in base64."""

    private_key: Ed25519PrivateKey
    public_key: str

    @classmethod
    def open(cls, folder: Path) -> SigningKey:
        """The key of a data folder, made where there is none. Raises ConfigError, one line."""
        try:
            return cls._load_existing(folder) or cls._create(folder)
        except OSError as trouble:
            why = (trouble.strerror or str(trouble)).lower()
            raise ConfigError(
                str(folder / PRIVATE_KEY_FILE_NAME), why, "give the auditor the right to read it"
            ) from None

    @classmethod
    def read(cls, folder: Path) -> SigningKey | None:
        """The key of a data folder as it is there; nothing is written. Raises ConfigError, OSError."""
        try:
            key = load_pem_private_key((folder / PRIVATE_KEY_FILE_NAME).read_bytes(), password=None)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            remedy = "put it back from a backup, or take it away: then a new one signs, and receipts tell of it"
            raise ConfigError(
                str(folder / PRIVATE_KEY_FILE_NAME), "it is no key that signs receipts", remedy
            )
        return cls(key, _encode_public_key(key.public_key()))

    @classmethod
    def _load_existing(cls, folder: Path) -> SigningKey | None:
        seal = cls.read(folder)
        if seal and seal.public_key not in read_known_public_keys(folder):
            _append_public_key(folder, seal.public_key)
            said = "{file} had lost the key that signs; it is noted there again"
            events.warning("key_noted", said, file=str(folder / PUBLIC_KEYS_FILE_NAME))
        return seal

    @classmethod
    def _create(cls, folder: Path) -> SigningKey:
        key = Ed25519PrivateKey.generate()
        seal, former = (
            cls(key, _encode_public_key(key.public_key())),
            read_known_public_keys(folder),
        )
        _append_public_key(folder, seal.public_key)
        _write_private_file(
            folder / PRIVATE_KEY_FILE_NAME,
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )
        if former:
            said = "the key that signed receipts is not in {folder}; a new one signs from now on: {key}"
            events.warning(
                "key_made", said, folder=str(folder), key=compute_key_fingerprint(seal.public_key)
            )
        return seal

    def sign_receipt(self, receipt: Mapping[str, Any]) -> dict[str, Any]:
        """The receipt as it is kept, with its signature."""
        told = json.loads(json.dumps(sanitize({**remove_signature(receipt)}), ensure_ascii=False))
        return {
            **told,
            SIGNATURE_FIELD: {
                "key": self.public_key,
                "value": _encode_base64(self.private_key.sign(build_signed_payload(told))),
            },
        }


def remove_signature(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """The receipt without its signature."""
    return {name: value for name, value in receipt.items() if name != SIGNATURE_FIELD}


def build_signed_payload(receipt: Mapping[str, Any]) -> bytes:
    """What a signature is over: a line of its own, then the receipt without it as canonical JSON."""
    return SIGNED_PAYLOAD_PREFIX + to_canonical_json(remove_signature(receipt))


def to_canonical_json(value: Any) -> bytes:
    """The one way to write a value as JSON: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def get_receipt_public_key(receipt: Mapping[str, Any]) -> str | None:
    """The public key that a receipt says it is signed by."""
    told = receipt.get(SIGNATURE_FIELD)
    key = told.get("key") if isinstance(told, Mapping) else None
    return key if isinstance(key, str) else None


def has_valid_signature(receipt: Mapping[str, Any]) -> bool:
    """Whether the key that a receipt names has signed just this."""
    told, key = receipt.get(SIGNATURE_FIELD), get_receipt_public_key(receipt)
    if not isinstance(told, Mapping) or key is None:
        return False
    try:
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key, validate=True))
        public.verify(
            base64.b64decode(str(told.get("value")), validate=True), build_signed_payload(receipt)
        )
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def compute_key_fingerprint(public_key: str) -> str:
    """A public key as people compare it: 32 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(public_key.encode()).hexdigest()[:32]


def read_known_public_keys(folder: Path) -> tuple[str, ...]:
    """The public keys that have signed in this folder, the oldest first."""
    try:
        lines = (folder / PUBLIC_KEYS_FILE_NAME).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return ()
    return tuple(line.split()[0] for line in lines if line.strip() and not line.startswith("#"))


def merge_public_keys(source: Path, target: Path) -> None:
    """Note the public keys of one folder in another, beside those noted there: into a backup, and back."""
    for public in read_known_public_keys(source):
        if public not in read_known_public_keys(target):
            _append_public_key(target, public)


def _encode_public_key(public_key: Ed25519PublicKey) -> str:
    return _encode_base64(public_key.public_bytes_raw())


def _encode_base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _append_public_key(folder: Path, public_key: str) -> None:
    """Add a line to the file of public keys, before the key itself is there: one too many does no harm."""
    file = folder / PUBLIC_KEYS_FILE_NAME
    held = file.read_text("utf-8") if file.exists() else PUBLIC_KEYS_HEADER
    _write_private_file(file, f"{held.rstrip()}\n{public_key}\n".encode())


def _write_private_file(file: Path, body: bytes) -> None:
    """Write a file whole, only its owner's."""
    with replace_atomically(file, f".{file.name}.") as new:
        new.write_bytes(body)
