"""Secret tokens: how long they are, and the digest that is stored instead of one."""

from __future__ import annotations

import hashlib

TOKEN_BYTES = 32
"""Of chance in a token: 256 bits."""


def hash_token(token: str) -> str:
    """What is kept of a token. It has 256 bits of chance, so a plain hash cannot be turned back."""
    return hashlib.sha256(token.encode()).hexdigest()
