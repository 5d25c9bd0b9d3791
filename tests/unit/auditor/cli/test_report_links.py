"""Tests of `auditor report-links`: links for many associations or one, in private files."""

import csv
import io
import json
import stat
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from openpyxl import load_workbook

from auditor.app import App
from auditor.cli import main, report_links
from auditor.config.schema import WebSettings
from auditor.presentation import report_links as auditor_report_links
from auditor.presentation.report_links import (
    EXPORT_COLUMNS,
    iter_invitations_file,
    select_associations,
)
from storage.models.audit import Association, AssociationEntry, Contact
from storage.store import Store
from tests.support.mini_network import START, configured, link, opened

PUBLIC_URL = "https://reports.example.org"
AUTHOR = ("--author", "Amina")


class CommandLine:
    """A network and a command line with a clock that tests set."""

    def __init__(self, app, read):
        self.app, self._read, self.now = app, read, START

    def type(self, *arguments):
        code = main.main(["report-links", *arguments])
        return code, *self._read()

    def run(self, *arguments):
        code, out, err = self.type(*arguments)
        assert code == 0, err
        return out

    def create_links(self, *arguments):
        return list(csv.DictReader(io.StringIO(self.run("create", *arguments, *AUTHOR))))

    def states(self):
        return [
            (item["association"], item["state"])
            for item in json.loads(self.run("list", "--json"))["items"]
        ]

    def opens(self, url):
        token = url.removeprefix(f"{PUBLIC_URL}/r/")
        report_link = auditor_report_links.find_active_report_link(self.app.store, token, self.now)
        return report_link.association if report_link else None


@pytest.fixture
def command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOGNAME", "Amina")
    config = configured().model_copy(update={"web": WebSettings(public_url=PUBLIC_URL)})
    app = opened(tmp_path, config)
    associations = [
        AssociationEntry(
            Association("nour", "Nour", region="Oriental", language="fr"),
            Contact(phone="06 12 34 56 78"),
        ),
        AssociationEntry(
            Association("amal", "أمل", region="Oriental"), Contact("amal@amal.example")
        ),
        Association("sana", "Sana", language="en"),
    ]
    app.store.registry.save_registry(associations, [link("nour", "facebook", "nour")], START)
    url = f"sqlite:///{tmp_path}/auditor.db"
    command_line = CommandLine(app, capsys.readouterr)
    monkeypatch.setattr(
        App,
        "open",
        staticmethod(
            lambda _config, **_: App(command_line.app.config, Store.open(url), app.body_store)
        ),
    )
    monkeypatch.setattr(report_links, "get_current_time", lambda: command_line.now)
    yield command_line
    app.store.close()


def test_spreadsheet_has_link_and_texts_in_language_of_association(command_line):
    rows = {row["association"]: row for row in command_line.create_links("--all")}
    assert list(rows) == ["amal", "nour", "sana"]
    assert list(rows["nour"]) == list(EXPORT_COLUMNS)
    assert rows["nour"]["text"].startswith("Bonjour Nour")
    assert rows["nour"]["link"] in rows["nour"]["text"]
    assert rows["nour"]["whatsapp"].startswith("https://wa.me/212612345678?text=Bonjour")
    assert rows["amal"]["text"].startswith("السلام عليكم أمل")
    assert rows["amal"]["whatsapp"] == ""
    assert rows["amal"]["email"] == "amal@amal.example"
    assert rows["sana"]["subject"] == "Your report: Sana"
    assert rows["sana"]["expires_at"] == "2026-05-30"
    assert {name: command_line.opens(row["link"]) for name, row in rows.items()} == {
        name: name for name in rows
    }


def test_tokens_are_long_and_only_in_the_spreadsheet(command_line, tmp_path):
    rows = command_line.create_links("--all")
    tokens = {urlsplit(row["link"]).path.removeprefix("/r/") for row in rows}
    assert len(tokens) == 3
    assert all(len(token) == 43 for token in tokens)
    database_bytes = b"".join(file.read_bytes() for file in tmp_path.glob("auditor.db*"))
    assert not [token for token in tokens if token.encode() in database_bytes]
    assert not [token for token in tokens if token in command_line.run("list", "--json")]


@pytest.mark.parametrize("name", ["letters.csv", "letters.xlsx"])
def test_only_owner_can_read_file_of_links(command_line, tmp_path, name):
    file = tmp_path / name
    file.write_text("older", "utf-8")
    file.chmod(0o644)
    assert command_line.run("create", "--all", "--out", name, *AUTHOR) == ""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert command_line.states() == [("amal", "active"), ("nour", "active"), ("sana", "active")]


def test_workbook_has_translated_headings(command_line, tmp_path):
    command_line.run("create", "--all", "--out", "letters.xlsx", "--lang", "fr", *AUTHOR)
    head, first, *_ = load_workbook(tmp_path / "letters.xlsx").active.iter_rows(values_only=True)
    row = dict(zip(head, first, strict=True))
    assert row["Nom"] == "أمل"
    assert command_line.opens(row["Lien"]) == "amal"


def test_associations_are_selected_by_id_region_or_missing_link(command_line):
    assert [row["association"] for row in command_line.create_links("nour")] == ["nour"]
    assert [
        row["association"]
        for row in command_line.create_links("--all", "--region", "Oriental", "--without-link")
    ] == ["amal"]
    assert [row["association"] for row in command_line.create_links("--all", "--without-link")] == [
        "sana"
    ]


