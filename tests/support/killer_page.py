"""A parser that one page kills. Imports nothing of the project."""

import os
import signal


def read(page):
    """Read a page, unless it is the one that no reader survives."""
    if b"poison" in page.body:
        os.kill(os.getpid(), signal.SIGKILL)
    return page.body.decode()
