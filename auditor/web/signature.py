"""Whose word it is: typed once with a form, then kept by the browser."""

from __future__ import annotations

from typing import Annotated, TypeVar
from urllib.parse import quote, unquote

from fastapi import Cookie, Depends, Response
from pydantic import StringConstraints

KNOWN = "who"
"""The cookie that keeps whose word it was last."""
A_YEAR = 366 * 24 * 3600
LONGEST = 100

Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST)]
"""A field of a form that says whose word it is; it may be missing."""


def _known(who: Annotated[str, Cookie(alias=KNOWN)] = "") -> str:
    return unquote(who).strip()[:LONGEST]


Who = Annotated[str, Depends(_known)]
"""A parameter of a route: whose word it was last, or nothing."""

Answer = TypeVar("Answer", bound=Response)


def signed(answer: Answer, who: str) -> Answer:
    """The answer, which has the browser keep whose word that was."""
    answer.set_cookie(KNOWN, quote(who.strip()), max_age=A_YEAR, httponly=True, samesite="strict")
    return answer
