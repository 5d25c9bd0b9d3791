"""Play the demo, and compute what the audit must find.

The demo imports a network of 100 associations from a spreadsheet and audits it once for each of
several days. The fake web runs in its own process. The auditor reaches it through the `proxy` and
`ca_file` of the configuration file that the demo writes. The folder of a demo is an ordinary
auditor folder.

The expected findings, account statuses and gaps of each run are computed from the scenarios and
the spreadsheet, never from the auditor's output. `expected.csv` and `expected_with_keys.csv` (an
audit with all API keys) hold them, with one row for consecutive runs with one value. Write both
files with `python -m auditor.demo.play`.
"""

import asyncio
import csv
import gc
import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Self

from auditor.app import App
from auditor.config.schema import Config, find_packaged_config, load_config
from auditor.core.errors import InputError
from auditor.demo import associations
from auditor.demo.account_scenarios import (
    API_FAILURES,
    DEFAULT_RUN_COUNT,
    SECOND_IMPORT_RUN,
    SOCIAL_SCENARIOS,
    AccountScenario,
)
from auditor.demo.associations import (
    ALL_DEMO_CHANNELS,
    DEMO_CHANNELS,
    OPTIONAL_DEMO_CHANNELS,
    DemoAssociation,
    load_demo_associations,
)
from auditor.demo.model import DemoRun
from auditor.demo.pages import domain_registry
from auditor.demo.website_scenarios import SITE_SCENARIOS
from auditor.registry import importer
from auditor.runs import run
from probes.runner.parser_pool import ParserForkServer
from storage.models.audit import AuditRun
from storage.models.users import ChangeOrigin

CONFIG_MARKER = "# Written by `auditor demo`, which may overwrite it."
CONFIG_TEMPLATE = (
    CONFIG_MARKER
    + """
# The fake web responds only while a demo runs. Start it with:
# `python -m auditor.demo --port {port} --ca-file ca.pem`

[network]
name = "Réseau de démonstration"
name_ar = "شبكة تجريبية"
name_fr = "Réseau de démonstration"
contact_phone = "+212 537 00 00 00"
contact_whatsapp = "+212 600 00 00 00"
contact_email = "coordination@example.org"

[storage]
folder = "data"

[fetch]
proxy = "http://127.0.0.1:{port}"
ca_file = "ca.pem"
host_delay = 0                        # the fake web needs no rate limit
platform_breaker_failures = 1000                  # each run meets every kind of refusal
connect_timeout = 1.0                 # one site never responds
max_retries = 0                       # failed requests are repeated at once in the second pass
second_pass_delay = 0

[channels.website]
canaries = ["https://bibliotheque-zerhouna.ma/", "https://gazette-tamesna-sud.ma/"]
impossible_account = "https://c4b1a7e0-personne.ma/"

[channels.facebook]
canaries = ["https://www.facebook.com/GazetteTamesnaSud", "https://www.facebook.com/BibliothequeZerhouna"]
impossible_account = "https://www.facebook.com/personne.c4b1a7e0"
api_budget = 600                          # with a key: four pages make a request for 50 pages fail

[channels.twitter]
canaries = ["https://x.com/tamesna_sud", "https://x.com/biblio_zerhouna"]
impossible_account = "https://x.com/nul_c4b1a7e0"

[channels.linkedin]
canaries = ["https://www.linkedin.com/company/gazette-tamesna-sud"]
impossible_account = "https://www.linkedin.com/company/personne-c4b1a7e0"

[channels.youtube]
canaries = ["https://www.youtube.com/@GazetteTamesnaSud", "https://www.youtube.com/@BibliothequeZerhouna"]
impossible_account = "https://www.youtube.com/@personne-c4b1a7e0"

[channels.instagram]
canaries = ["https://www.instagram.com/gazette_tamesna_sud/"]
impossible_account = "https://www.instagram.com/nul_c4b1a7e0/"

[channels.tiktok]
canaries = ["https://www.tiktok.com/@gazette.tamesna.sud"]
impossible_account = "https://www.tiktok.com/@nul.c4b1a7e0"

[channels.whatsapp]
canaries = ["https://www.whatsapp.com/channel/0029VaGazetteTamesnaSud7"]
impossible_account = "https://www.whatsapp.com/channel/0029VaPersonneC4b1a7e0x"

[channels.telegram]
canaries = ["https://t.me/gazette_tamesna_sud"]
impossible_account = "https://t.me/nul_c4b1a7e0"

[report]
folder = "pages"
"""
)

