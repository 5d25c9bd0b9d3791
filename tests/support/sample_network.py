"""A small network in every state there is, for looking at pages: twelve nights of fourteen associations.

What an address answers is one word a night, as in `small`, and perhaps the day of its last publication.
"""

import asyncio
import atexit
import shutil
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from auditor import report_links
from auditor.checking import checker
from auditor.config.schema import ChannelSettings, find_packaged_config, load_config
from auditor.registry.spreadsheet import to_csv
from auditor.runs.run import execute_run
from probes.http.fetcher import FetchOptions
from probes.links import identify
from probes.models.finding import Activity, Finding, FoundLink, Presence, Reason
from probes.models.http import PageRequest
from probes.models.probe import absent_finding, present_finding, unknown_finding
from storage.files.body_store import BodyStore
from storage.models.audit import (
    AccountRow,
    Association,
    AssociationEntry,
    Contact,
    Decision,
    DecisionKind,
    Proposal,
)
from storage.models.users import Reply, ReplyKind, Role, User
from storage.store import Store
from tests.support.mini_network import Small, Web

FIRST = datetime(2026, 11, 1, 0, 30, tzinfo=UTC)
NIGHTS = 12
NOW = FIRST + timedelta(days=NIGHTS - 1, hours=8)
LONG = "جمعية " + "النور للتنمية البشرية والعمل الاجتماعي والثقافي بالمغرب الشرقي " * 3 + "ن" * 150
MARKUP = '<b>Association</b> "Al & Amal" <script>x</script>'

PEOPLE = (
    AssociationEntry(
        Association(
            "nour",
            "جمعية النور",
            name_fr="Association Nour",
            region="Souss-Massa",
            city="Agadir",
            tags=("rabat", "badge"),
        ),
        Contact("nour@nour.example", "06 12 34 56 78"),
    ),
    AssociationEntry(
        Association(
            "amal", MARKUP, region="L’Oriental", city="Oujda", language="fr", tags=("rabat",)
        )
    ),
    AssociationEntry(
        Association("long", LONG, region="Rabat-Salé-Kénitra"),
        Contact(f"{'contact.' * 7}nour@{'association-' * 4}nour.example", "+212 537 00 00 00"),
    ),
    AssociationEntry(Association("bare", "جمعية بلا حساب", region="Souss-Massa", city="Tiznit")),
    *(
        AssociationEntry(
            Association(
                f"x{number}",
                f"Association numéro {number}",
                region="Souss-Massa",
                language="fr" if number else "en",
                tags=("rabat",),
            )
        )
        for number in range(10)
    ),
)
WORDS = ("wall", "alive 2026-10-30")
ACCOUNTS = (
    ("nour", "website", "https://nour.example/", "linked 2026-11-10"),
    ("nour", "facebook", "https://www.facebook.com/nour.agadir", "alive 2026-11-09"),
    ("nour", "twitter", "https://x.com/nour", "alive 2025-01-02"),
    ("nour", "linkedin", "https://www.linkedin.com/company/nour", "wall"),
    ("nour", "youtube", "https://www.youtube.com/@nour", "gone"),
    ("amal", "website", f"https://amal.example/{'a-very-long-way/' * 8}", "wide"),
    ("amal", "facebook", "https://www.facebook.com/sharer/sharer.php?u=x", "alive"),
    ("long", "website", "http://long.example/", "down"),
    ("long", "facebook", "https://www.facebook.com/groups/long", "private"),
    ("long", "youtube", "https://www.youtube.com/@long", "empty"),
    *((f"x{number}", "facebook", f"https://www.facebook.com/x{number}", WORDS[number % 2])
      for number in range(10)),
)  # fmt: skip
SHEET = (
    ("id", "name", "city", "media_officer", "facebook", "youtube", "none_by_choice"),
    (
        "nour",
        "جمعية النور",
        "Tiznit",
        "bénévole",
        "https://www.facebook.com/nour.agadir",
        "",
        "twitter",
    ),
    ("amal", MARKUP, "", MARKUP, "https://www.facebook.com/nour.agadir", "", "fax"),
    ("long", LONG, "Rabat", "لا أحد", f"https://www.facebook.com/{'a' * 50}", "", ""),
)
WAITING = f"{NOW:%Y%m%d%H%M%S}-{'a' * 22}"
"""A corrected sheet that waits to be taken over."""
NOTE = "nothing that proves an account"
"""What a reader notes in its own words; what it quotes is what the page says."""
FOUND = FoundLink(
    "instagram", "nour", "https://www.instagram.com/nour/", "anchor", "https://nour.example/"
)


SAID = [
    (ReplyKind.CLAIMED, None),
    (ReplyKind.DISOWNED, None),
    (ReplyKind.CLOSED, None),
    (ReplyKind.MOVED, "https://www.facebook.com/nour.agadir.new"),
    (ReplyKind.DISPUTED, None),
]


