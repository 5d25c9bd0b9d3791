"""Parsers that hang, use too much memory or crash. Imports little, because workers load it."""

import contextlib
import mmap
import os
import re
import time

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


KEPT_MEMORY: list[mmap.mmap] = []


def keep_memory(page: Page) -> int:
    """Reserve address space until there is none left, and keep it."""
    with contextlib.suppress(OSError):
        while True:
            KEPT_MEMORY.append(mmap.mmap(-1, 1 << 20, prot=mmap.PROT_READ))
    return len(KEPT_MEMORY)


def doze(page: Page) -> None:
    """Wait without working, as on a machine that gives the process no time."""
    time.sleep(3600)


def work(page: Page) -> float:
    """Work for 0.2 seconds of CPU time between pauses that add up to 0.6 seconds."""
    started_at = time.process_time()
    for _ in range(6):
        time.sleep(0.1)
    while time.process_time() < started_at + 0.2:
        pass
    return time.process_time() - started_at
