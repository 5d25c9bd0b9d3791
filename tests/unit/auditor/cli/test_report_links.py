"""Tests of `auditor report-links`: links for many associations or one, in private files."""

import csv
import io
import json
from datetime import timedelta

import pytest

from auditor.app import App
from auditor.cli import main, report_links
from auditor.config.schema import WebSettings
from auditor.presentation.report_links import EXPORT_COLUMNS, find_active_report_link
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
        return main.main(["report-links", *arguments]), *self._read()

    def run(self, *arguments):
        code, out, err = self.type(*arguments)
        assert code == 0, err
        return out

    def create_links(self, *arguments):
        return list(csv.DictReader(io.StringIO(self.run("create", *arguments, *AUTHOR))))

    def list_links(self, *arguments):
        return json.loads(self.run("list", "--json", *arguments))["items"]

    def opens(self, *urls):
        """Return the association of each link that works."""
        tokens = [url.removeprefix(f"{PUBLIC_URL}/r/") for url in urls]
        links = [find_active_report_link(self.app.store, token, self.now) for token in tokens]
        return [link and link.association for link in links]


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

    def open_again(_config, **_):
        return App(command_line.app.config, Store.open(url), app.body_store)

    monkeypatch.setattr(App, "open", staticmethod(open_again))
    monkeypatch.setattr(report_links, "get_current_time", lambda: command_line.now)
    yield command_line
    app.store.close()


def test_spreadsheet_has_link_and_texts_in_language_of_association(command_line):
    rows = {row["association"]: row for row in command_line.create_links("--all")}
    assert (list(rows), list(rows["nour"])) == (["amal", "nour", "sana"], list(EXPORT_COLUMNS))
    assert rows["nour"]["text"].startswith("Bonjour Nour")
    assert rows["nour"]["link"] in rows["nour"]["text"]
    assert len(rows["nour"]["link"]) == len(f"{PUBLIC_URL}/r/") + 43  # 32 random bytes
    assert rows["nour"]["whatsapp"].startswith("https://wa.me/212612345678?text=Bonjour")
    assert rows["amal"]["text"].startswith("السلام عليكم أمل")
    assert (rows["amal"]["whatsapp"], rows["amal"]["email"]) == ("", "amal@amal.example")
    sana = rows["sana"]
    assert (sana["subject"], sana["expires_at"]) == ("Your report: Sana", "2026-05-30")
    assert command_line.opens(*(row["link"] for row in rows.values())) == list(rows)


def test_associations_are_selected_by_id_region_or_missing_link(command_line):
    selected = [
        [row["association"] for row in command_line.create_links(*options)]
        for options in (
            ("nour",),
            ("--all", "--region", "Oriental", "--without-link"),
            ("--all", "--without-link"),
        )
    ]
    assert selected == [["nour"], ["amal"], ["sana"]]


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
    assert (exit_code, out, message in err, err.count("\n")) == (code, "", True, 1)


def test_missing_public_url_is_a_one_line_error(command_line):
    command_line.app.config = configured()
    code, out, err = command_line.type("create", "--all", *AUTHOR)
    assert (code, out, "[web] public_url" in err) == (3, "", True)


def test_links_stay_valid_until_they_end_or_are_revoked(command_line):
    first = command_line.create_links("nour", "--days", "10")[0]["link"]
    third = command_line.create_links("nour", "--days", "10")[0]["link"]
    other = command_line.create_links("amal")[0]["link"]
    assert command_line.opens(first, third, other) == ["nour", "nour", "amal"]
    command_line.now += timedelta(days=5)
    command_line.run("renew", "--all")  # only those that end soon
    command_line.now += timedelta(days=84)
    assert command_line.opens(third, other) == ["nour", "amal"]
    command_line.run("renew", "nour", "--days", "30")
    command_line.now += timedelta(days=2)
    assert command_line.opens(third, other) == ["nour", None]
    code, _, err = command_line.type("renew", "amal")
    assert (code, "`auditor report-links text amal`" in err) == (3, True)
    sana = command_line.create_links("sana")[0]["link"]
    command_line.run("revoke", "nour", *AUTHOR)
    assert command_line.opens(third, sana) == [None, "sana"]
    command_line.run("revoke", "--all", *AUTHOR)
    assert command_line.opens(sana) == [None]


def test_list_shows_creation_expiry_and_last_opening(command_line):
    command_line.create_links("--all")
    [report_link] = command_line.app.store.report_links.list_report_links("nour")
    command_line.app.store.report_links.mark_opened(report_link.id, START + timedelta(days=1))
    command_line.now += timedelta(days=100)
    [item] = command_line.list_links("--association", "nour")
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
    assert command_line.list_links("--state", "active") == []
    assert "2026-03-02" in command_line.run("list")


def test_text_contains_working_link(command_line):
    code, out, err = command_line.type("text", "nour", *AUTHOR)
    assert (code, command_line.opens(out.split("\n")[-2])) == (0, ["nour"])
    assert "https://wa.me/212612345678?text=Bonjour" in err
    mail = command_line.run("text", "nour", "--mail", "--lang", "en", *AUTHOR)
    assert mail.startswith("Your report: Nour\n\nHello Nour,")
    assert mail.count(f"{PUBLIC_URL}/r/") == 1
