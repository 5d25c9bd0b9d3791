"""Secret tokens and the digests that are stored instead of them."""

import hashlib

TOKEN_BYTES = 32
"""Random bytes of a token (256 bits)."""


def hash_token(token: str) -> str:
    """Return the digest to store. A plain hash is enough, because a token has 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()
