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
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from auditor.app import App
from auditor.config.schema import Config, find_packaged_config, load_config
from auditor.core.errors import InputError
from auditor.demo import associations
from auditor.demo.account_scenarios import (
    API_FAILURES,
    DEFAULT_RUN_COUNT,
    FACEBOOK_SCENARIOS,
    LINKEDIN_SCENARIOS,
    SECOND_IMPORT_RUN,
    TWITTER_SCENARIOS,
    YOUTUBE_SCENARIOS,
    AccountScenario,
)
from auditor.demo.associations import DEMO_CHANNELS, DemoAssociation, load_demo_associations
from auditor.demo.model import DemoRun
from auditor.demo.website_scenarios import SITE_SCENARIOS
from auditor.registry import importer
from auditor.runs import run
from probes.runner.parser_pool import ParserForkServer
from storage.models.audit import AuditRun
from storage.models.users import ChangeOrigin

CONFIG_MARKER = "# Written by `auditor demo`, which may write it anew."
CONFIG_TEMPLATE = (
    CONFIG_MARKER
    + """
# The practice web answers only while a demo runs: `python -m auditor.demo --port {port} --ca-file ca.pem`.

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
platform_breaker_failures = 1000                  # every kind of wall is met, every night
connect_timeout = 1.0                 # one site lets everybody wait
max_retries = 0                       # a failed request is repeated in the second pass, at once
second_pass_delay = 0

[channels.website]
canaries = ["https://bibliotheque-zerhouna.ma/", "https://gazette-tamesna-sud.ma/"]
impossible_account = "https://c4b1a7e0-personne.ma/"

[channels.facebook]
canaries = ["https://www.facebook.com/GazetteTamesnaSud", "https://www.facebook.com/BibliothequeZerhouna"]
impossible_account = "https://www.facebook.com/personne.c4b1a7e0"
api_budget = 600                          # with a key: four of its pages spoil a call for 49 others

[channels.twitter]
canaries = ["https://x.com/tamesna_sud", "https://x.com/biblio_zerhouna"]
impossible_account = "https://x.com/nul_c4b1a7e0"

[channels.linkedin]
canaries = ["https://www.linkedin.com/company/gazette-tamesna-sud"]
impossible_account = "https://www.linkedin.com/company/personne-c4b1a7e0"

[channels.youtube]
canaries = ["https://www.youtube.com/@GazetteTamesnaSud", "https://www.youtube.com/@BibliothequeZerhouna"]
impossible_account = "https://www.youtube.com/@personne-c4b1a7e0"

[report]
folder = "pages"
"""
)

DemoProgressCallback = Callable[[int, int], None]
"""Is told how many accounts are done, over all nights, and how many there are."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """A demo that was played: where it lies, by what configuration, and its nights."""

    folder: Path
    config: Config
    runs: tuple[AuditRun, ...]


class FakeWebProcess:
    """The practice web in a process of its own, for `async with`. It plays the night it is told to."""

    def __init__(self, ca_file: Path) -> None:
        self._ca_file = ca_file
        self._process: asyncio.subprocess.Process | None = None
        self.port = 0

    async def switch_to_run(self, demo_run: DemoRun) -> None:
        """Have the world be as it is on that night."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{demo_run.to_json()}\n".encode())
        await self._read_line()

    async def get_request_counts(self) -> Counter[str]:
        """How often each address was asked for since the night began, without its query."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(b"requests\n")
        return Counter(json.loads(await self._read_line()))

    async def _read_line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise InputError(
                "the fake web", "its process ended", "run `python -m auditor.demo` to see why"
            )
        return line.decode().strip()

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", "auditor.demo", "--ca-file", str(self._ca_file))
        self._process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        self.port = int(await self._read_line())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """It ends with its input, so that it cannot be left behind."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


async def run_demo(
    folder: Path,
    *,
    total_runs: int = DEFAULT_RUN_COUNT,
    on_progress: DemoProgressCallback | None = None,
    now: datetime,
) -> DemoResult:
    """Import the network and do its nights, the last of them at `now`. Raises InputError."""
    prepare_demo_folder(folder)
    with ParserForkServer() as workshop:
        workshop.start()  # it loads while the practice web does, and while the database is made
        opening = asyncio.create_task(asyncio.to_thread(App.open, write_demo_config(folder, 0)))
        async with FakeWebProcess(folder / "ca.pem") as web:
            with await opening as opened:
                config = write_demo_config(folder, web.port)
                app = replace(opened, config=config, fork_server=workshop)
                gc.freeze()  # what is loaded stays: the collector need not look through it night after night
                done = [
                    await _play_run(app, web, folder, tonight, on_progress)
                    for tonight in schedule_demo_runs(total_runs, now)
                ]
    return DemoResult(folder, config, tuple(done))


def schedule_demo_runs(total_runs: int, now: datetime) -> list[DemoRun]:
    """The nights, one a day, the last of them now."""
    moments = [now - timedelta(days=back) for back in reversed(range(total_runs))]
    return [DemoRun(number, total_runs, moment) for number, moment in enumerate(moments, 1)]


