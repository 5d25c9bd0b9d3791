"""What each role sees: figures for all, personal data for coordinators of the region."""

import asyncio
import csv
import io
import re
from datetime import timedelta

import pytest
from openpyxl import load_workbook

from auditor.checking import checker
from auditor.conclusions.summary import AssociationFilter
from auditor.config.schema import WebSettings
from auditor.presentation import report_links
from auditor.runs.run import execute_run
from auditor.web import users
from storage.models.audit import Association, AssociationEntry, Contact
from storage.models.users import FollowUpKind, ReplyKind, Role
from storage.tables.communication import FollowUp, Reply
from storage.tables.users import User
from tests.support.mini_network import START, configured, link, night_of, opened, steps
from tests.support.stored import add_reply
from tests.support.web_server import logged_in_client

LATER = night_of(1) + timedelta(hours=6)
NOUR = Association("nour", "Nour", region="Sous-Massa")
BARE = Association("bare", "Bare", region="L’Oriental")
LOST = Association("lost", "Lost")
CONTACTS = (
    Contact("salma@nour.example", "0612345678", "Salma", "calls at noon"),
    Contact("idris@bare.example", "0699999999"),
    Contact(phone="0688888888"),
)
HERE = {"role": Role.COORDINATOR, "regions": ("souss-massa",), "name": "Hind"}
ELSEWHERE = {"role": Role.COORDINATOR, "regions": ("oriental", "fes-meknes"), "name": "Idris"}
READER = {"role": Role.READER, "name": "Rachid"}
PRIVATE = (
    "0612345678",
    "salma@nour.example",
    "Salma",
    "calls at noon",
    "promised on the phone",
    "we do without",
)


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """Three associations with personal data, one of them without a region."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checker, "create_probe", steps)
        web = WebSettings(public_url="https://reports.example.org")
        config = configured().model_copy(update={"web": web})
        small = opened(tmp_path_factory.mktemp("rights"), config)
        members = map(AssociationEntry, (NOUR, BARE, LOST), CONTACTS)
        small.store.registry.save_registry(members, [link("nour", "facebook", "nour")], START)
        for day in range(2):
            asyncio.run(execute_run(small, night_of(day)))
    for one in (NOUR, BARE, LOST):
        said = f"{one.name} promised on the phone"
        small.store.follow_ups.add(
            FollowUp(
                association=one.id,
                kind=FollowUpKind.PROMISED,
                author="Amina",
                occurred_at=LATER,
                text=said,
                due_date=LATER.date(),
            )
        )
        add_reply(
            small.store,
            Reply(
                association=one.id,
                kind=ReplyKind.CLOSED,
                submitted_at=LATER,
                channel="youtube",
                text=f"{one.name}: we do without",
            ),
        )
        report_links.create_report_link(small.store, small.config, one.id, "Amina", LATER)
    yield small
    small.store.close()


def get_page(app, path, **user):
    with logged_in_client(app, LATER, **user) as client:
        response = client.get(path)
        assert response.status_code == 200, path
        return response


PAGES = (
    "/en/",
    "/en/meeting?since=2026-01-01",
    "/en/associations",
    "/en/associations/nour",
    "/en/gaps",
    "/en/changes",
    "/en/groups",
    "/en/associations/nour/accounts/1",
)
SHEETS = (
    "/en/exports/associations.csv",
    "/en/exports/accounts.csv",
    "/en/exports/gaps.csv",
    "/en/exports/changes.csv",
    "/en/exports/meeting.csv",
    "/en/exports/associations.json",
    "/en/exports/meeting.json",
)


@pytest.mark.parametrize(
    "user",
    [
        pytest.param(READER, id="reader"),
        pytest.param(ELSEWHERE, id="elsewhere", marks=pytest.mark.slow),
    ],
)
def test_personal_data_is_hidden_from_others(app, user):
    with logged_in_client(app, LATER, **user) as client:
        for path in (*PAGES, *SHEETS):
            shown = client.get(path).text
            for own in ("Bare promised on the phone", "Bare: we do without"):
                shown = shown.replace(own, "")
            assert [one for one in PRIVATE if one in shown] == [], path
            is_listed = path not in {"/en/", "/en/groups", "/en/changes", "/en/exports/changes.csv"}
            assert "Nour" in shown or not is_listed


@pytest.mark.slow
def test_coordinator_sees_personal_data(app):
    page = get_page(app, "/en/associations/nour", **HERE).text
    assert [one for one in PRIVATE if one not in page] == []
    assert "0612345678" in get_page(app, "/en/meeting", **HERE).text
    sheet = get_page(app, "/en/exports/meeting.csv", **HERE).text.lstrip("\ufeff")
    phones = {row["Code"]: row["Phone"] for row in csv.DictReader(io.StringIO(sheet))}
    assert phones == {"nour": "0612345678", "bare": "", "lost": ""}


@pytest.mark.slow
@pytest.mark.parametrize("user", [READER, ELSEWHERE], ids=["reader", "elsewhere"])
def test_workbook_of_the_meeting_pack_hides_contacts(app, user):
    book = load_workbook(io.BytesIO(get_page(app, "/en/meeting.xlsx", **user).content))
    cells = {str(cell.value) for sheet in book for row in sheet for cell in row}
    assert not cells & {"0612345678", "salma@nour.example", "0688888888"}
    assert ("0699999999" in cells) is (user is ELSEWHERE)


LISTS = {
    "/en/report-links": 'href="/en/report-links/{}"',
    "/en/replies": 'href="/en/associations/{}"',
    "/en/registry/history": "history?association={}",
}
"""Lists with personal data, and how they identify an association."""


@pytest.mark.parametrize(
    ("user", "theirs"),
    [
        pytest.param(HERE, {"nour"}, id="here"),
        pytest.param(ELSEWHERE, {"bare"}, id="elsewhere"),
        pytest.param({"name": "Amina"}, {"nour", "bare", "lost"}, id="everywhere"),
    ],
)
def test_lists_are_restricted_to_the_regions_of_the_coordinator(app, user, theirs):
    with logged_in_client(app, LATER, **user) as client:
        for path, sign in LISTS.items():
            page = client.get(path).text
            for action_path in set(re.findall(r'href="(/en/registry/history/\d+)"', page)):
                page += client.get(action_path).text
            assert {
                one for one in ("nour", "bare", "lost") if sign.format(one) in page
            } == theirs, path


@pytest.mark.slow
def test_bulk_report_links_are_restricted_to_own_regions(app):
    with logged_in_client(app, LATER, **ELSEWHERE) as client:
        sheet = client.post("/en/report-links", data={"file_format": "csv"}).content.decode(
            "utf-8-sig"
        )
        assert [row[0] for row in csv.reader(io.StringIO(sheet))][1:] == ["bare"]
        assert (
            client.post(
                "/en/report-links", data={"file_format": "csv", "region": "souss-massa"}
            ).status_code
            == 403
        )
        assert '<option value="souss-massa">' not in client.get("/en/report-links").text


@pytest.mark.slow
def test_qr_codes_are_restricted_to_own_regions(app):
    list_links = app.store.report_links.list_report_links
    before = {report_link.id for report_link in list_links()}
    with logged_in_client(app, LATER, **HERE) as client:
        assert client.post("/en/meeting", follow_redirects=True).text.count('class="qr"') == 1
    assert {one.association for one in list_links() if one.id not in before} == {"nour"}


@pytest.mark.slow
def test_reader_sees_no_action_that_would_be_refused(app):
    with logged_in_client(app, LATER, **READER) as client:
        pages = "".join(client.get(path).text for path in PAGES)
        assert 'method="post"' not in pages
        for path in set(re.findall(r'(?:href|action)="(/en/[^"?#]*)', pages)):
            assert client.get(path).status_code == 200, path


@pytest.mark.parametrize(
    ("role", "regions", "region", "can_edit"),
    [
        (Role.READER, (), "Souss-Massa", False),
        (Role.COORDINATOR, (), None, True),
        (Role.COORDINATOR, ("souss-massa",), "سوس - ماسة", True),
        (Role.COORDINATOR, ("souss-massa",), "Oriental", False),
        (Role.COORDINATOR, ("souss-massa",), None, False),
        (Role.COORDINATOR, ("Vallée",), "Vallée", True),
        (Role.ADMIN, (), None, True),
    ],
)
def test_region_matches_in_any_spelling(role, regions, region, can_edit):
    user = User(name="x", role=role, added_at=START, added_by="y", regions=regions)
    assert users.can_edit_association(user, Association("a", "A", region=region)) is can_edit
    stored_regions = {"Souss Massa", "سوس - ماسة", "Oriental", "Vallée"}
    editable_regions = users.find_editable_regions(user, lambda: stored_regions)
    assert editable_regions is None or (region in editable_regions) is can_edit or region is None
    assert bool(list(users.restrict_filter_to_regions(user, AssociationFilter()))) is (
        role is not Role.READER
    )


@pytest.mark.slow
def test_association_without_region_is_for_coordinators_of_all_regions(app):
    assert "0688888888" not in get_page(app, "/en/associations/lost", **HERE).text
    assert (
        "0688888888"
        in get_page(app, "/en/associations/lost", name="Zahra", role=Role.COORDINATOR).text
    )


@pytest.mark.slow
def test_list_page_is_full_despite_other_regions(app):
    for number in range(60):
        add_reply(
            app.store,
            Reply(
                association="bare" if number % 2 else "nour",
                kind=ReplyKind.DISPUTED,
                submitted_at=LATER,
                text=f"nr {number}.",
            ),
        )
    numbers = re.findall(r"nr (\d+)\.", get_page(app, "/en/replies", **ELSEWHERE).text)
    assert len(numbers) == 19  # and the one that was there before
    assert all(int(number) % 2 for number in numbers)


def test_anonymous_user_has_no_permissions():
    assert not users.can_edit_association(None, NOUR)
    assert not users.can_edit_all_regions(None)
    assert users.find_editable_regions(None, lambda: {"x"}) == frozenset()
