"""The keys that the interfaces of the practice web take: one each, invented, known to everybody."""

from __future__ import annotations

from auditor.demo.model import Request

KEYS = {
    "youtube": "practice-key-of-youtube",
    "twitter": "practice-token-of-x",
    "facebook": "practice-token-of-facebook",
}


def environ() -> dict[str, str]:
    """The settings that give the auditor all of them, as an operator gives real ones."""
    return {f"AUDITOR_CHANNELS__{channel.upper()}__KEY": key for channel, key in KEYS.items()}


def bears(request: Request, channel: str) -> bool:
    """Whether a request shows the key of a channel as a bearer of it."""
    return request.headers.get("authorization", "") == f"Bearer {KEYS[channel]}"
