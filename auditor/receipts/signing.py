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
from probes.log import Events
from storage.files.spool import aside
from storage.sanitize import clean

events = Events(__name__)

KEY, PUBLIC = "receipts.key", "receipts.pub"
"""The names of the two files in the data folder."""

SIGNATURE = "signature"
"""Where a receipt holds its own."""

PREFIX = b"presence-auditor receipt\n"
"""Stands before what is signed, so that a signature is good for nothing else."""

HEADER = "# Public keys (Ed25519) that signed receipts of this folder, the newest last. Keep every line.\n"


@dataclass(frozen=True, slots=True)
class Seal:
    """What signs. `public` is the key that proves it, in base64."""

    key: Ed25519PrivateKey
    public: str

    @classmethod
    def open(cls, folder: Path) -> Seal:
        """The key of a data folder, made where there is none. Raises ConfigError, one line."""
        try:
            return cls._held(folder) or cls._made(folder)
        except OSError as trouble:
            why = (trouble.strerror or str(trouble)).lower()
            raise ConfigError(str(folder / KEY), why, "give the auditor the right to read it") from None

    @classmethod
    def read(cls, folder: Path) -> Seal | None:
        """The key of a data folder as it is there; nothing is written. Raises ConfigError, OSError."""
        try:
            key = load_pem_private_key((folder / KEY).read_bytes(), password=None)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            remedy = (
                "put it back from a backup, or take it away: then a new one signs, and receipts tell of it"
            )
            raise ConfigError(str(folder / KEY), "it is no key that signs receipts", remedy)
        return cls(key, _written(key.public_key()))

    @classmethod
    def _held(cls, folder: Path) -> Seal | None:
        seal = cls.read(folder)
        if seal and seal.public not in known(folder):
            _note(folder, seal.public)
            said = "{file} had lost the key that signs; it is noted there again"
            events.warning("key_noted", said, file=str(folder / PUBLIC))
        return seal

    @classmethod
    def _made(cls, folder: Path) -> Seal:
        key = Ed25519PrivateKey.generate()
        seal, former = cls(key, _written(key.public_key())), known(folder)
        _note(folder, seal.public)
        _put(folder / KEY, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        if former:
            said = "the key that signed receipts is not in {folder}; a new one signs from now on: {key}"
            events.warning("key_made", said, folder=str(folder), key=fingerprint(seal.public))
        return seal

    def sealed(self, receipt: Mapping[str, Any]) -> dict[str, Any]:
        """The receipt as it is kept, with its signature."""
        told = json.loads(json.dumps(clean({**unsigned(receipt)}), ensure_ascii=False))
        return {**told, SIGNATURE: {"key": self.public, "value": _text(self.key.sign(signed(told)))}}


def unsigned(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """The receipt without its signature."""
    return {name: value for name, value in receipt.items() if name != SIGNATURE}


def signed(receipt: Mapping[str, Any]) -> bytes:
    """What a signature is over: a line of its own, then the receipt without it as canonical JSON."""
    return PREFIX + canonical(unsigned(receipt))


def canonical(value: Any) -> bytes:
    """The one way to write a value as JSON: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def key_of(receipt: Mapping[str, Any]) -> str | None:
    """The public key that a receipt says it is signed by."""
    told = receipt.get(SIGNATURE)
    key = told.get("key") if isinstance(told, Mapping) else None
    return key if isinstance(key, str) else None


def is_genuine(receipt: Mapping[str, Any]) -> bool:
    """Whether the key that a receipt names has signed just this."""
    told, key = receipt.get(SIGNATURE), key_of(receipt)
    if not isinstance(told, Mapping) or key is None:
        return False
    try:
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key, validate=True))
        public.verify(base64.b64decode(str(told.get("value")), validate=True), signed(receipt))
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def fingerprint(public: str) -> str:
    """A public key as people compare it: 32 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(public.encode()).hexdigest()[:32]


def known(folder: Path) -> tuple[str, ...]:
    """The public keys that have signed in this folder, the oldest first."""
    try:
        lines = (folder / PUBLIC).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return ()
    return tuple(line.split()[0] for line in lines if line.strip() and not line.startswith("#"))


def carry(here: Path, there: Path) -> None:
    """Note the public keys of one folder in another, beside those noted there: into a backup, and back."""
    for public in known(here):
        if public not in known(there):
            _note(there, public)


def _written(public: Ed25519PublicKey) -> str:
    return _text(public.public_bytes_raw())


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _note(folder: Path, public: str) -> None:
    """Add a line to the file of public keys, before the key itself is there: one too many does no harm."""
    file = folder / PUBLIC
    held = file.read_text("utf-8") if file.exists() else HEADER
    _put(file, f"{held.rstrip()}\n{public}\n".encode())


def _put(file: Path, body: bytes) -> None:
    """Write a file whole, only its owner's."""
    with aside(file, f".{file.name}.") as new:
        new.write_bytes(body)
