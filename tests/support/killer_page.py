"""A parser that is killed by one page. It imports nothing from the project."""

import os
import signal


def read(page):
    """Return the text of a page, or kill this process if the page contains `poison`."""
    if b"poison" in page.body:
        os.kill(os.getpid(), signal.SIGKILL)
    return page.body.decode()
