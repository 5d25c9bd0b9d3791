"""Run work in a forked process that is killed at its n-th statement or commit.

Import it in a script: the forking process then has one thread and has imported everything. A kill
takes only some hundredths of a second, and tests can try hundreds of them.
"""

import os
import signal
import sys
from collections.abc import Callable
from itertools import count

from sqlalchemy import Engine, event

AT = {"statement": "before_cursor_execute", "commit": "commit"}


def dies_at(what: str, number: int) -> None:
    """Kill this process with SIGKILL before its n-th statement or commit from now on."""
    counter = count(1)

    def kill_at_number(*_: object) -> None:
        if next(counter) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, AT[what], kill_at_number)


def in_a_child(work: Callable[[], object]) -> bool:
    """Do the work in a forked process. Return False if it was killed. Fail if it raised."""
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
    assert os.WEXITSTATUS(status) == 0, "the work raised an exception"
    return True
