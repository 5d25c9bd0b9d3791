"""A reader that one page kills: in a module that imports nothing, as its process has to load it."""

import os
import signal


def read(page):
    """Read a page, unless it is the one that no reader survives."""
    if b"poison" in page.body:
        os.kill(os.getpid(), signal.SIGKILL)
    return page.body.decode()
