"""Parsers that hang, use too much memory or crash. Imports little, because workers load it."""

import os
import re

from probes.models.http import Page


def title(page: Page) -> str:
    found = re.search(rb"<title>(.*)</title>", page.body)
    return found[1].decode() if found else ""


def run_forever(page: Page) -> None:
    while True:
        pass


def swell(page: Page) -> int:
    return len(bytearray(8 << 30))


def nest(page: Page) -> None:
    nest(page)


def die(page: Page) -> None:
    os._exit(9)


def stumble(page: Page) -> None:
    raise KeyError("a bug of the reader")


def hoard(page: Page) -> None:
    """Allocate and fill memory, one megabyte at a time, until there is none left."""
    blocks: list[bytearray] = []
    while True:
        blocks.append(bytearray(b"x" * (1 << 20)))


def stall(page: Page) -> None:
    """Hang in a regular expression, where Python handles no signals."""
    re.fullmatch(r"(a|aa)+b", "a" * 60)


def pid(page: Page) -> int:
    return os.getpid()
