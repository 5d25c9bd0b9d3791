"""Play the demo: import a fictional network and audit it on several days.

The demo imports a network of 100 associations from a spreadsheet and audits it once for each of
several days, and twice in the months before. The fake web runs in its own process. The auditor
reaches it through the `proxy` and `ca_file` of the configuration file that the demo writes. The
folder of a demo is an ordinary auditor folder.
"""

import asyncio
import gc
import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from auditor.app import App
from auditor.config.schema import Config, WebSettings, find_packaged_config, load_config
from auditor.core.errors import InputError
from auditor.demo import associations, project
from auditor.demo.model import DEFAULT_RUN_COUNT, SECOND_IMPORT_RUN, DemoRun
from auditor.registry import importer
from auditor.runs import run
from probes.runner.parser_pool import ParserForkServer
from storage.models.audit import AuditRun
from storage.models.users import ChangeOrigin, FollowUpKind, ReplyKind
from storage.tables.communication import FollowUp, Reply

CONFIG_MARKER = "# Written by `auditor demo`, which may overwrite it."
REPORT_LINK_ASSOCIATION = "a092"
"""An association with several problems, whose report the demo offers to open."""
DEFAULT_PUBLIC_URL = f"http://127.0.0.1:{WebSettings().port}"
CONFIG_TEMPLATE = Path(__file__).with_name("config.toml").read_text(encoding="utf-8")

DemoProgressCallback = Callable[[int, int], None]
"""Called with the number of checked accounts over all runs, and their total."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The folder, the configuration and the audit runs of a finished demo, without earlier ones."""

    folder: Path
    config: Config
    runs: tuple[AuditRun, ...]


class FakeWebProcess:
    """The fake web in a separate process, for `async with`."""

    _process: asyncio.subprocess.Process

    def __init__(self, ca_file: Path) -> None:
        self._ca_file = ca_file
        self.port = 0

    async def switch_to_run(self, demo_run: DemoRun) -> None:
        """Serve the responses of this run from now on."""
        await self._ask(demo_run.to_json())

    async def get_request_counts(self) -> Counter[str]:
        """Return the number of requests of each URL (without query) since the run started."""
        return Counter(json.loads(await self._ask("requests")))

    async def _ask(self, question: str = "") -> str:
        """Send a line, if there is one, and return the next line of the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if question:
            self._process.stdin.write(f"{question}\n".encode())
        line = await self._process.stdout.readline()
        if not line:
            raise InputError(
                "the fake web", "its process ended", "run `python -m auditor.demo` to see why"
            )
        return line.decode().strip()

    async def __aenter__(self) -> Self:
        command = (sys.executable, "-m", "auditor.demo", "--ca-file", str(self._ca_file))
        # Ctrl-C reaches a session; in its own, this process ends when its input is closed.
        self._process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        self.port = int(await self._ask())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the input of the process, which ends it.

        Reads its output to the end: a pipe that is open when the loop closes writes a traceback.
        """
        await self._process.communicate(b"")


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
        # No request is sent to this port: the configuration is written again with the fake web's.
        config = write_demo_config(folder, 80)
        opening_app = asyncio.create_task(asyncio.to_thread(App.open, config))
        async with FakeWebProcess(folder / "ca.pem") as web:
            with await opening_app as opened_app:
                config = write_demo_config(folder, web.port)
                app = replace(opened_app, config=config, fork_server=fork_server)
                gc.freeze()  # loaded objects live until the end; do not scan them in each run
                earlier_runs = list(project.schedule_earlier_runs(total_runs, now))
                runs = [
                    await _play_run(app, web, folder, demo_run, on_progress)
                    for demo_run in [*earlier_runs, *schedule_demo_runs(total_runs, now)]
                ]
                add_messages(app, now)
                project.add_project(app, now)
                project.add_seen_accounts(app, now)
    return DemoResult(folder, config, tuple(runs[len(earlier_runs) :]))


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
            shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def write_demo_config(folder: Path, port: int, public_url: str = DEFAULT_PUBLIC_URL) -> Config:
    """Write the configuration file of the demo and load it."""
    path = folder / "config.toml"
    settings = CONFIG_TEMPLATE.format(port=port) + f'\n[web]\npublic_url = "{public_url}"\n'
    path.write_text(settings + build_demo_rules(), encoding="utf-8")
    return load_config(path, {})


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
    """Write and import the spreadsheet until the first run, and corrected before the ninth.

    In the runs before the first one, some accounts are not registered yet.
    """
    if demo_run.number <= 1 or demo_run.number == SECOND_IMPORT_RUN:
        path = associations.write_demo_spreadsheet(
            folder / "registry.xlsx",
            is_corrected=demo_run.number == SECOND_IMPORT_RUN,
            missing=project.find_missing_accounts(demo_run),
        )
        import_result = importer.parse_registry_spreadsheet(path, app.config.network.language)
        app.store.registry.save_registry(
            import_result.associations,
            import_result.accounts,
            demo_run.started_at,
            origin=ChangeOrigin("coordinator", "import"),
        )


def add_messages(app: App, now: datetime) -> None:
    """Add a promise that is overdue, and a reply that waits for a coordinator."""
    app.store.follow_ups.add(
        FollowUp(
            association="a060",
            kind=FollowUpKind.PROMISED,
            author="Demo",
            occurred_at=now - timedelta(days=9),
            due_date=(now - timedelta(days=2)).date(),
            channel="website",
            code="website_placeholder",
        )
    )
    reply = Reply(
        association=REPORT_LINK_ASSOCIATION,
        kind=ReplyKind.CLOSED,
        submitted_at=now,
        channel="youtube",
        code="channel_missing",
        text="لا أحد في المكتب يصوّر، ونكتفي بصفحة فيسبوك.",
    )
    app.store.replies.add_chosen(reply.association, lambda _: reply)


async def _play_run(
    app: App,
    fake_web: FakeWebProcess,
    folder: Path,
    demo_run: DemoRun,
    on_progress: DemoProgressCallback | None,
) -> AuditRun:
    earlier_count = demo_run.number - 1 + len(project.EARLIER_CHECKS)
    run_count = demo_run.total_runs + len(project.EARLIER_CHECKS)

    def report_progress(done: int, accounts: int) -> None:
        """Add the earlier runs to the progress of one run."""
        if on_progress:
            on_progress(earlier_count * accounts + done, run_count * accounts)

    import_demo_spreadsheet(app, folder, demo_run)
    await fake_web.switch_to_run(demo_run)
    return await run.execute_run(app, demo_run.started_at, on_progress=report_progress)