def prepare_demo_folder(folder: Path) -> None:
    """An empty place for a demo. What an earlier demo wrote is removed; anything else is left and refused."""
    earlier = folder / "config.toml"
    if earlier.exists() and not earlier.read_text(encoding="utf-8").startswith(CONFIG_MARKER):
        raise InputError(
            str(folder), "it contains an audit that is not a demo", "use an empty folder"
        )
    if earlier.exists():
        for name in ("data", "pages"):
            with suppress(FileNotFoundError):
                shutil.rmtree(folder / name)
    folder.mkdir(parents=True, exist_ok=True)


def write_demo_config(
    folder: Path, port: int, environ: Mapping[str, str] = MappingProxyType({})
) -> Config:
    """Write the demo's configuration and read it back, as any other; `environ` may hold keys."""
    path = folder / "config.toml"
    path.write_text(CONFIG_TEMPLATE.format(port=port) + build_demo_rules(), encoding="utf-8")
    return load_config(path, environ)


def build_demo_rules() -> str:
    """The usual rules, but for how long a site may take: nobody waits eight seconds for a demo."""
    usual = find_packaged_config().read_text(encoding="utf-8").partition("\n[[rules]]\n")[2]
    return (
        "\n# The usual rules, with a shorter patience for slow sites.\n[[rules]]\n"
        + usual.replace("above = 8\n", "above = 1.5\n")
    )


def import_demo_spreadsheet(app: App, folder: Path, demo_run: DemoRun) -> None:
    """Write the sheet and import it: before the first night, and corrected before the ninth."""
    if demo_run.number in (1, SECOND_IMPORT_RUN):
        path = associations.write_demo_spreadsheet(
            folder / "registry.xlsx", is_corrected=demo_run.number == SECOND_IMPORT_RUN
        )
        reading = importer.parse_registry_spreadsheet(path, app.config.network.language)
        by = ChangeOrigin("coordinator", "import")
        app.store.save_registry(
            reading.associations, reading.accounts, demo_run.started_at, origin=by
        )


async def _play_run(
    app: App,
    fake_web: FakeWebProcess,
    folder: Path,
    demo_run: DemoRun,
    on_progress: DemoProgressCallback | None,
) -> AuditRun:
    import_demo_spreadsheet(app, folder, demo_run)
    await fake_web.switch_to_run(demo_run)
    step = _scale_progress(on_progress, demo_run) if on_progress else None
    return await run.execute_run(app, demo_run.started_at, on_progress=step)


def _scale_progress(on_progress: DemoProgressCallback, demo_run: DemoRun) -> DemoProgressCallback:
    """The progress of one night as progress over all of them."""

    def step(done: int, whole: int) -> None:
        on_progress((demo_run.number - 1) * whole + done, demo_run.total_runs * whole)

    return step


EXPECTED_VALUES_PATH = Path(__file__).with_name("expected.csv")
EXPECTED_VALUES_WITH_KEYS_PATH = Path(__file__).with_name("expected_with_keys.csv")
WITH_KEYS_RUN_COUNT = 30
"""The table with keys is of so many nights, in which every script comes to its end."""

FINDINGS_WITHOUT_API_REQUEST = ("", "unknown wrong_target", "unknown not_configured")
"""What is seen of links that no interface is asked about, in trouble or not."""

EXPECTED_VALUES_COLUMNS = ("association", "channel", "kind", "value", "first", "last")
SOCIAL_SCENARIOS = {
    "facebook": FACEBOOK_SCENARIOS,
    "twitter": TWITTER_SCENARIOS,
    "linkedin": LINKEDIN_SCENARIOS,
    "youtube": YOUTUBE_SCENARIOS,
}
SCENARIOS_WITHOUT_ACCOUNT = {"none_typed"}
SCENARIOS_WITHOUT_OWNER = {"share_button", "intent"}
"""Links that name nobody: the channel is missing, whatever stands in the cell."""


@dataclass(frozen=True, slots=True)
class ExpectedValue:
    """One cell of the table: on that night, `what` (seen, held or gap) has that value."""

    association: str
    channel: str
    kind: str
    value: str
    run_number: int


def compute_expected_values(
    total_runs: int = DEFAULT_RUN_COUNT, *, has_api_keys: bool = False
) -> set[ExpectedValue]:
    """Every cell of so many nights, from the scripts, for an audit without keys or with all of them."""
    span = range(1, total_runs + 1)
    return {
        cell
        for member in load_demo_associations()
        for night in span
        for cell in _iter_expected_values(member, night, total_runs, has_api_keys=has_api_keys)
    }


