"""`auditor report-links`: links in bulk and for one, in sheets that are private and whole."""

import csv
import io
import json
import stat
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from openpyxl import load_workbook

from auditor import report_links as auditor_report_links
from auditor.app import App
from auditor.cli import main, report_links
from auditor.config.schema import WebSettings
from auditor.report_links import EXPORT_COLUMNS, BulkInvitations, select_associations
from storage.models.audit import Association, AssociationEntry, Contact
from storage.store import Store
from tests.support.mini_network import START, configured, link, opened

PUBLIC = "https://reports.example.org"
BY = ("--author", "Amina")


class Desk:
    """A network, and a command line whose clock is set by hand."""

    def __init__(self, app, read):
        self.app, self._read, self.now = app, read, START

    def type(self, *words):
        code = main.main(["report-links", *words])
        return code, *self._read()

    def done(self, *words):
        code, out, err = self.type(*words)
        assert code == 0, err
        return out

    def sheet(self, *words):
        return list(csv.DictReader(io.StringIO(self.done("create", *words, *BY))))

    def states(self):
        return [
            (one["association"], one["state"])
            for one in json.loads(self.done("list", "--json"))["items"]
        ]

    def opens(self, url):
        token = url.removeprefix(f"{PUBLIC}/r/")
        letter = auditor_report_links.find_active_report_link(self.app.store, token, self.now)
        return letter.association if letter else None


@pytest.fixture
def desk(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOGNAME", "Amina")
    config = configured().model_copy(update={"web": WebSettings(public_url=PUBLIC)})
    app = opened(tmp_path, config)
    people = [
        AssociationEntry(
            Association("nour", "Nour", region="Oriental", language="fr"),
            Contact(phone="06 12 34 56 78"),
        ),
        AssociationEntry(
            Association("amal", "أمل", region="Oriental"), Contact("amal@amal.example")
        ),
        Association("sana", "Sana", language="en"),
    ]
    app.store.save_registry(people, [link("nour", "facebook", "nour")], START)
    url = f"sqlite:///{tmp_path}/auditor.db"
    made = Desk(app, capsys.readouterr)
    monkeypatch.setattr(
        App,
        "open",
        staticmethod(lambda _config: App(made.app.config, Store.open(url), app.body_store)),
    )
    monkeypatch.setattr(report_links, "get_current_time", lambda: made.now)
    yield made
    app.store.close()


def test_a_sheet_has_for_each_association_its_link_and_the_texts_in_its_language(desk):
    rows = {row["association"]: row for row in desk.sheet("--all")}
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
    assert {name: desk.opens(row["link"]) for name, row in rows.items()} == {
        name: name for name in rows
    }


def test_links_are_guessed_by_nobody_and_stand_in_the_sheet_alone(desk, tmp_path):
    rows = desk.sheet("--all")
    tokens = {urlsplit(row["link"]).path.removeprefix("/r/") for row in rows}
    assert len(tokens) == 3
    assert all(len(token) == 43 for token in tokens)
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("auditor.db*"))
    assert not [token for token in tokens if token.encode() in kept]
    assert not [token for token in tokens if token in desk.done("list", "--json")]


@pytest.mark.parametrize("name", ["letters.csv", "letters.xlsx"])
def test_a_file_of_links_is_for_its_owner_alone(desk, tmp_path, name):
    file = tmp_path / name
    file.write_text("older", "utf-8")
    file.chmod(0o644)
    assert desk.done("create", "--all", "--out", name, *BY) == ""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert desk.states() == [("amal", "active"), ("nour", "active"), ("sana", "active")]


def test_a_workbook_in_a_language_has_its_headings_and_opens_the_reports(desk, tmp_path):
    desk.done("create", "--all", "--out", "letters.xlsx", "--lang", "fr", *BY)
    head, first, *_ = load_workbook(tmp_path / "letters.xlsx").active.iter_rows(values_only=True)
    row = dict(zip(head, first, strict=True))
    assert row["Nom"] == "أمل"
    assert desk.opens(row["Lien"]) == "amal"


def test_some_are_chosen_by_id_by_region_or_because_they_have_none(desk):
    assert [row["association"] for row in desk.sheet("nour")] == ["nour"]
    assert [
        row["association"] for row in desk.sheet("--all", "--region", "Oriental", "--without-link")
    ] == ["amal"]
    assert [row["association"] for row in desk.sheet("--all", "--without-link")] == ["sana"]


