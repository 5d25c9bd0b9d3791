"""Deaths of real processes: work is begun in a forked process, which dies at its n-th statement or commit.

Run as a script, so that the process that forks has one thread and everything imported: a death then takes a
few hundredths of a second, and hundreds of them can be tried.
"""

import os
import signal
import sys
from collections.abc import Callable
from itertools import count

from sqlalchemy import Engine, event

AT = {"statement": "before_cursor_execute", "commit": "commit"}


def dies_at(what: str, number: int) -> None:
    """From now on this process is killed (-9, by itself) before its n-th statement or commit."""
    counted = count(1)

    def strike(*_: object) -> None:
        if next(counted) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, AT[what], strike)


def in_a_child(work: Callable[[], object]) -> bool:
    """Do the work in a forked process; tell whether it lived to its end. Its exceptions are raised here."""
    child = os.fork()
    if child == 0:
        code = 3
        try:
            work()
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(status) == 0, "the work failed by itself"
    return True
