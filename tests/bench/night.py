"""A night as it is: the demo's network with TLS, a slow name server and the delays of a real run.

    python -m tests.bench.night [--second-pass-delay 1800]

The pages are those of the demo's fake web, behind a proxy that ends TLS. The names are resolved by
a name server that answers after 30 ms. All other settings of `[fetch]` are the defaults, so it
takes half an hour. Prints where the time goes.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from auditor.app import App
from auditor.demo.fake_web import FakeWeb
from auditor.demo.model import NO_SUCH_HOST_RESPONSE, DemoRun
from auditor.demo.play import FakeWebProcess, import_demo_spreadsheet, write_demo_config
from auditor.runs.run import execute_run
from tests.support.hostile_server.names import NameServer

DNS_SECONDS = 0.03
ADDRESS = "93.184.215.14"
"""A public address. Only the proxy connects, so nothing is sent to it."""


class SlowNameServer(NameServer):
    """A name server that answers after 30 ms and knows the hosts of the fake web."""

    def __init__(self, demo_run: DemoRun) -> None:
        super().__init__({})
        self._web, self._demo_run = FakeWeb(), demo_run

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """Answer a question later."""
        asyncio.get_running_loop().call_later(DNS_SECONDS, super().datagram_received, data, address)

    def _says(self, name: str, kind: int) -> Any:
        if name not in self.zone:
            refusal = self._web.find_tunnel_refusal(name, self._demo_run)
            exists = refusal is not NO_SUCH_HOST_RESPONSE
            self.zone[name] = {"A": [ADDRESS], "AAAA": [], "NS": []} if exists else "NXDOMAIN"
        return super()._says(name, kind)


@dataclass
class Night:
    """The application, and what happened: its TLS handshakes and checks.

    `handshake_seconds` are the seconds of each TLS handshake, and `checked_at` is when an account
    was checked.
    """

    app: App
    handshake_seconds: list[float] = field(default_factory=list)
    checked_at: list[float] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.app, name)

    def report_progress(self, *_: int) -> None:
        """Remember that an account has been checked."""
        self.checked_at.append(time.monotonic())

    async def start_tls(self, start: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Start TLS and remember how long it took."""
        began = time.monotonic()
        try:
            return await start(*arguments, **options)
        finally:
            self.handshake_seconds.append(time.monotonic() - began)


async def measure_night(folder: Path, second_pass_delay: float) -> None:
    """Check the network once and print where the time went."""
    demo_run = DemoRun(1, 14, datetime.now(UTC))
    async with FakeWebProcess(folder / "ca.pem") as web, SlowNameServer(demo_run) as names:
        config = write_demo_config(folder, web.port)
        fetch = type(config.fetch)(
            proxy=config.fetch.proxy,
            ca_file=config.fetch.ca_file,
            nameservers=(names.address,),
            second_pass_delay=second_pass_delay,
        )
        with App.open(config.model_copy(update={"fetch": fetch})) as app:
            import_demo_spreadsheet(app, folder, replace(demo_run, started_at=EARLIER))
            await web.switch_to_run(demo_run)
            night, began, busy = Night(app), time.monotonic(), time.process_time()
            loop = asyncio.get_running_loop()
            loop.start_tls = partial(night.start_tls, loop.start_tls)  # type: ignore[method-assign]
            run = await execute_run(night, demo_run.started_at, on_progress=night.report_progress)
            wall, busy = time.monotonic() - began, time.process_time() - busy
        counts = await web.get_request_counts()
    hosts = Counter[str]()
    for url, count in counts.items():
        hosts[url.split("/")[2]] += count
    print(
        f"{run.report.accounts} accounts in {wall:.0f} s, {busy:.1f} s of CPU in the main process"
    )
    print_pauses(night, began, wall)
    print(f"{hosts.total()} requests to {len(hosts)} hosts, most to {hosts.most_common(4)}")
    handshakes = night.handshake_seconds
    print(f"{len(handshakes)} TLS handshakes, {sum(handshakes):.1f} s together")
    print(f"{names.asked.total()} DNS lookups of {len(+names.asked)} names")


EARLIER = datetime(2026, 1, 1, tzinfo=UTC)
"""When the network was imported."""


def print_pauses(night: Night, began: float, wall: float) -> None:
    """Print the longest times in which no account was finished."""
    moments = [began, *night.checked_at, began + wall]
    pauses = [(later - moment, moment - began) for moment, later in pairwise(moments)]
    for seconds, after in sorted(pauses, reverse=True)[:4]:
        print(f"no account was finished for {seconds:.0f} s after second {after:.0f}")


def main() -> None:
    """Measure a night in a temporary folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--second-pass-delay", type=float, default=1800.0, help="seconds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure_night(Path(folder), options.second_pass_delay))


if __name__ == "__main__":
    main()