def test_a_new_link_ends_the_older_one_unless_it_is_kept(desk):
    first = desk.sheet("nour")[0]["link"]
    second = desk.sheet("nour", "--keep-existing")[0]["link"]
    assert (desk.opens(first), desk.opens(second)) == ("nour", "nour")
    third = desk.sheet("nour", "--days", "7")[0]["link"]
    assert (desk.opens(first), desk.opens(second), desk.opens(third)) == (None, None, "nour")
    desk.now += timedelta(days=7)
    assert desk.opens(third) is None


def test_a_run_that_breaks_off_changes_nothing(desk):
    first = desk.sheet("nour")[0]["link"]
    mailing = BulkInvitations(desk.app, "Amina", desk.now)
    pieces = mailing.iter_file_parts(select_associations(desk.app, desk.now))
    next(pieces), next(pieces), next(pieces)
    assert mailing.report_links
    assert desk.opens(first) == "nour"
    assert [letter.association for letter in desk.app.store.list_report_links()] == ["nour"]


def test_a_file_that_cannot_be_written_leaves_the_links_as_they_are(desk):
    code, _, err = desk.type("create", "--all", "--out", "nowhere/letters.csv", *BY)
    assert code == 3
    assert err.startswith(
        "error: cannot write nowhere/letters.csv: there is no such file or folder"
    )
    assert desk.states() == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
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
def test_a_slip_is_one_line_that_tells_what_to_do(desk, words, code, said):
    found, out, err = desk.type(*words)
    assert (found, out) == (code, "")
    assert said in err
    assert err.count("\n") == 1


def test_without_a_public_address_one_line_tells_what_to_set(desk):
    desk.app.config = configured()
    for words in (("create", "--all"), ("text", "nour")):
        code, out, err = desk.type(*words, *BY)
        assert (code, out) == (3, "")
        assert "[web] public_url" in err


def test_a_renewed_link_goes_on_and_nobody_has_to_be_sent_a_new_one(desk):
    soon, late = desk.sheet("nour", "--days", "10")[0]["link"], desk.sheet("amal")[0]["link"]
    desk.done("renew", "--all")
    desk.now += timedelta(days=89)
    assert (desk.opens(soon), desk.opens(late)) == ("nour", "amal")
    desk.done("renew", "nour", "--days", "30")
    desk.now += timedelta(days=2)
    assert (desk.opens(soon), desk.opens(late)) == ("nour", None)
    code, _, err = desk.type("renew", "amal")
    assert code == 3
    assert "`auditor report-links create amal`" in err


def test_a_revoked_link_opens_nothing_and_everybodys_can_be_revoked(desk):
    rows = [row["link"] for row in desk.sheet("--all")]
    desk.done("revoke", "nour", *BY)
    assert [desk.opens(url) for url in rows] == ["amal", None, "sana"]
    desk.done("revoke", "--all", *BY)
    assert [desk.opens(url) for url in rows] == [None, None, None]
    assert desk.states() == [("amal", "revoked"), ("nour", "revoked"), ("sana", "revoked")]


def test_the_list_tells_when_a_link_was_made_ends_and_was_read(desk):
    desk.sheet("--all")
    [letter] = desk.app.store.list_report_links("nour")
    desk.app.store.mark_report_link_opened(letter.id, START + timedelta(days=1))
    desk.now += timedelta(days=100)
    [item] = json.loads(desk.done("list", "--association", "nour", "--json"))["items"]
    assert item == {
        "id": letter.id,
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
    assert json.loads(desk.done("list", "--state", "active", "--json"))["items"] == []
    assert "2026-03-02" in desk.done("list")


def test_one_text_is_printed_with_a_link_that_opens(desk):
    code, out, err = desk.type("text", "nour", *BY)
    assert code == 0
    assert desk.opens(out.split("\n")[-2]) == "nour"
    assert "https://wa.me/212612345678?text=Bonjour" in err
    mail = desk.done("text", "nour", "--mail", "--lang", "en", *BY)
    assert mail.startswith("Your report: Nour\n\nHello Nour,")
    assert len(mail.split(f"{PUBLIC}/r/")) == 2


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "3 older links revoked"), ("fr", "3 anciens liens"), ("ar", "أُلغيت 3 روابط قديمة")],
)
def test_it_is_told_how_many_older_links_ended(desk, capsys, language, said):
    assert "ended" not in desk.type("create", "--all", *BY)[2]
    assert main.main(["--lang", language, "report-links", "create", "--all", *BY]) == 0
    assert said in capsys.readouterr().err


def test_a_text_tells_that_it_ends_the_link_before_it(desk):
    assert "older" not in desk.type("text", "nour", *BY)[2]
    assert desk.type("text", "nour", *BY)[2].startswith("1 older link revoked\n")
    assert "older" not in desk.type("text", "nour", "--keep-existing", *BY)[2]
