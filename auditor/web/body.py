"""How much a request may bring: forms are small, and one page takes a sheet."""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

MEGABYTE = 1024 * 1024
FORM = MEGABYTE
SMALL = 16 * 1024
"""Names and passwords, however they are written."""
SHEET = 11 * MEGABYTE
"""A sheet of 10 MB and what a form wraps it in; the page itself says how large a sheet may be."""
TAKES_A_PASSWORD = re.compile(r"/[a-z]{2}/(login|logout|welcome|account|people)(/.*)?")
TAKES_A_SHEET = re.compile(r"/[a-z]{2}/registry")


def most(scope: Scope) -> int:
    """The bytes that a request's body may have."""
    if TAKES_A_PASSWORD.fullmatch(scope["path"]):
        return SMALL
    return SHEET if TAKES_A_SHEET.fullmatch(scope["path"]) else FORM


def is_too_large(scope: Scope) -> bool:
    """Whether a request says beforehand that it brings too much."""
    told = Headers(scope=scope).get("content-length", "")
    return told.isdecimal() and (len(told) > len(str(SHEET)) or int(told) > most(scope))


def bounded(receive: Receive, scope: Scope) -> Receive:
    """The same, raising HTTPException where more comes than may: not every body tells its length."""
    left = most(scope)

    async def take() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413)
        return message

    return take
