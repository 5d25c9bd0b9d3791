"""Serve the demo network's fake web: `python -m auditor.demo --ca-file FILE`.

The first line of output is the port. Standard input takes two kinds of lines:

- a run to play (`{"run": 3, "total_runs": 14, "started_at": "2026-11-14T00:30:00+00:00"}`). The
  answer is the line `ready`.
- the word `requests`. The answer is a JSON object with the number of requests of each URL since
  the run started.

The process ends when its input ends. It therefore never outlives the process that started it.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from auditor.core.runtime import run_async
from auditor.demo.fake_web import FakeWeb
from auditor.demo.model import DemoRun
from auditor.demo.proxy import CertificateAuthority, FakeWebProxy


async def serve_fake_web(port: int, ca_file: Path, run_number: int) -> None:
    """Serve the fake web until standard input ends."""
    authority = CertificateAuthority()
    authority.root.cert_pem.write_to_path(str(ca_file))
    proxy = FakeWebProxy(FakeWeb(), authority, DemoRun(run_number, 14, datetime.now(UTC)))
    server = await proxy.listen(port)
    gc.freeze()  # the fake web lives as long as the process; do not scan it
    _write_line(str(server.sockets[0].getsockname()[1]))
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        if line.strip() == b"requests":
            _write_line(json.dumps(proxy.request_counts))
            continue
        proxy.demo_run = DemoRun.from_json(line.decode())
        proxy.request_counts.clear()
        _write_line("ready")


def _write_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m auditor.demo", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--port", type=int, default=0, help="listen on this port of 127.0.0.1; 0: any free port"
    )
    parser.add_argument(
        "--ca-file", type=Path, required=True, help="write the root certificate to this file"
    )
    parser.add_argument(
        "--run", type=int, default=1, help="start with the responses of this run (default: 1)"
    )
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        run_async(serve_fake_web(arguments.port, arguments.ca_file, arguments.run))
