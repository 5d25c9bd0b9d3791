"""Run work in a forked process that is killed at its n-th statement or commit.

Import it in a script: the forking process then has one thread and has imported everything. A kill
takes only some hundredths of a second, and tests can try hundreds of them.
"""

import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

AT = {"statement": "before_cursor_execute", "commit": "commit"}


def kill_self_at(what: str, number: int) -> None:
    """Kill this process with SIGKILL before its n-th statement or commit from now on."""
    counter = count(1)

    def kill_at_number(*_: object) -> None:
        if next(counter) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, AT[what], kill_at_number)


@contextmanager
def failing_at(number: int, *, is_lasting: bool = False) -> Iterator[None]:
    """Let the n-th statement or commit of any engine fail as a broken disk would make it.

    All later ones fail too if the fault is lasting.
    """
    counter = count(1)

    def fail_at_number(*_: object) -> None:
        step = next(counter)
        if step == number or (is_lasting and step > number):
            raise OperationalError("", {}, sqlite3.OperationalError("disk I/O error"))

    for name in AT.values():
        event.listen(Engine, name, fail_at_number)
    try:
        yield
    finally:
        for name in AT.values():
            event.remove(Engine, name, fail_at_number)


def run_in_child(work: Callable[[], object]) -> bool:
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