def iter_run_ranges(
    expected_values: Iterable[ExpectedValue],
) -> Iterator[tuple[str, str, str, str, int, int]]:
    """The cells as runs of nights, sorted."""
    ordered = sorted(expected_values, key=lambda c: (*astuple(c)[:4], c.run_number))
    for key, cells in groupby(
        enumerate(ordered), key=lambda pair: (*astuple(pair[1])[:4], pair[1].run_number - pair[0])
    ):
        nights = [cell.run_number for _, cell in cells]
        yield (*key[:4], nights[0], nights[-1])


def read_expected_values(path: Path = EXPECTED_VALUES_PATH) -> set[ExpectedValue]:
    """The cells of the committed file."""
    with path.open(encoding="utf-8", newline="") as file:
        return {
            ExpectedValue(row["association"], row["channel"], row["kind"], row["value"], night)
            for row in csv.DictReader(file)
            for night in range(int(row["first"]), int(row["last"]) + 1)
        }


def write_expected_values(path: Path, expected_values: Iterable[ExpectedValue]) -> None:
    """Write a table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(EXPECTED_VALUES_COLUMNS)
        out.writerows(iter_run_ranges(expected_values))


def find_account_scenario(association: DemoAssociation, channel: str) -> AccountScenario | None:
    """The script of a member's account on a channel, None where it has no account there."""
    name = association.get_scenario_name(channel)
    if channel == "website":
        return SITE_SCENARIOS[name].expected if name else None
    if channel == "youtube" and association.website == "footer_unlisted":
        return YOUTUBE_SCENARIOS["added"]
    return (
        SOCIAL_SCENARIOS[channel][name] if name and name not in SCENARIOS_WITHOUT_ACCOUNT else None
    )


def _iter_expected_values(
    association: DemoAssociation, run_number: int, total_runs: int, *, has_api_keys: bool
) -> Iterator[ExpectedValue]:
    for channel in DEMO_CHANNELS:
        if script := find_account_scenario(association, channel):
            true = script.select_api_scenario() if has_api_keys else script
            seen, held = true.expected_at(run_number)
            if (
                has_api_keys
                and channel in API_FAILURES
                and seen not in FINDINGS_WITHOUT_API_REQUEST
                and run_number == API_FAILURES[channel][0]
            ):
                seen = f"unknown {API_FAILURES[channel][1]}"
            if seen:
                yield ExpectedValue(association.id, channel, "finding", seen, run_number)
                yield ExpectedValue(association.id, channel, "status", held, run_number)
            for code in true.iter_open_gaps(run_number, total_runs):
                yield ExpectedValue(association.id, channel, "gap", code, run_number)
    for channel, code in _iter_registry_gaps(association, run_number):
        yield ExpectedValue(association.id, channel, "gap", code, run_number)
    if _links_to_gone_account(association, run_number, has_api_keys=has_api_keys):
        yield ExpectedValue(association.id, "website", "gap", "website_broken_links", run_number)


def _links_to_gone_account(
    association: DemoAssociation, run_number: int, *, has_api_keys: bool
) -> bool:
    """Whether the site, in good health, links an account that is held gone for the third night."""
    site = find_account_scenario(association, "website")
    if (
        site is None
        or not site.expected_at(run_number)[1].startswith("present")
        or association.website == "not_linked"
    ):
        return False
    linked = (
        find_account_scenario(association, channel) for channel in association.get_profile_urls()
    )
    scripts = [
        script.select_api_scenario() if has_api_keys else script for script in linked if script
    ]
    return run_number > 2 and any(
        script.expected_at(run_number - 2)[1].startswith("gone") for script in scripts
    )


def _iter_registry_gaps(association: DemoAssociation, run_number: int) -> Iterator[tuple[str, str]]:
    """The gaps that follow from who is registered where, and from what the site says of it."""
    if not association.website:
        yield "website", "no_website"
    if association.facebook == "in_site_column":
        yield "website", "website_is_social"
    if "shared" in (association.facebook, association.sister_association.facebook):
        yield "facebook", "channel_shared"
    for channel in DEMO_CHANNELS[1:]:
        name = association.get_scenario_name(channel)
        late = (
            channel == "youtube"
            and association.website == "footer_unlisted"
            and run_number >= SECOND_IMPORT_RUN
        )
        if not late and (not name or name in SCENARIOS_WITHOUT_ACCOUNT | SCENARIOS_WITHOUT_OWNER):
            yield channel, "channel_missing"
    if association.website == "footer_unlisted" and 2 <= run_number < SECOND_IMPORT_RUN:
        yield "youtube", "channel_unlisted"
    if (
        association.website == "jsonld_unlisted" and run_number >= 2
    ):  # it is confirmed on the second night
        yield "linkedin", "channel_unlisted"
    if (
        association.website == "not_linked" and run_number >= 2
    ):  # it is confirmed on the second night
        for channel in association.get_profile_urls():
            yield channel, "channel_not_linked"


if __name__ == "__main__":
    write_expected_values(EXPECTED_VALUES_PATH, compute_expected_values())
    write_expected_values(
        EXPECTED_VALUES_WITH_KEYS_PATH,
        compute_expected_values(WITH_KEYS_RUN_COUNT, has_api_keys=True),
    )
