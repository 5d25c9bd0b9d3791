"""The demo: a network of 100 associations, imported from a spreadsheet and audited night after night.

The practice web runs in a process of its own and is reached as any web would be: through the `proxy` and
`ca_file` of the configuration that is written beside the sheet. Everything after that is the
product's ordinary way; whoever wants can go on with the folder by hand.
"""

from __future__ import annotations

import asyncio
import gc
import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from auditor.app import App
from auditor.config.schema import Config, load, packaged
from auditor.core.errors import InputError
from auditor.demo import spreadsheet
from auditor.demo.account_scenarios import IMPORT_NIGHT, LAST
from auditor.demo.model import Tonight
from auditor.registry import importer
from auditor.runs import run
from probes.runner.parser_pool import Workshop
from storage.models.audit import Night
from storage.models.communication import By

MARK = "# Written by `auditor demo`, which may write it anew."
CONFIG = (
    MARK
    + """
# The practice web answers only while a demo runs: `python -m auditor.demo --port {port} --ca ca.pem`.

[network]
name = "Réseau de démonstration"
name_ar = "شبكة تجريبية"
name_fr = "Réseau de démonstration"

[storage]
folder = "data"

[fetch]
proxy = "http://127.0.0.1:{port}"
ca_file = "ca.pem"
host_delay = 0                        # the practice web is nobody's server
give_up_after = 1000                  # every kind of wall is met, every night
connect_timeout = 1.0                 # one site lets everybody wait
retries = 0                           # what failed is asked again at the end of the night, at once
second_pass_after = 0

[channels.website]
canaries = ["https://bibliotheque-zerhouna.ma/", "https://gazette-tamesna-sud.ma/"]
impossible = "https://c4b1a7e0-personne.ma/"

[channels.facebook]
canaries = ["https://www.facebook.com/GazetteTamesnaSud", "https://www.facebook.com/BibliothequeZerhouna"]
impossible = "https://www.facebook.com/personne.c4b1a7e0"
budget = 600                          # with a key: four of its pages spoil a call for 49 others

[channels.twitter]
canaries = ["https://x.com/tamesna_sud", "https://x.com/biblio_zerhouna"]
impossible = "https://x.com/nul_c4b1a7e0"

[channels.linkedin]
canaries = ["https://www.linkedin.com/company/gazette-tamesna-sud"]
impossible = "https://www.linkedin.com/company/personne-c4b1a7e0"

[channels.youtube]
canaries = ["https://www.youtube.com/@GazetteTamesnaSud", "https://www.youtube.com/@BibliothequeZerhouna"]
impossible = "https://www.youtube.com/@personne-c4b1a7e0"

[report]
folder = "pages"
"""
)

Progress = Callable[[int, int], None]
"""Is told how many accounts are done, over all nights, and how many there are."""


@dataclass(frozen=True, slots=True)
class Played:
    """A demo that was played: where it lies, by what configuration, and its nights."""

    folder: Path
    config: Config
    nights: tuple[Night, ...]


class PracticeWeb:
    """The practice web in a process of its own, for `async with`. It plays the night it is told to."""

    def __init__(self, ca: Path) -> None:
        self._ca = ca
        self._process: asyncio.subprocess.Process | None = None
        self.port = 0

    async def play(self, tonight: Tonight) -> None:
        """Have the world be as it is on that night."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{tonight.line()}\n".encode())
        await self._said()

    async def asked(self) -> Counter[str]:
        """How often each address was asked for since the night began, without its query."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(b"asked\n")
        return Counter(json.loads(await self._said()))

    async def _said(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise InputError("the practice web", "its process ended", "`python -m auditor.demo` tells why")
        return line.decode().strip()

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", "auditor.demo", "--ca", str(self._ca))
        self._process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        self.port = int(await self._said())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """It ends with its input, so that it cannot be left behind."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


async def play(
    folder: Path, *, nights: int = LAST, progress: Progress | None = None, now: datetime
) -> Played:
    """Import the network and do its nights, the last of them at `now`. Raises InputError."""
    prepare(folder)
    with Workshop() as workshop:
        workshop.start()  # it loads while the practice web does, and while the database is made
        opening = asyncio.create_task(asyncio.to_thread(App.open, configured(folder, 0)))
        async with PracticeWeb(folder / "ca.pem") as web:
            with await opening as opened:
                config = configured(folder, web.port)
                app = replace(opened, config=config, workshop=workshop)
                gc.freeze()  # what is loaded stays: the collector need not look through it night after night
                done = [
                    await _night(app, web, folder, tonight, progress) for tonight in calendar(nights, now)
                ]
    return Played(folder, config, tuple(done))


def calendar(nights: int, now: datetime) -> list[Tonight]:
    """The nights, one a day, the last of them now."""
    moments = [now - timedelta(days=back) for back in reversed(range(nights))]
    return [Tonight(number, nights, moment) for number, moment in enumerate(moments, 1)]


def prepare(folder: Path) -> None:
    """An empty place for a demo. What an earlier demo wrote is removed; anything else is left and refused."""
    earlier = folder / "config.toml"
    if earlier.exists() and not earlier.read_text(encoding="utf-8").startswith(MARK):
        raise InputError(str(folder), "there is an audit of yours in it", "an empty folder for the demo")
    if earlier.exists():
        for name in ("data", "pages"):
            shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def configured(folder: Path, port: int, environ: Mapping[str, str] = MappingProxyType({})) -> Config:
    """Write the demo's configuration and read it back, as any other; `environ` may hold keys."""
    path = folder / "config.toml"
    path.write_text(CONFIG.format(port=port) + rules(), encoding="utf-8")
    return load(path, environ)


def rules() -> str:
    """The usual rules, but for how long a site may take: nobody waits eight seconds for a demo."""
    usual = packaged().read_text(encoding="utf-8").partition("\n[[rules]]\n")[2]
    return "\n# The usual rules, with a shorter patience for slow sites.\n[[rules]]\n" + usual.replace(
        "above = 8\n", "above = 1.5\n"
    )


def import_tonight(app: App, folder: Path, tonight: Tonight) -> None:
    """Write the sheet and import it: before the first night, and corrected before the ninth."""
    if tonight.number in (1, IMPORT_NIGHT):
        path = spreadsheet.write(folder / "registry.xlsx", corrected=tonight.number == IMPORT_NIGHT)
        reading = importer.read(path, app.config.network.language)
        by = By("coordinator", "import")
        app.store.save_registry(reading.associations, reading.accounts, tonight.moment, by=by)


async def _night(
    app: App, web: PracticeWeb, folder: Path, tonight: Tonight, progress: Progress | None
) -> Night:
    import_tonight(app, folder, tonight)
    await web.play(tonight)
    step = _over_all(progress, tonight) if progress else None
    return await run.run(app, tonight.moment, progress=step)


def _over_all(progress: Progress, tonight: Tonight) -> Progress:
    """The progress of one night as progress over all of them."""

    def step(done: int, whole: int) -> None:
        progress((tonight.number - 1) * whole + done, tonight.nights * whole)

    return step
