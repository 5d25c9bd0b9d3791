"""A network of fourteen associations after twelve runs, with every state, for tests of pages.

The answer of a URL is one word, as in `mini_network`, and optionally the date of the last post.
"""

import asyncio
import atexit
import shutil
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from auditor.checking import checker
from auditor.config.schema import ChannelSettings, find_packaged_config, load_config
from auditor.presentation import report_links
from auditor.registry.spreadsheet import to_csv
from auditor.runs.run import execute_run
from probes.http.fetcher import FetchOptions
from probes.links import identify
from probes.models.finding import Activity, Finding, FoundLink, Presence, Reason
from probes.models.http import PageRequest
from probes.models.probe import absent_finding, present_finding, unknown_finding
from storage.communication.workshops import Workshop
from storage.conclusions import Conclusions
from storage.files.body_store import BodyStore
from storage.models.audit import (
    AccountRow,
    Association,
    AssociationEntry,
    Contact,
    Decision,
    DecisionKind,
    Proposal,
    SurveyAnswer,
)
from storage.models.users import ReplyKind, Role
from storage.store import Store
from storage.tables.communication import Reply
from storage.tables.users import User
from tests.support.mini_network import Small, Web
from tests.support.stored import add_reply

FIRST = datetime(2026, 11, 1, 0, 30, tzinfo=UTC)
NIGHTS = 12
NOW = FIRST + timedelta(days=NIGHTS - 1, hours=8)
LONG = "جمعية " + "النور للتنمية البشرية والعمل الاجتماعي والثقافي بالمغرب الشرقي " * 3 + "ن" * 150
MARKUP = '<b>Association</b> "Al & Amal" <script>x</script>'
WORKSHOP_TITLE = f"Open a channel {MARKUP}"

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
    ("long", "website", "http://long.org.ma/", "down"),
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
"""Name of an uploaded spreadsheet whose import is not confirmed yet."""
UNREAD = f"{NOW:%Y%m%d%H%M%S}-{'b' * 22}"
"""Name of an uploaded spreadsheet of which no column is known to have names."""
NOTE = "a note of a probe without a translation"
"""A detail that a probe writes itself. Quoted text of a page is not translated."""
FOUND = FoundLink(
    "instagram", "nour", "https://www.instagram.com/nour/", "anchor", "https://nour.example/"
)


REPLIES = [
    (ReplyKind.CLAIMED, None),
    (ReplyKind.DISOWNED, None),
    (ReplyKind.CLOSED, None),
    (ReplyKind.MOVED, "https://www.facebook.com/nour.agadir.new"),
    (ReplyKind.DISPUTED, None),
]


def steps(account, keyed=()):
    """Probe an account. The page has a word for the state, and the date of the last post."""
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
    """Return the registered accounts."""
    return [
        AccountRow(association, link, identify.identify_link(link, channel), channel)
        for association, channel, link, _ in ACCOUNTS
    ]


def played(folder, url=None):
    """Return the network after its runs.

    The runs are executed once in a process, and SQLite databases are copies of the result.
    """
    if url or PEOPLE is not USUAL:
        app = _opened(folder, url)
        _play(app)
        return app
    shutil.copytree(_play_once(), folder, dirs_exist_ok=True)
    return _opened(folder)


USUAL = PEOPLE


@cache
def _play_once():
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
    app.store.registry.save_registry(PEOPLE, rows(), FIRST - timedelta(days=1))
    asyncio.run(_execute_runs(app))
    for decision in _decisions():
        app.store.decisions.add(decision)
    _add_communication(app)
    app.store.users.add(User(name="Amina", role=Role.ADMIN, added_at=NOW, added_by="operator"))
    (app.data_folder / "uploads").mkdir()
    (app.data_folder / "uploads" / WAITING).write_bytes(to_csv(SHEET))
    unread_sheet = to_csv([["Structure", "Lieu"], ["Amal", "Agadir"]])
    (app.data_folder / "uploads" / UNREAD).write_bytes(unread_sheet)


async def _execute_runs(app):
    rows = {
        row.typed_text: row.identity.canonical or row.typed_text
        for row in app.store.registry.list_accounts()
    }
    original, checker.create_probe = checker.create_probe, steps
    try:
        for day in range(NIGHTS):
            answers = {rows[link]: word for _, _, link, word in ACCOUNTS}
            if day < 3:
                answers[rows["https://www.youtube.com/@nour"]] = "alive 2026-10-20"
            app.web.answers = answers
            if day != 6:  # a missed run: charts over time have a gap
                await execute_run(app, FIRST + timedelta(days=day))
    finally:
        checker.create_probe = original


def _add_communication(app):
    """Add replies of every kind, proposals, and report links in every state."""
    store = app.store
    account = next(
        row.id for row in store.registry.list_accounts("nour") if row.channel == "facebook"
    )
    for kind, value in REPLIES:
        about = {"channel": "facebook", "account_id": account, "value": value}
        add_reply(
            store,
            Reply(association="nour", kind=kind, submitted_at=NOW, text="نعم، ومن قبل", **about),
        )
    gap = {"channel": "youtube", "code": "channel_missing", "value": "2026-12-24"}
    add_reply(
        store,
        Reply(association="amal", kind=ReplyKind.PROMISED, submitted_at=NOW, text=MARKUP, **gap),
    )
    rows = [("long", "company/long"), ("amal", "company/a-very-long-name-" * 6)]
    for association, key in rows:
        found_link = FoundLink(
            "linkedin",
            key,
            f"https://www.linkedin.com/{key}",
            "anchor",
            "https://x.example/",
            snippet=MARKUP,
        )
        store.conclusions.save(Conclusions(proposals=[Proposal(association, found_link, NOW, NOW)]))
    held = Workshop(FIRST.date(), WORKSHOP_TITLE, "youtube", "channel_missing")
    store.workshops.invite(["nour", "amal", "long"], held, "Amina", FIRST)
    store.workshops.save_attendance(held, ["nour", "amal"], [], "Amina", FIRST)
    answers = {"media_officer": "dedicated", "training": "yes", "recordings": "phones"}
    store.survey_answers.add_all(
        [
            SurveyAnswer(association="nour", question=name, answer=value, answered_at=NOW)
            for name, value in answers.items()
        ]
    )
    for association in ("nour", "nour", "amal", "long"):
        report_links.create_report_link(store, app.config, association, "Amina", NOW)
    report_links.create_report_link(store, app.config, "bare", "Amina", FIRST, valid_days=2)


def _decisions():
    yield Decision("bare", "twitter", DecisionKind.NONE_BY_CHOICE, "Amina", "لا نحتاجه", NOW)
    yield Decision(
        "long", "website", DecisionKind.WAIVE, "Amina", MARKUP, NOW, code="channel_missing"
    )
