"""Marks for tests that need something of the system; the skip reason is the install command."""

import ctypes
import shutil

import pytest


def can_load(*libraries):
    """Return True if the dynamic linker finds every library."""
    try:
        for library in libraries:
            ctypes.CDLL(library)
    except OSError:
        return False
    return True


HAS_PANGO = can_load("libpango-1.0.so.0", "libpangoft2-1.0.so.0")
INSTALL_PANGO = "apt-get install libpango-1.0-0 libpangoft2-1.0-0"

needs_pango = pytest.mark.skipif(not HAS_PANGO, reason=INSTALL_PANGO)


def needs_command(command, package):
    """Return the mark of a test that runs a command of a Debian package."""
    return pytest.mark.skipif(shutil.which(command) is None, reason=f"apt-get install {package}")
