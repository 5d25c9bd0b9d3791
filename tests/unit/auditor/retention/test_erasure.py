"""An erased association is in no table, stored page or byte of a file; the coverage stays."""

import asyncio
import gzip
import io
import json
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from auditor.app import App
from auditor.checking import checker
from auditor.cli import main
from auditor.conclusions.reevaluate import reevaluate
from auditor.config import schema
from auditor.core.i18n.translator import Translator
from auditor.presentation import report_links
from auditor.runs import run as runs_run
from probes.models.finding import FoundLink, Reason
from probes.models.http import PageRequest
from probes.models.probe import absent_finding, present_finding
from probes.runner.parser_pool import ParserPool
from storage.conclusions import Conclusions
from storage.files.body_store import BodyStore, BodyWriter, compress_body
from storage.models.audit import (
    Association,
    AssociationEntry,
    Contact,
    Decision,
    DecisionKind,
    DecisionWithdrawal,
    Gap,
    Proposal,
)
from storage.models.users import ChangeOrigin, FollowUpKind, ReplyKind, Role
from storage.store import Store
from storage.tables.communication import FollowUp, Reply, Subscription
from tests.support.mini_network import START, Web, configured, link, night_of
from tests.support.permissions import permissions_respected
from tests.support.stored import add_reply
from tests.support.web_server import logged_in_client

MARK = "zzmarkzz"
"""A text in everything stored about the association, and nowhere else."""
ID = f"id-{MARK}"
PAGE = f"https://facebook.example/{MARK}"
SITE = f"https://{MARK}.example/"
NOW = night_of(2) + timedelta(hours=8)
CONFIG = """
[storage]
folder = "."

[web]
public_url = "https://reports.example.org"
"""


def steps(account, keyed=()):
    """Run a probe that finds the account named on each page and keeps its text."""
    page = yield PageRequest(account.identity.canonical, is_registered_link=True)
    if page.body == b"gone":
        return absent_finding(page, Reason.NOT_FOUND)
    name = page.body.decode()[:40]
    url = f"https://www.youtube.com/@{name}"
    found_link = FoundLink("youtube", f"@{name}", url, "anchor", page.url, name)
    return present_finding(
        page,
        name=name,
        platform_id=name if MARK in name else None,
        links=(found_link,),
        facts={"title": name},
    )


class OfflineApp(App):
    """The app that a command opens, with the test's web, parsed in this process."""

    def create_parser_pool(self):
        return ParserPool(0)

    def create_fetcher(self, now, host_lock=None, parsers=None):  # the only process
        web = Web(now=now)
        web.answers = {PAGE: f"{MARK} page", SITE: f"{MARK} site"}
        return web


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """Return a network with one association that has every kind of stored data."""
    folder = tmp_path_factory.mktemp("known")
    (folder / "config.toml").write_text(CONFIG)
    usual, checker.create_probe = checker.create_probe, steps
    try:
        with _opened(folder) as app:
            _register(app)
            for day in range(3):
                asyncio.run(runs_run.execute_run(app, night_of(day)))
            _store_communication(app)
    finally:
        checker.create_probe = usual
    (folder / "uploads").mkdir(exist_ok=True)
    (folder / "uploads" / f"{NOW:%Y%m%d%H%M%S}-{'a' * 22}").write_text(f"id,name\n{ID},{MARK}\n")
    return folder


