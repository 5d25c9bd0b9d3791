"""A small network and a small web for the tests of the night: invented associations, one simple probe."""

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
from auditor.config.schema import Backup, ChannelConfig, Config
from auditor.core.errors import LockedError
from auditor.receipts.signing import Seal
from auditor.rules.engine import Rule
from probes.http.fetcher import FetchOptions
from probes.models.finding import Activity, Finding, FoundLink, Identity, Kind, Precision, Presence, Reason
from probes.models.http import Ask, Page
from probes.models.probe import absent, present
from storage.files.body_store import Archive
from storage.models.audit import AccountRow, Association
from storage.store import Store

START = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
RULES = TypeAdapter(tuple[Rule, ...]).validate_python(
    [
        {"code": "channel_missing", "check": "undeclared", "channels": ["facebook", "youtube"]},
        {"code": "channel_dead", "check": "absent", "channels": ["facebook"], "reasons": ["not_found"]},
        {"code": "website_down", "check": "unreachable", "channels": ["website"], "reasons": ["network"]},
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
PROFILE = FoundLink("youtube", "@nour", "https://www.youtube.com/@nour", "anchor", "https://nour.example/")


def night_of(day):
    return START + timedelta(days=day)


def steps(account, keyed=()):
    """A probe for tests: the page's one word says what it is."""
    page = yield Ask(account.identity.canonical, registered=True)
    word = page.body.decode()
    if word == "bug":
        raise ZeroDivisionError("a bug in a probe")
    if word == "gone":
        return absent(page, Reason.NOT_FOUND)
    if word == "fresh":
        return present(page, last_activity=Activity(START, "feed"))
    if word in AGO:  # as YouTube says it, which is another day each night
        when = page.fetched_at - timedelta(days=AGO[word])
        return present(page, last_activity=Activity(when, "videos", Precision.MONTH, relative=True))
    if word == "wall":
        return Finding(Presence.UNKNOWN, Reason.LOGIN_WALL, status=page.status)
    links = (PROFILE,) if word == "linked" else ()
    return present(page, links=links, facts={"viewport": word != "wide"})


AGO = {"a month ago": 31, "two months ago": 62}


def link(association, channel, name):
    url = f"https://{channel}.example/{name}" if channel != "website" else f"https://{name}.example/"
    identity = Identity(
        channel, Kind.PAGE, f"u:{name}" if channel != "website" else f"{name}.example", url, url
    )
    return AccountRow(association, url, identity, channel)


@dataclass
class Web:
    """What each address answers tonight: a word, a Page, or an exception; by default `alive`.

    What is in `once` may be asked for once a night.
    """

    answers: dict[str, object] = field(default_factory=dict)
    now: datetime = START
    requests: int = 0
    retries: int = 0
    by_host: Counter = field(default_factory=Counter)
    others: Callable = field(default=lambda: 0)
    asked: list[str] = field(default_factory=list)
    passes: int = 1
    once: set[str] = field(default_factory=set)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None

    def new_pass(self):
        self.passes += 1

    async def may_repeat(self, ask, got):
        return ask.url not in self.once

    async def get(self, ask):
        self.requests += 1
        self.asked.append(ask.url)
        answer = self.answers.get(ask.url, "alive")
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if answer == "hang":
            await asyncio.Event().wait()
        if isinstance(answer, BaseException):
            raise answer
        self.now += timedelta(seconds=1)
        if isinstance(answer, Page):
            return replace(answer, url=answer.url or ask.url, fetched_at=self.now)
        return Page(ask.url, 200, {"set-cookie": "a=b", "server": "x"}, str(answer).encode(), self.now)


class Readers:
    """Readers in this very process."""

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None

    async def read(self, read, page):
        return read(page)


@dataclass
class Small:
    """An auditor with a small web instead of the real one."""

    config: Config
    store: Store
    archive: Archive
    web: Web
    locked: bool = False
    folder: Path | None = None

    def fetcher(self, now, turns=None):  # nobody else asks
        self.web.now, self.web.requests, self.web.by_host = now, 0, Counter()
        return self.web

    def seal(self):
        return Seal.open(self.folder)

    def readers(self):
        return Readers()

    def lock(self):
        if self.locked:
            raise LockedError("another run is going on")
        return nullcontext()


def configured(channels=("website", "facebook", "youtube"), **canaries):
    named = {name: ChannelConfig(canaries=canaries.get(name, ())) for name in channels}
    fetch = FetchOptions(second_pass_after=0, concurrency=4)
    return Config(channels=named, rules=RULES, fetch=fetch, backup=Backup(nightly=False))


def opened(folder, config=None, store=None):
    store = store or Store.open(f"sqlite:///{folder}/auditor.db")
    return Small(config or configured(), store, Archive(folder / "archive"), Web(), folder=folder)


def lived(live):
    """A fixture: an auditor as `live` leaves it, with the simple probe. Lived once; each test has a copy."""
    made = []

    def first(folder):
        small = opened(folder)
        with pytest.MonkeyPatch.context() as patched, ThreadPoolExecutor(1) as aside:
            patched.setattr(checker, "steps", steps)
            aside.submit(asyncio.run, live(small)).result()  # this thread's loop is the test's
        small.store.close()
        return small

    @pytest.fixture
    def app(tmp_path, tmp_path_factory, monkeypatch):
        if not made:
            made.append(first(tmp_path_factory.mktemp("lived")))
        shutil.copytree(made[0].folder, tmp_path, dirs_exist_ok=True)
        monkeypatch.setattr(checker, "steps", steps)
        small = opened(tmp_path)
        small.web.answers = dict(made[0].web.answers)
        yield small
        small.store.close()

    return app


def register(app, *rows, now=START - timedelta(hours=1), names=()):
    names = sorted({row.association for row in rows} | set(names))
    app.store.save_registry([Association(name, name.title()) for name in names], list(rows), now)
