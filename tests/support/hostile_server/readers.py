"""Parsers that misbehave. A separate module, because workers import it."""

from __future__ import annotations

import os

from probes.models.http import Page


def title(page: Page) -> str:
    return "Association Amal"


def hang(page: Page) -> str:
    while True:
        pass


def swell(page: Page) -> str:
    blocks = []
    while True:
        blocks.append(bytearray(b"x" * (1 << 20)))


def die(page: Page) -> str:
    os._exit(9)
