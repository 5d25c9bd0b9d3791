"""A small network for tests of runs: invented associations, a fake web and a simple probe."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from auditor.checking import checker
from auditor.config.schema import BackupSettings, ChannelSettings, Config, SurveySettings
from auditor.core.errors import RunLockedError
from auditor.rules.engine import AnyRule
from auditor.runs.run import execute_run
from probes.http.fetcher import FetchOptions
from probes.models.finding import (
    Activity,
    DatePrecision,
    Finding,
    FoundLink,
    Identity,
    LinkKind,
    Presence,
    Reason,
)
from probes.models.http import Page, PageRequest
from probes.models.probe import absent_finding, present_finding
from storage.files.body_store import BodyStore
from storage.models.audit import AccountRow, Association
from storage.store import Store

START = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
RULES = TypeAdapter(tuple[AnyRule, ...]).validate_python(
    [
        {"code": "channel_missing", "check": "undeclared", "channels": ["facebook", "youtube"]},
        {
            "code": "channel_dead",
            "check": "absent",
            "channels": ["facebook"],
            "reasons": ["not_found"],
        },
        {
            "code": "website_down",
            "check": "unreachable",
            "channels": ["website"],
            "reasons": ["network"],
        },
        {"code": "channel_unlisted", "check": "proposed"},
        {
            "code": "mobile_unfriendly",
            "check": "fact",
            "channels": ["website"],
            "fact": "viewport",
            "is": False,
        },
    ]
)
PROFILE = FoundLink(
    "youtube", "@nour", "https://www.youtube.com/@nour", "anchor", "https://nour.example/"
)


def night_of(day):
    return START + timedelta(days=day)


def steps(account, keyed=()):
    """Probe an account. The word on the page selects the finding."""
    page = yield PageRequest(account.identity.canonical, is_registered_link=True)
    word = page.body.decode()
    if word == "bug":
        raise ZeroDivisionError("a bug in a probe")
    if word == "gone":
        return absent_finding(page, Reason.NOT_FOUND)
    if word == "fresh":
        return present_finding(page, last_activity=Activity(START, "feed"))
    if word in AGO:  # a relative age, as on YouTube: another date in each run
        when = page.fetched_at - timedelta(days=AGO[word])
        return present_finding(
            page, last_activity=Activity(when, "videos", DatePrecision.MONTH, is_relative=True)
        )
    if word == "wall":
        return Finding(Presence.UNKNOWN, Reason.LOGIN_WALL, status=page.status)
    links = (PROFILE,) if word == "linked" else ()
    return present_finding(page, links=links, facts={"viewport": word != "wide"})


AGO = {"a month ago": 31, "two months ago": 62}


def link(association, channel, name):
    url = (
        f"https://{channel}.example/{name}" if channel != "website" else f"https://{name}.example/"
    )
    identity = Identity(
        channel, LinkKind.PAGE, f"u:{name}" if channel != "website" else f"{name}.example", url, url
    )
    return AccountRow(association, url, identity, channel)


@dataclass
class Web:
    """The answer of each URL: a word, a Page or an exception. The default is `alive`.

    URLs in `once` are requested at most once in a run.
    """

    answers: dict[str, object] = field(default_factory=dict)
    now: datetime = START
    request_count: int = 0
    retry_count: int = 0
    requests_by_host: Counter = field(default_factory=Counter)
    count_other_hosts: Callable = field(default=lambda: 0)
    asked: list[str] = field(default_factory=list)
    passes: int = 1
    once: set[str] = field(default_factory=set)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None

    def start_new_pass(self):
        self.passes += 1

    async def can_request_again(self, request, outcome):
        return request.url not in self.once

    async def get(self, request):
        self.request_count += 1
        self.asked.append(request.url)
        answer = self.answers.get(request.url, "alive")
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if answer == "hang":
            await asyncio.Event().wait()
        if isinstance(answer, BaseException):
            raise answer
        self.now += timedelta(seconds=1)
        if isinstance(answer, Page):
            return replace(answer, url=answer.url or request.url, fetched_at=self.now)
        return Page(
            request.url, 200, {"set-cookie": "a=b", "server": "x"}, str(answer).encode(), self.now
        )


class Readers:
    """A parser pool that parses in this process."""

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None

    async def parse(self, parser, page):
        return parser(page)

    async def find_fault(self):
        return ""


@dataclass
class Small:
    """An auditor with a fake web."""

    config: Config
    store: Store
    body_store: BodyStore
    web: Web
    locked: bool = False
    data_folder: Path | None = None

    def create_fetcher(self, now, host_lock=None, parsers=None):  # the only process
        self.web.now, self.web.request_count, self.web.requests_by_host = now, 0, Counter()
        return self.web

    def create_parser_pool(self):
        return Readers()

    def hold_run_lock(self):
        if self.locked:
            raise RunLockedError("another run is in progress")
        return nullcontext()


def configured(channels=("website", "facebook", "youtube"), **canaries):
    named = {name: ChannelSettings(canaries=canaries.get(name, ())) for name in channels}
    fetch = FetchOptions(second_pass_delay=0, concurrency=4)
    return Config(channels=named, rules=RULES, fetch=fetch, backup=BackupSettings(after_run=False))


def opened(folder, config=None, store=None):
    store = store or Store.open(f"sqlite:///{folder}/auditor.db")
    return Small(
        config or configured(), store, BodyStore(folder / "archive"), Web(), data_folder=folder
    )


@pytest.fixture
def surveyed_app(tmp_path, monkeypatch):
    """Yield an auditor whose configuration has a figure of the survey."""
    monkeypatch.setattr(checker, "create_probe", steps)
    survey = SurveySettings(figures={"facebook": 83.0})
    small = opened(tmp_path, configured().model_copy(update={"survey": survey}))
    yield small
    small.store.close()


def lived(live):
    """Return a fixture: an auditor after the coroutine `live` (run once). Tests get copies."""
    made = []

    def first(folder):
        small = opened(folder)
        with pytest.MonkeyPatch.context() as patched, ThreadPoolExecutor(1) as aside:
            patched.setattr(checker, "create_probe", steps)
            # the event loop of this thread belongs to the test
            aside.submit(asyncio.run, live(small)).result()
        small.store.close()
        return small

    @pytest.fixture
    def app(tmp_path, tmp_path_factory, monkeypatch):
        if not made:
            made.append(first(tmp_path_factory.mktemp("lived")))
        shutil.copytree(made[0].data_folder, tmp_path, dirs_exist_ok=True)
        monkeypatch.setattr(checker, "create_probe", steps)
        small = opened(tmp_path)
        small.web.answers = dict(made[0].web.answers)
        yield small
        small.store.close()

    return app


def register(app, *rows, now=START - timedelta(hours=1), names=()):
    names = sorted({row.association for row in rows} | set(names))
    app.store.registry.save_registry(
        [Association(name, name.title()) for name in names], list(rows), now
    )


async def interrupt_run(app, now, checked_count, **options):
    """Execute a run, and cancel it when so many of its accounts are checked."""
    reached = asyncio.Event()

    def on_progress(checked, _total):
        if checked == checked_count:
            reached.set()

    task = asyncio.create_task(execute_run(app, now, on_progress=on_progress, **options))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
