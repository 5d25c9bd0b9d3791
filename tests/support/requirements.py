"""Marks for tests that need something of the system; the skip reason is the install command."""

import shutil

import pytest


def needs_command(command, package):
    """Return the mark of a test that runs a command of a Debian package."""
    return pytest.mark.skipif(shutil.which(command) is None, reason=f"apt-get install {package}")