@pytest.fixture
def folder(known, tmp_path, monkeypatch):
    """Return a copy of that network to change."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOGNAME", "Salma")
    monkeypatch.setattr(checker, "create_probe", steps)
    shutil.copytree(known, tmp_path, dirs_exist_ok=True)
    return tmp_path


def _opened(folder):
    usual = schema.load_config(
        folder / "config.toml", {"AUDITOR_STORAGE__URL": f"sqlite:///{folder}/auditor.db"}
    )
    config = configured().model_copy(update={"storage": usual.storage, "web": usual.web})
    return OfflineApp(config, Store.open(config.storage.url), BodyStore(folder / "archive"))


def _register(app):
    people = [
        AssociationEntry(
            Association(
                ID, f"Name {MARK}", region=f"Region {MARK}", city=f"City {MARK}", tags=(MARK, "all")
            ),
            Contact(f"{MARK}@example.org", f"06 {MARK}", f"Officer {MARK}", f"Note {MARK}"),
        ),
        Association("nour", "Nour", region="Rabat", tags=("all",)),
    ]
    rows = [
        link(ID, "website", MARK),
        link(ID, "facebook", MARK),
        link(ID, "youtube", "shared"),
        link("nour", "youtube", "shared"),
        link("nour", "facebook", "nour"),
    ]
    app.store.registry.save_registry(people, rows, START - timedelta(hours=2))
    changed = people[0].replace_values({"phone": f"07 {MARK}"})
    app.store.registry.save_registry(
        [changed, people[1]], rows, START - timedelta(hours=1), origin=ChangeOrigin("Amina", "web")
    )


def _store_communication(app):
    store = app.store
    account = next(row.id for row in store.registry.list_accounts(ID))
    decision = store.decisions.add(
        Decision(
            ID, "facebook", DecisionKind.CONFIRM, "Amina", f"why {MARK}", NOW, account_id=account
        )
    )
    store.decisions.withdraw([decision.id], DecisionWithdrawal("Amina", f"back {MARK}", NOW))
    report_links.create_report_link(store, app.config, ID, f"Amina {MARK}", NOW)
    add_reply(
        store, Reply(association=ID, kind=ReplyKind.DISPUTED, submitted_at=NOW, text=f"said {MARK}")
    )
    store.follow_ups.add(
        FollowUp(
            association=ID,
            kind=FollowUpKind.CALLED,
            author="Amina",
            occurred_at=NOW,
            text=f"talked {MARK}",
        )
    )
    store.subscriptions.save(
        Subscription(
            address=f"{MARK}@example.org",
            kind="monthly",
            is_wanted=True,
            changed_at=NOW,
            association=ID,
            token_hash="hash",
        )
    )
    store.messages.claim(f"{MARK}@example.org", "monthly", f"2026-03 {ID}", NOW)
    store.messages.claim(f"{MARK}@example.org", "monthly", "2026-11-25", NOW)
    store.messages.record_failure(f"{MARK}@example.org", "monthly", "2026-11-25", "refused", NOW)
    store.messages.claim(f"{MARK}@example.org", "digest", "2026-03-01", NOW)
    store.conclusions.save(
        Conclusions(
            gaps=[
                Gap(
                    "nour",
                    "youtube",
                    "account_shared",
                    "low",
                    NOW,
                    opened_at=NOW,
                    params={"other": ID},
                )
            ],
            proposals=[
                Proposal(
                    ID, FoundLink("linkedin", MARK, f"https://l.example/{MARK}", "a"), NOW, NOW
                )
            ],
        )
    )


def run(*arguments):
    return main.main([*arguments])


def dump_database(folder):
    with closing(sqlite3.connect(folder / "auditor.db")) as raw:
        return "\n".join(raw.iterdump())


def find_traces(folder):
    """Return the files that contain the mark, compressed ones included."""
    paths = []
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            data = file.read_bytes()
            data += gzip.decompress(data) if file.suffix == ".gz" else b""
            if MARK.encode() in data.lower() or MARK in file.name:
                paths.append(file.relative_to(folder).as_posix())
    return paths


def load_figures(folder):
    """Return the counts of each run, and its report."""
    with _opened(folder) as app:
        runs = list(app.store.runs.list_all())
        facets = ["", "tag:all", "region:Rabat"]
        counts = app.store.counts.get_run_facet_counts([run.id for run in runs], facets)
        return counts, [run.report for run in runs]


def test_erasure_leaves_no_trace_of_an_association(folder, capsys):
    before, stored_text = load_figures(folder), dump_database(folder)
    assert stored_text.count(MARK) > 60
    assert {"auditor.db", "uploads"} <= {name.partition("/")[0] for name in find_traces(folder)}
    assert sum(name.startswith("archive/") for name in find_traces(folder)) == 2
    assert run("registry", "erase", ID, "--yes") == 0
    error_output = capsys.readouterr().err
    assert "rows erased" in error_output
    assert "older backups still contain it" in error_output
    assert MARK not in dump_database(folder)
    assert find_traces(folder) == []
    assert load_figures(folder) == before
    with _opened(folder) as app:
        reevaluate(app)
        app.store.create_backup(folder / "after.db")
        [line] = app.store.audit_log.list_audit_log(limit=1)
    assert (line.author, line.source, line.kind) == ("Salma", "erase", "erased")
    assert (load_figures(folder), find_traces(folder)) == (before, [])


def test_erasure_removes_bodies_staged_by_a_backup(folder):
    archive, copies = BodyStore(folder / "archive"), BodyStore(folder / "backups" / "evidence")
    with BodyWriter(copies) as writer:
        for digest in archive.list_digests():
            writer._write_staged(digest, compress_body(archive.get(digest)))
        before = set(archive.list_digests())
        assert run("registry", "erase", ID, "--yes") == 0
        left = {file.name.rpartition("-")[2] for file in (copies.folder / ".staging").iterdir()}
    assert left == set(archive.list_digests()) < before


def test_erasure_keeps_the_data_of_others(folder):
    with _opened(folder) as app:
        before = list(app.store.observations.list_observations(association="nour"))
    assert run("registry", "erase", ID, "--yes") == 0
    with _opened(folder) as app:
        assert list(app.store.observations.list_observations(association="nour")) == before
        assert all(
            piece.digest in app.body_store
            for observation in before
            for piece in observation.evidence
            if piece.digest
        )
        assert [row.id for row in app.store.search.list_summaries().rows] == ["nour"]
        assert app.store.counts.get_facet_counts()["all"] == 1
        assert not [
            gap for gap in app.store.conclusions.list_gaps("nour") if gap.params.get("other")
        ]
        with app.store.begin_read() as connection:
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []


def test_erasure_asks_on_a_terminal_and_needs_yes_without_one(folder, capsys, monkeypatch):
    assert run("registry", "erase", ID) == 2
    assert "--yes" in capsys.readouterr().err
    assert run("registry", "erase", ID, "--dry-run") == 0
    counts = dict(line.split("\t") for line in capsys.readouterr().out.splitlines()[1:])
    assert (counts["contact"], counts["account"], counts["observation"], counts["body"]) == (
        "1",
        "3",
        "9",
        "2",
    )
    monkeypatch.setattr("auditor.cli.maintenance.can_prompt", lambda: True)
    for line, is_left in (("no\n", True), ("", True), ("نعم\n", False)):
        monkeypatch.setattr("sys.stdin", io.StringIO(line))
        assert run("registry", "erase", ID) == 0
        assert (MARK in dump_database(folder)) is is_left


def test_contact_alone_can_be_erased(folder, capsys):
    assert run("registry", "erase", ID, "--contacts", "--yes") == 0
    with _opened(folder) as app:
        assert not app.store.registry.get_contact(ID)
        assert app.store.registry.get_association(ID).contact_methods == frozenset()
        assert list(app.store.subscriptions.list_subscriptions()) == []
        assert {change.field for change in app.store.audit_log.list_audit_log(ID)}.isdisjoint(
            {"phone", "email"}
        )
        assert app.store.audit_log.list_audit_log(ID, limit=1)[0].field == "contact"
    for word in (f"{MARK}@example", f"06 {MARK}", f"07 {MARK}", f"Officer {MARK}", f"Note {MARK}"):
        assert word not in dump_database(folder)
        assert word.encode() not in (folder / "auditor.db").read_bytes()
    capsys.readouterr()
    assert run("registry", "erase", ID, "--contacts", "--yes") == 0
    assert "already erased" in capsys.readouterr().err


def test_all_stored_data_of_an_association_can_be_shown(folder, capsys):
    assert run("registry", "show-data", ID, "--json") == 0
    items = json.loads(capsys.readouterr().out)["items"]
    kinds = {item["stored"] for item in items}
    assert kinds >= {
        "association", "contact", "account", "observation", "decision", "decision_withdrawal",
        "report_link", "reply", "follow_up", "subscription", "sent_message", "audit_log",
        "proposal", "association_summary", "probe_result", "account_check_times",
    }  # fmt: skip
    assert {kind for kind in kinds if Translator("ar").term("stored_data", kind) == kind} == set()
    assert (
        next(item for item in items if item["stored"] == "contact")["email"]
        == f"{MARK}@example.org"
    )
    assert not any("token_hash" in item for item in items)


def test_import_of_an_erased_association_warns(folder, capsys):
    assert run("registry", "erase", ID, "--yes") == 0
    (folder / "again.csv").write_text(f"id,name\n{ID},Back\nnour,Nour\n")
    capsys.readouterr()
    assert run("registry", "validate", "again.csv", "--json") == 0
    [problem] = json.loads(capsys.readouterr().out)["items"]
    assert (problem["line"], problem["problem"], problem["severity"]) == (
        2,
        "erased_association",
        "warning",
    )
    assert run("registry", "import", "again.csv", "--yes") == 0
    assert "erased before" in capsys.readouterr().err


def test_unlisted_association_can_be_erased(folder):
    (folder / "less.csv").write_text("id,name,youtube\nnour,Nour,\n")
    assert run("registry", "import", "less.csv", "--prune", "--yes") == 0
    assert MARK in dump_database(folder)
    assert run("registry", "erase", ID, "--yes") == 0
    assert f"Officer {MARK}" not in dump_database(folder)
    assert ID not in dump_database(folder)


ADDRESS = f"/ar/registry/erase/{ID}"


def test_erasure_page_needs_the_typed_code_and_erases_the_contact_by_default(folder):
    with _opened(folder) as app, logged_in_client(app, NOW) as client:
        assert f'href="{ADDRESS}"' in client.get(f"/ar/registry/entries/{ID}").text
        response = client.get(ADDRESS)
        assert response.status_code == 200
        assert response.text.count("<tr>") > 12
        refused = client.post(ADDRESS, data={"scope": "all", "confirmation": "nour"})
        assert refused.status_code == 422
        assert app.store.registry.get_contact(ID)
        assert client.post(ADDRESS, data={"confirmation": ID}).status_code == 303
        assert app.store.registry.get_association(ID)
        assert not app.store.registry.get_contact(ID)
        done = client.post(ADDRESS, data={"scope": "all", "confirmation": ID})
        assert (done.status_code, done.headers["location"]) == (303, "/ar/registry?erased=all")
        assert 'role="status"' in client.get(done.headers["location"]).text
        assert client.get(ADDRESS).status_code == 404
    assert find_traces(folder) == []


def test_regional_coordinator_and_reader_cannot_erase(folder):
    form = {"scope": "all", "confirmation": ID}
    with _opened(folder) as app:
        for role, regions in ((Role.READER, ()), (Role.COORDINATOR, (f"Region {MARK}",))):
            with logged_in_client(app, NOW, name=role, role=role, regions=regions) as client:
                responses = client.get(ADDRESS), client.post(ADDRESS, data=form)
            assert [response.status_code for response in responses] == [403, 403]
        assert app.store.registry.get_association(ID)


def test_erasure_names_older_backups_and_restore_reports_returned_associations(folder, capsys):
    assert run("backup") == run("backup", "backups/mine.db") == 0
    [backup] = (folder / "backups").glob("auditor-*.db")
    assert run("registry", "erase", ID, "--yes") == 0
    error = capsys.readouterr().err
    for file in (backup, folder / "backups" / "mine.db"):
        assert f"delete it: {file.relative_to(folder)}" in error
    (folder / "backups" / "mine.db").unlink()
    assert find_traces(folder) == [backup.relative_to(folder).as_posix()]
    for _ in range(2):  # the second one reads it from the database that the first one replaced
        assert run("restore", "--yes", str(backup), "--json") == 0
        assert json.loads(capsys.readouterr().out)["items"][0]["erased_but_restored"] == [ID]
    assert run("registry", "erase", ID, "--yes") == 0
    backup.unlink()
    for copy in folder.glob("auditor.db.before-*"):
        copy.unlink()
    assert find_traces(folder) == []


def test_restore_names_contacts_that_were_erased_after_the_backup(folder, capsys):
    assert run("backup") == 0
    [backup] = (folder / "backups").glob("auditor-*.db")
    assert run("registry", "erase", ID, "--contacts", "--yes") == 0
    capsys.readouterr()
    assert run("restore", "--yes", str(backup)) == 0
    assert f"the contact of {ID} was erased and is back" in capsys.readouterr().err


def test_restore_whose_pages_cannot_be_read_changes_nothing(folder):
    assert run("backup") == 0
    [backup] = (folder / "backups").glob("auditor-*.db")
    assert run("registry", "erase", ID, "--yes") == 0
    shutil.rmtree(folder / "archive")
    page = next(file for file in (folder / "backups" / "evidence").rglob("*") if file.is_file())
    page.chmod(0)
    with permissions_respected():
        assert run("restore", "--yes", str(backup)) == 3
    with _opened(folder) as app:
        assert app.store.registry.get_association(ID) is None


@pytest.mark.parametrize("has_other_key", [False, True])
@pytest.mark.parametrize("place", ["backups", "stick"])
def test_restore_reports_erased_associations_from_newer_backups(
    folder, capsys, place, has_other_key
):
    assert run("backup") == 0
    [older] = (folder / "backups").glob("auditor-*.db")
    (folder / "stick").mkdir()
    older = older.rename(folder / "stick" / "older.db")
    assert run("registry", "erase", ID, "--yes") == 0
    assert run("backup") == 0
    [newer] = (folder / "backups").glob("auditor-*.db")
    newer.rename(folder / place / newer.name)
    (folder / "auditor.db").unlink()
    if has_other_key:  # as on another machine, on which something was erased before
        (folder / "stick" / "keys").mkdir()
        (folder / "unsubscribe.key").rename(folder / "stick" / "keys" / "unsubscribe.key")
        (folder / "unsubscribe.key").write_bytes(bytes(32))
    capsys.readouterr()
    assert run("restore", "--yes", str(older), "--json") == 0
    assert json.loads(capsys.readouterr().out)["items"][0]["erased_but_restored"] == [ID]


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--contacts"]])
def test_erasure_beside_an_open_reader_reports_traces_and_can_be_repeated(
    folder, capsys, monkeypatch, options
):
    monkeypatch.setattr("storage.database.sqlite_file.BUSY_TIMEOUT_SECONDS", 1)
    with closing(sqlite3.connect(folder / "auditor.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM association").fetchone()
        assert run("registry", "erase", ID, *options, "--yes") == 3
    assert "still has traces" in capsys.readouterr().err
    assert run("registry", "erase", ID, *options, "--yes") == 0
    assert f"{MARK}@example".encode() not in (folder / "auditor.db").read_bytes()
