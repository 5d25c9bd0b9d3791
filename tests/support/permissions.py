"""File permissions that also apply to root, who otherwise reads and writes every file."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from unittest import mock

CAPABILITIES_VERSION = 0x20080522
OVERRIDES = (1 << 1) | (1 << 2)
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: the rights to ignore permissions."""


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Set(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


@contextmanager
def permissions_respected() -> Iterator[None]:
    """Take from this thread the rights of root to ignore permissions, and give them back."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        yield
        return
    with (
        _overrides_dropped(),
        mock.patch.object(os, "access", partial(os.access, effective_ids=True)),
    ):
        yield


@contextmanager
def _overrides_dropped() -> Iterator[None]:
    libc = ctypes.CDLL(None, use_errno=True)
    header, held = _Header(CAPABILITIES_VERSION, 0), (_Set * 2)()
    _checked(libc.capget(ctypes.byref(header), held))
    before = held[0].effective
    held[0].effective = before & ~OVERRIDES
    _checked(libc.capset(ctypes.byref(header), held))
    try:
        yield
    finally:
        held[0].effective = before
        _checked(libc.capset(ctypes.byref(header), held))


def _checked(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