DemoProgressCallback = Callable[[int, int], None]
"""Called with the number of checked accounts over all runs, and their total."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The folder, the configuration and the audit runs of a finished demo."""

    folder: Path
    config: Config
    runs: tuple[AuditRun, ...]


class FakeWebProcess:
    """The fake web in a separate process, for `async with`."""

    def __init__(self, ca_file: Path) -> None:
        self._ca_file = ca_file
        self._process: asyncio.subprocess.Process | None = None
        self.port = 0

    async def switch_to_run(self, demo_run: DemoRun) -> None:
        """Serve the responses of this run from now on."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{demo_run.to_json()}\n".encode())
        await self._read_line()

    async def get_request_counts(self) -> Counter[str]:
        """Return the number of requests of each URL (without query) since the run started."""
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
        command = (sys.executable, "-m", "auditor.demo", "--ca-file", str(self._ca_file))
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        self.port = int(await self._read_line())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the input of the process, which ends it."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        # Reads the output to its end: a pipe that is open when the loop closes writes a traceback.
        await self._process.communicate()


async def run_demo(
    folder: Path,
    *,
    total_runs: int = DEFAULT_RUN_COUNT,
    on_progress: DemoProgressCallback | None = None,
    now: datetime,
) -> DemoResult:
    """Import the network and audit it `total_runs` times, the last time at `now`.

    Raise InputError if the folder cannot be used.
    """
    prepare_demo_folder(folder)
    with ParserForkServer() as fork_server:
        fork_server.start()  # loads while the fake web starts and the database is created
        opening_app = asyncio.create_task(asyncio.to_thread(App.open, write_demo_config(folder, 0)))
        async with FakeWebProcess(folder / "ca.pem") as web:
            with await opening_app as opened_app:
                config = write_demo_config(folder, web.port)
                app = replace(opened_app, config=config, fork_server=fork_server)
                gc.freeze()  # loaded objects live until the end; do not scan them in each run
                runs = [
                    await _play_run(app, web, folder, demo_run, on_progress)
                    for demo_run in schedule_demo_runs(total_runs, now)
                ]
    return DemoResult(folder, config, tuple(runs))


def schedule_demo_runs(total_runs: int, now: datetime) -> list[DemoRun]:
    """Return one run for each day, the last one at `now`."""
    first_run_at = now - timedelta(days=total_runs - 1)
    return [
        DemoRun(day + 1, total_runs, first_run_at + timedelta(days=day))
        for day in range(total_runs)
    ]


def prepare_demo_folder(folder: Path) -> None:
    """Create the folder, or remove the results of an earlier demo from it.

    Raise InputError if the folder contains an audit that is not a demo.
    """
    old_config = folder / "config.toml"
    if old_config.exists() and not old_config.read_text(encoding="utf-8").startswith(CONFIG_MARKER):
        raise InputError(
            str(folder), "it contains an audit that is not a demo", "use an empty folder"
        )
    if old_config.exists():
        for name in ("data", "pages"):
            with suppress(FileNotFoundError):
                shutil.rmtree(folder / name)
    folder.mkdir(parents=True, exist_ok=True)


def write_demo_config(
    folder: Path, port: int, environ: Mapping[str, str] = MappingProxyType({})
) -> Config:
    """Write the configuration file of the demo and load it. `environ` may set API keys."""
    path = folder / "config.toml"
    path.write_text(CONFIG_TEMPLATE.format(port=port) + build_demo_rules(), encoding="utf-8")
    return load_config(path, environ)


def build_demo_rules() -> str:
    """Return the packaged rules with a shorter limit for slow sites, to keep the demo fast."""
    packaged_rules = (
        find_packaged_config().read_text(encoding="utf-8").partition("\n[[rules]]\n")[2]
    )
    return (
        "\n# The packaged rules, with a shorter limit for slow sites.\n[[rules]]\n"
        + packaged_rules.replace("above = 8\n", "above = 1.5\n")
    )


def import_demo_spreadsheet(app: App, folder: Path, demo_run: DemoRun) -> None:
    """Write and import the spreadsheet before the first run, and corrected before the ninth."""
    if demo_run.number in (1, SECOND_IMPORT_RUN):
        path = associations.write_demo_spreadsheet(
            folder / "registry.xlsx", is_corrected=demo_run.number == SECOND_IMPORT_RUN
        )
        import_result = importer.parse_registry_spreadsheet(path, app.config.network.language)
        app.store.registry.save_registry(
            import_result.associations,
            import_result.accounts,
            demo_run.started_at,
            origin=ChangeOrigin("coordinator", "import"),
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
    on_run_progress = _scale_progress(on_progress, demo_run) if on_progress else None
    return await run.execute_run(app, demo_run.started_at, on_progress=on_run_progress)


def _scale_progress(on_progress: DemoProgressCallback, demo_run: DemoRun) -> DemoProgressCallback:
    """Return a callback that adds the earlier runs to the progress of one run."""

    def report_progress(done: int, accounts: int) -> None:
        on_progress((demo_run.number - 1) * accounts + done, demo_run.total_runs * accounts)

    return report_progress


EXPECTED_VALUES_PATH = Path(__file__).with_name("expected.csv")
EXPECTED_VALUES_WITH_KEYS_PATH = Path(__file__).with_name("expected_with_keys.csv")
WITH_KEYS_RUN_COUNT = 30
"""Number of runs in the table with API keys. Every scenario reaches its end in them."""

FINDINGS_WITHOUT_API_REQUEST = ("", "unknown wrong_target", "unknown not_configured")
"""Findings of links for which no API request is sent. An API failure does not change them."""

EXPECTED_VALUES_COLUMNS = ("association", "channel", "kind", "value", "first", "last")
SCENARIOS_WITHOUT_ACCOUNT = {"none_typed"}
SCENARIOS_WITHOUT_OWNER = {"share_button", "intent"}
"""Links that name no account. The channel counts as missing."""


class ExpectedValue(NamedTuple):
    """An expected value in one run. `kind` is `finding`, `status` or `gap`."""

    association: str
    channel: str
    kind: str
    value: str
    run_number: int


def compute_expected_values(
    total_runs: int = DEFAULT_RUN_COUNT, *, has_api_keys: bool = False
) -> set[ExpectedValue]:
    """Return all expected values of an audit, without API keys or with all of them."""
    expected_values: set[ExpectedValue] = set()
    for association in load_demo_associations():
        for run_number in range(1, total_runs + 1):
            expected_values.update(
                _iter_expected_values(
                    association, run_number, total_runs, has_api_keys=has_api_keys
                )
            )
    return expected_values


def iter_run_ranges(
    expected_values: Iterable[ExpectedValue],
) -> Iterator[tuple[str, str, str, str, int, int]]:
    """Yield the rows of the table, sorted. Consecutive runs with one value are one row."""
    ordered = sorted(expected_values)
    # in consecutive runs, run number and index grow together: their difference stays the same
    ranges = groupby(
        enumerate(ordered), key=lambda pair: (*pair[1][:4], pair[1].run_number - pair[0])
    )
    for key, indexed_values in ranges:
        run_numbers = [value.run_number for _, value in indexed_values]
        yield (*key[:4], run_numbers[0], run_numbers[-1])


def write_expected_values(path: Path, expected_values: Iterable[ExpectedValue]) -> None:
    """Write expected values to a table file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(EXPECTED_VALUES_COLUMNS)
        writer.writerows(iter_run_ranges(expected_values))


