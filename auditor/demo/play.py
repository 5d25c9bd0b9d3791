"""The demo: a network of 100 associations, imported from a spreadsheet and audited night after night.

The practice web runs in a process of its own and is reached as any web would be: through the `proxy` and
`ca_file` of the configuration that is written beside the sheet. Everything after that is the
product's ordinary way; whoever wants can go on with the folder by hand.

The careful reader's tables: for every association, night and account, what is seen, held and open.

They are written from what the situations declare and from the sheet, never from the auditor's output. As
files (`expected.csv`, and `expected_with_keys.csv` for an audit that has all keys) they have one row for
each run of nights that say the same; to write them anew: `python -m auditor.demo.play`.
"""

from __future__ import annotations

import asyncio
import csv
import gc
import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from auditor.app import App
from auditor.config.schema import Config, load, packaged
from auditor.core.errors import InputError
from auditor.demo import associations
from auditor.demo.account_scenarios import (
    FACEBOOK,
    IMPORT_NIGHT,
    LAST,
    LINKEDIN,
    TROUBLED,
    TWITTER,
    YOUTUBE,
    Situation,
)
from auditor.demo.associations import CHANNELS, Member, cast
from auditor.demo.model import Tonight
from auditor.demo.website_scenarios import SITES
from auditor.registry import importer
from auditor.runs import run
from probes.runner.parser_pool import Workshop
from storage.models.audit import Night
from storage.models.users import By

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
        path = associations.write(folder / "registry.xlsx", corrected=tonight.number == IMPORT_NIGHT)
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


PATH = Path(__file__).with_name("expected.csv")
PATH_WITH_KEYS = Path(__file__).with_name("expected_with_keys.csv")
LONG = 30
"""The table with keys is of so many nights, in which every script comes to its end."""

UNASKED = ("", "unknown wrong_target", "unknown not_configured")
"""What is seen of links that no interface is asked about, in trouble or not."""

HEAD = ("association", "channel", "what", "value", "first", "last")
SOCIAL = {"facebook": FACEBOOK, "twitter": TWITTER, "linkedin": LINKEDIN, "youtube": YOUTUBE}
NO_ACCOUNT = {"none_typed"}
NAMELESS = {"share_button", "intent"}
"""Links that name nobody: the channel is missing, whatever stands in the cell."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the table: on that night, `what` (seen, held or gap) has that value."""

    association: str
    channel: str
    what: str
    value: str
    night: int


def cells(nights: int = LAST, *, keyed: bool = False) -> set[Cell]:
    """Every cell of so many nights, from the scripts, for an audit without keys or with all of them."""
    span = range(1, nights + 1)
    return {cell for member in cast() for night in span for cell in _of(member, night, nights, keyed=keyed)}


def rows(found: Iterable[Cell]) -> Iterator[tuple[str, str, str, str, int, int]]:
    """The cells as runs of nights, sorted."""
    ordered = sorted(found, key=lambda c: (*astuple(c)[:4], c.night))
    for key, cells in groupby(
        enumerate(ordered), key=lambda pair: (*astuple(pair[1])[:4], pair[1].night - pair[0])
    ):
        nights = [cell.night for _, cell in cells]
        yield (*key[:4], nights[0], nights[-1])


def read(path: Path = PATH) -> set[Cell]:
    """The cells of the committed file."""
    with path.open(encoding="utf-8", newline="") as file:
        return {
            Cell(row["association"], row["channel"], row["what"], row["value"], night)
            for row in csv.DictReader(file)
            for night in range(int(row["first"]), int(row["last"]) + 1)
        }


def write(path: Path, told: Iterable[Cell]) -> None:
    """Write a table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(HEAD)
        out.writerows(rows(told))


def situation(member: Member, channel: str) -> Situation | None:
    """The script of a member's account on a channel, None where it has no account there."""
    name = member.situation(channel)
    if channel == "website":
        return SITES[name].truth if name else None
    if channel == "youtube" and member.website == "footer_unlisted":
        return YOUTUBE["added"]
    return SOCIAL[channel][name] if name and name not in NO_ACCOUNT else None


def _of(member: Member, night: int, nights: int, *, keyed: bool) -> Iterator[Cell]:
    for channel in CHANNELS:
        if script := situation(member, channel):
            true = script.with_a_key() if keyed else script
            seen, held = true.at(night)
            if keyed and channel in TROUBLED and seen not in UNASKED and night == TROUBLED[channel][0]:
                seen = f"unknown {TROUBLED[channel][1]}"
            if seen:
                yield Cell(member.id, channel, "seen", seen, night)
                yield Cell(member.id, channel, "held", held, night)
            for code in true.open_on(night, nights):
                yield Cell(member.id, channel, "gap", code, night)
    for channel, code in _of_the_sheet(member, night):
        yield Cell(member.id, channel, "gap", code, night)
    if _leads_to_the_lost(member, night, keyed=keyed):
        yield Cell(member.id, "website", "gap", "website_broken_links", night)


def _leads_to_the_lost(member: Member, night: int, *, keyed: bool) -> bool:
    """Whether the site, in good health, links an account that is held gone for the third night."""
    site = situation(member, "website")
    if site is None or not site.at(night)[1].startswith("present") or member.website == "not_linked":
        return False
    linked = (situation(member, channel) for channel in member.profiles())
    scripts = [script.with_a_key() if keyed else script for script in linked if script]
    return night > 2 and any(script.at(night - 2)[1].startswith("gone") for script in scripts)


def _of_the_sheet(member: Member, night: int) -> Iterator[tuple[str, str]]:
    """The gaps that follow from who is registered where, and from what the site says of it."""
    if not member.website:
        yield "website", "no_website"
    if member.facebook == "in_site_column":
        yield "website", "website_is_social"
    if "shared" in (member.facebook, member.sister.facebook):
        yield "facebook", "channel_shared"
    for channel in CHANNELS[1:]:
        name = member.situation(channel)
        late = channel == "youtube" and member.website == "footer_unlisted" and night >= IMPORT_NIGHT
        if not late and (not name or name in NO_ACCOUNT | NAMELESS):
            yield channel, "channel_missing"
    if member.website == "footer_unlisted" and 2 <= night < IMPORT_NIGHT:
        yield "youtube", "channel_unlisted"
    if member.website == "jsonld_unlisted" and night >= 2:  # it is confirmed on the second night
        yield "linkedin", "channel_unlisted"
    if member.website == "not_linked" and night >= 2:  # it is confirmed on the second night
        for channel in member.profiles():
            yield channel, "channel_not_linked"


if __name__ == "__main__":
    write(PATH, cells())
    write(PATH_WITH_KEYS, cells(LONG, keyed=True))