def steps(account, keyed=()):
    """A probe by words: how the account is, and the day it last published."""
    page = yield PageRequest(
        account.identity.canonical or account.typed_text, is_registered_link=True
    )
    word, _, day = page.body.decode().partition(" ")
    last = Activity(datetime.fromisoformat(day).replace(tzinfo=UTC), "feed") if day else None
    if word == "gone":
        return absent_finding(page, Reason.NOT_FOUND, detail=word)
    if word in ("wall", "down"):
        return unknown_finding(
            page, Reason.LOGIN_WALL if word == "wall" else Reason.TIMEOUT, detail=NOTE
        )
    if word in ("private", "empty"):
        return Finding(Presence.PRESENT, Reason(word), status=200, final_url=page.url)
    found = (FOUND,) if word == "linked" else ()
    return present_finding(
        page, last_activity=last, links=found, facts={"viewport": word != "wide", "https": True}
    )


def rows():
    """The accounts that the sheet lists."""
    return [
        AccountRow(who, typed, identify.identify_link(typed, channel), channel)
        for who, channel, typed, _ in ACCOUNTS
    ]


def played(folder, url=None):
    """The network with its nights behind it: in a file a copy, as they are played once in a process."""
    if url or PEOPLE is not USUAL:
        app = _opened(folder, url)
        _play(app)
        return app
    shutil.copytree(_kept(), folder, dirs_exist_ok=True)
    return _opened(folder)


USUAL = PEOPLE


@cache
def _kept():
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    app = _opened(folder)
    with closing(app.store):
        _play(app)
    return folder


def _opened(folder, url=None):
    config = load_config(find_packaged_config(), {})
    channels = {name: ChannelSettings() for name in config.channels}
    fetch = FetchOptions(second_pass_delay=0, host_delay=0)
    web = config.web.model_copy(update={"public_url": "https://reports.example.org"})
    config = config.model_copy(update={"channels": channels, "fetch": fetch, "web": web})
    return Small(
        config,
        Store.open(url or f"sqlite:///{folder}/auditor.db"),
        BodyStore(folder / "archive"),
        Web(),
        data_folder=folder,
    )


def _play(app):
    app.store.save_registry(PEOPLE, rows(), FIRST - timedelta(days=1))
    asyncio.run(_nights(app))
    for decision in _decisions():
        app.store.add_decision(decision)
    _talk(app)
    app.store.add_user(User("Amina", Role.ADMIN, NOW, "operator"))
    (app.data_folder / "uploads").mkdir()
    (app.data_folder / "uploads" / WAITING).write_bytes(to_csv(SHEET))


async def _nights(app):
    rows = {
        row.typed_text: row.identity.canonical or row.typed_text
        for row in app.store.list_accounts()
    }
    usual, checker.probe_steps_for = checker.probe_steps_for, steps
    try:
        for night in range(NIGHTS):
            told = {rows[typed]: word for _, _, typed, word in ACCOUNTS}
            if night < 3:
                told[rows["https://www.youtube.com/@nour"]] = "alive 2026-10-20"
            app.web.answers = told
            if night != 6:  # a night that was missed: a gap in every line over the nights
                await execute_run(app, FIRST + timedelta(days=night))
    finally:
        checker.probe_steps_for = usual


def _talk(app):
    """Replies of every kind, accounts that were found, and letters in every state."""
    store = app.store
    account = next(row.id for row in store.list_accounts("nour") if row.channel == "facebook")
    for kind, value in SAID:
        about = {"channel": "facebook", "account_id": account, "value": value}
        store.add_reply(Reply("nour", kind, NOW, text="نعم، ومن قبل", **about))
    gap = {"channel": "youtube", "code": "channel_missing", "value": "2026-12-24"}
    store.add_reply(Reply("amal", ReplyKind.PROMISED, NOW, text=MARKUP, **gap))
    rows = [("long", "company/long"), ("amal", "company/a-very-long-name-" * 6)]
    for who, key in rows:
        seen = FoundLink(
            "linkedin",
            key,
            f"https://www.linkedin.com/{key}",
            "anchor",
            "https://x.example/",
            snippet=MARKUP,
        )
        store.save_conclusions(proposals=[Proposal(who, seen, NOW, NOW)])
    for who in ("nour", "nour", "amal", "long"):
        report_links.create_report_link(store, app.config, who, "Amina", NOW)
    report_links.create_report_link(store, app.config, "bare", "Amina", FIRST, valid_days=2)


def _decisions():
    yield Decision("bare", "twitter", DecisionKind.NONE_BY_CHOICE, "Amina", "لا نحتاجه", NOW)
    yield Decision(
        "long", "website", DecisionKind.WAIVE, "Amina", MARKUP, NOW, code="channel_missing"
    )