def find_account_scenario(association: DemoAssociation, channel: str) -> AccountScenario | None:
    """Return the scenario of an association's account, or None if there is no account."""
    name = association.get_scenario_name(channel)
    if channel == "youtube" and association.website == "footer_unlisted":
        return SOCIAL_SCENARIOS["youtube"]["added"]
    if not name or name in SCENARIOS_WITHOUT_ACCOUNT:
        return None
    if channel == "website":
        return SITE_SCENARIOS[name].expected
    return SOCIAL_SCENARIOS[channel][name]


def _iter_expected_values(
    association: DemoAssociation, run_number: int, total_runs: int, *, has_api_keys: bool
) -> Iterator[ExpectedValue]:
    for channel in ALL_DEMO_CHANNELS:
        scenario = find_account_scenario(association, channel)
        if scenario is None:
            continue
        if has_api_keys:
            scenario = scenario.select_api_scenario()
        finding, status = scenario.expected_at(run_number)
        if has_api_keys and _is_api_failing(channel, finding, run_number):
            finding = f"unknown {API_FAILURES[channel][1]}"
        if finding:
            yield ExpectedValue(association.id, channel, "finding", finding, run_number)
            yield ExpectedValue(association.id, channel, "status", status, run_number)
        for code in scenario.iter_open_gaps(run_number, total_runs):
            yield ExpectedValue(association.id, channel, "gap", code, run_number)
    for channel, code in _iter_registry_gaps(association, run_number):
        yield ExpectedValue(association.id, channel, "gap", code, run_number)
    if domain_registry.is_domain_gap_open(association, run_number, total_runs):
        yield ExpectedValue(association.id, "website", "gap", "website_domain_expiring", run_number)
    if _links_to_gone_account(association, run_number, has_api_keys=has_api_keys):
        yield ExpectedValue(association.id, "website", "gap", "website_broken_links", run_number)


