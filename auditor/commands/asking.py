"""Asking somebody on a terminal whether a thing shall be done."""

from __future__ import annotations

import sys

YES = {"y", "yes", "o", "oui", "نعم"}


def may_ask() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def says_yes() -> bool:
    """Whether the next line that is typed is a yes, in any of our languages."""
    return sys.stdin.readline().strip().casefold() in YES
