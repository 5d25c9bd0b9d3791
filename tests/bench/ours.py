"""Run an `auditor` command at a given time, because a second run can then follow at once.

Runs normally refuse a clock that differs from the web's. Here they accept any difference.

python tests/bench/ours.py TIME FOLDER COMMAND…    for example 2026-11-25T01:00 . run --json
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from importlib import import_module
from time import monotonic

from auditor.checking import clock
from auditor.cli import main as cli_main


def main() -> None:
    """Set the clock, then run `auditor`."""

    moment = datetime.fromisoformat(sys.argv[1]).replace(tzinfo=UTC)
    began = monotonic()
    clock.CLOCK_TOLERANCE = timedelta(days=36_500)
    # not that of another command, whose modules the command would not load
    module = import_module(f"auditor.cli.{'registry' if 'registry' in sys.argv else 'audit'}")
    module.get_current_time = lambda: moment + timedelta(seconds=monotonic() - began)
    os.chdir(sys.argv[2])
    sys.argv = ["auditor", *sys.argv[3:]]
    cli_main.main()


if __name__ == "__main__":
    main()