def _is_api_failing(channel: str, finding: str, run_number: int) -> bool:
    if channel not in API_FAILURES or finding in FINDINGS_WITHOUT_API_REQUEST:
        return False
    return run_number == API_FAILURES[channel][0]


def _links_to_gone_account(
    association: DemoAssociation, run_number: int, *, has_api_keys: bool
) -> bool:
    """Return True if a present site links to an account that is gone for the third run."""
    site = find_account_scenario(association, "website")
    if site is None or association.website == "not_linked" or run_number <= 2:
        return False
    if not site.expected_at(run_number)[1].startswith("present"):
        return False
    for channel in _list_linked_channels(association):
        scenario = find_account_scenario(association, channel)
        if scenario is None:
            continue
        if has_api_keys:
            scenario = scenario.select_api_scenario()
        if scenario.expected_at(run_number - 2)[1].startswith("gone"):
            return True
    return False


def _iter_registry_gaps(association: DemoAssociation, run_number: int) -> Iterator[tuple[str, str]]:
    """Yield channel and code of the gaps that follow from the registry and the site's links."""
    if not association.website:
        yield "website", "no_website"
    if association.facebook == "in_site_column":
        yield "website", "website_is_social"
    if "shared" in (association.facebook, association.sister_association.facebook):
        yield "facebook", "channel_shared"
    for channel in DEMO_CHANNELS[1:]:
        if _is_account_missing(association, channel, run_number):
            yield channel, "channel_missing"
    if run_number >= 2:  # what the first run sees is confirmed in the second
        yield from _iter_link_gaps(association, run_number)


def _is_account_missing(association: DemoAssociation, channel: str, run_number: int) -> bool:
    is_corrected = association.website == "footer_unlisted" and run_number >= SECOND_IMPORT_RUN
    if channel == "youtube" and is_corrected:
        return False
    name = association.get_scenario_name(channel)
    return not name or name in SCENARIOS_WITHOUT_ACCOUNT | SCENARIOS_WITHOUT_OWNER


def _iter_link_gaps(association: DemoAssociation, run_number: int) -> Iterator[tuple[str, str]]:
    """Yield channel and code of the gaps between the registered and the linked accounts."""
    if association.website == "footer_unlisted" and run_number < SECOND_IMPORT_RUN:
        yield "youtube", "channel_unlisted"
    if association.website == "jsonld_unlisted":
        yield "linkedin", "channel_unlisted"
    if association.website == "not_linked":
        for channel in _list_linked_channels(association):
            yield channel, "channel_not_linked"


def _list_linked_channels(association: DemoAssociation) -> list[str]:
    """Return the channels whose accounts a site should link to. Optional ones are not judged."""
    channels = association.get_profile_urls()
    return [channel for channel in channels if channel not in OPTIONAL_DEMO_CHANNELS]


if __name__ == "__main__":
    write_expected_values(EXPECTED_VALUES_PATH, compute_expected_values())
    write_expected_values(
        EXPECTED_VALUES_WITH_KEYS_PATH,
        compute_expected_values(WITH_KEYS_RUN_COUNT, has_api_keys=True),
    )