def test_new_link_revokes_older_ones_unless_kept(command_line):
    first = command_line.create_links("nour")[0]["link"]
    second = command_line.create_links("nour", "--keep-existing")[0]["link"]
    assert (command_line.opens(first), command_line.opens(second)) == ("nour", "nour")
    third = command_line.create_links("nour", "--days", "7")[0]["link"]
    assert (command_line.opens(first), command_line.opens(second), command_line.opens(third)) == (
        None,
        None,
        "nour",
    )
    command_line.now += timedelta(days=7)
    assert command_line.opens(third) is None


def test_interrupted_creation_changes_nothing(command_line):
    first = command_line.create_links("nour")[0]["link"]
    app, now, report_links = command_line.app, command_line.now, []
    views = select_associations(app, now)
    parts = iter_invitations_file(app, views, "Amina", now, report_links)
    next(parts), next(parts), next(parts)
    assert report_links
    assert command_line.opens(first) == "nour"
    assert [
        report_link.association
        for report_link in command_line.app.store.report_links.list_report_links()
    ] == ["nour"]


def test_unwritable_file_changes_no_links(command_line):
    code, _, err = command_line.type("create", "--all", "--out", "nowhere/letters.csv", *AUTHOR)
    assert code == 3
    assert err.startswith(
        "error: cannot write nowhere/letters.csv: there is no such file or folder"
    )
    assert command_line.states() == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("create", "nobody"), 3, "no association has this id"),
        (("create",), 2, "give either ids of associations or --all"),
        (("create", "nour", "--all"), 2, "give either ids of associations or --all"),
        (
            ("create", "nour", "--out", "letters.pdf"),
            3,
            "its name does not end in one of .csv, .xlsx",
        ),
        (("revoke", "nour"), 3, "it has no valid link"),
        (("renew", "nobody"), 3, "no association has this id"),
        (("list", "--state", "lost"), 2, "there is no such state of a link"),
    ],
)
def test_wrong_arguments_are_one_line_errors(command_line, arguments, code, message):
    exit_code, out, err = command_line.type(*arguments)
    assert (exit_code, out) == (code, "")
    assert message in err
    assert err.count("\n") == 1


def test_missing_public_url_is_a_one_line_error(command_line):
    command_line.app.config = configured()
    for arguments in (("create", "--all"), ("text", "nour")):
        code, out, err = command_line.type(*arguments, *AUTHOR)
        assert (code, out) == (3, "")
        assert "[web] public_url" in err


def test_renewed_link_continues_to_work(command_line):
    soon, late = (
        command_line.create_links("nour", "--days", "10")[0]["link"],
        command_line.create_links("amal")[0]["link"],
    )
    command_line.run("renew", "--all")
    command_line.now += timedelta(days=89)
    assert (command_line.opens(soon), command_line.opens(late)) == ("nour", "amal")
    command_line.run("renew", "nour", "--days", "30")
    command_line.now += timedelta(days=2)
    assert (command_line.opens(soon), command_line.opens(late)) == ("nour", None)
    code, _, err = command_line.type("renew", "amal")
    assert code == 3
    assert "`auditor report-links create amal`" in err


def test_revoked_links_stop_working(command_line):
    rows = [row["link"] for row in command_line.create_links("--all")]
    command_line.run("revoke", "nour", *AUTHOR)
    assert [command_line.opens(url) for url in rows] == ["amal", None, "sana"]
    command_line.run("revoke", "--all", *AUTHOR)
    assert [command_line.opens(url) for url in rows] == [None, None, None]
    assert command_line.states() == [("amal", "revoked"), ("nour", "revoked"), ("sana", "revoked")]


def test_list_shows_creation_expiry_and_last_opening(command_line):
    command_line.create_links("--all")
    [report_link] = command_line.app.store.report_links.list_report_links("nour")
    command_line.app.store.report_links.mark_opened(report_link.id, START + timedelta(days=1))
    command_line.now += timedelta(days=100)
    [item] = json.loads(command_line.run("list", "--association", "nour", "--json"))["items"]
    assert item == {
        "id": report_link.id,
        "association": "nour",
        "name": "Nour",
        "state": "expired",
        "created_at": "2026-03-01T00:30:00Z",
        "created_by": "Amina",
        "expires_at": "2026-05-30T00:30:00Z",
        "revoked_at": None,
        "revoked_by": None,
        "last_opened_at": "2026-03-02T00:30:00Z",
    }
    assert json.loads(command_line.run("list", "--state", "active", "--json"))["items"] == []
    assert "2026-03-02" in command_line.run("list")


def test_text_contains_working_link(command_line):
    code, out, err = command_line.type("text", "nour", *AUTHOR)
    assert code == 0
    assert command_line.opens(out.split("\n")[-2]) == "nour"
    assert "https://wa.me/212612345678?text=Bonjour" in err
    mail = command_line.run("text", "nour", "--mail", "--lang", "en", *AUTHOR)
    assert mail.startswith("Your report: Nour\n\nHello Nour,")
    assert len(mail.split(f"{PUBLIC_URL}/r/")) == 2


def test_create_prints_number_of_revoked_links(command_line, capsys):
    assert "ended" not in command_line.type("create", "--all", *AUTHOR)[2]
    assert main.main(["report-links", "create", "--all", *AUTHOR]) == 0
    assert "3 older links revoked" in capsys.readouterr().err


def test_text_prints_that_older_link_was_revoked(command_line):
    assert "older" not in command_line.type("text", "nour", *AUTHOR)[2]
    assert command_line.type("text", "nour", *AUTHOR)[2].startswith("1 older link revoked\n")
    assert "older" not in command_line.type("text", "nour", "--keep-existing", *AUTHOR)[2]
