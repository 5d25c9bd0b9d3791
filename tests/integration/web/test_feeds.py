"""A secret link gives calendars and programs what its user sees, without a session."""

import json
import re
from datetime import date, timedelta

import pytest

from auditor.conclusions.summary import get_region_key
from auditor.presentation.views.export import ExportRequest, stream_export
from auditor.runs.run import execute_run
from auditor.web.routes.feeds import FeedKind
from storage.models.audit import Association
from storage.models.users import FollowUpKind, Role
from storage.tables.communication import FollowUp
from tests.support.mini_network import link, lived, night_of, register
from tests.support.web_server import get_text, logged_in_client, read_page

NOW = night_of(0) + timedelta(hours=8)
NOUR, AMAL = link("nour", "website", "nour"), link("amal", "website", "amal")


@lived
async def app(network):
    """Nour is in Rabat and has made a promise, Amal is in Souss."""
    register(network, NOUR, AMAL)
    places = {"nour": "Rabat-Salé-Kénitra", "amal": "Souss-Massa"}
    associations = [Association(name, name.title(), region=places[name]) for name in places]
    network.store.registry.save_registry(associations, [NOUR, AMAL], night_of(0))
    await execute_run(network, night_of(0))
    promise = FollowUp(
        association="nour",
        kind=FollowUpKind.PROMISED,
        author="Amina",
        occurred_at=NOW,
        text="we will renew it",
        due_date=date(2026, 4, 1),
    )
    network.store.follow_ups.add(promise)


def create_feed(client):
    """Create the user's link and return its path."""
    page = read_page(client.get(client.post("/en/account/feed").headers["location"]))
    return re.search(r'value="https?://[^/"]+(/feeds/[^/"]+)/calendar.ics', page)[1]


def load_items(client, feed, kind="associations"):
    response = client.get(f"{feed}/{kind}.json")
    assert response.headers["content-type"] == "application/json"
    return json.loads(response.content)["items"]


def test_calendar_has_the_open_promises_only(app, client):
    feed = create_feed(client)
    calendar = client.get(f"{feed}/calendar.ics?lang=fr").text
    assert "SUMMARY:Promesse : Nour" in calendar.replace("\xa0", " ")
    assert "DTSTART;VALUE=DATE:20260401" in calendar
    kept = FollowUp(association="nour", kind=FollowUpKind.FIXED, author="Amina", occurred_at=NOW)
    app.store.follow_ups.add(kept)
    assert "VEVENT" not in client.get(f"{feed}/calendar.ics").text


@pytest.mark.parametrize("kind", FeedKind.__args__)
def test_items_are_those_of_the_export(app, client, kind):
    request = ExportRequest(kind=kind, format="json", can_see_contact=lambda _: False)
    exported = json.loads(b"".join(stream_export(request, app, NOW)))["items"]
    assert load_items(client, create_feed(client), kind) == exported
    assert exported or kind == "changes"


def test_regional_coordinator_gets_nothing_of_other_regions(app):
    regions = {"Rabat-Salé-Kénitra": 1, "Souss-Massa": 1, "Dakhla-Oued Ed-Dahab": 0}
    for number, (region, count) in enumerate(regions.items()):
        own = (get_region_key(region),)
        user = {"name": f"Idris {number}", "role": Role.COORDINATOR, "regions": own}
        with logged_in_client(app, NOW, **user) as browser:
            feed = create_feed(browser)
            assert len(load_items(browser, feed)) == count
            has_promise = "VEVENT" in browser.get(f"{feed}/calendar.ics").text
            assert has_promise is region.startswith("Rabat")


def test_link_ends_with_a_new_one_a_revocation_or_its_user(app, client):
    older = create_feed(client)
    newer = create_feed(client)
    assert [client.get(f"{feed}/calendar.ics").status_code for feed in (older, newer)] == [410, 200]
    get_text(client, "/en/account", "It was last used on")
    client.post("/en/account/feed/revocation")
    assert client.get(f"{newer}/calendar.ics").status_code == 410
    last = create_feed(client)
    admin = app.store.users.get("Amina")
    app.store.users.remove(admin, NOW)
    app.store.users.add(admin.model_copy(update={"removed_at": None}))
    assert client.get(f"{last}/associations.json").status_code == 410


def test_new_link_is_undone_and_only_its_hash_is_stored(app, client, tmp_path):
    location = client.post("/en/account/feed").headers["location"]
    page = read_page(client.get(location))
    token = re.search(r"/feeds/([^/\"]+)/", page)[1]
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert not any(token.encode() in file.read_bytes() for file in files)
    client.post(re.search(r'action="(/en/undo/[^"]+)"', page)[1])
    assert client.get(f"/feeds/{token}/calendar.ics").status_code == 410
