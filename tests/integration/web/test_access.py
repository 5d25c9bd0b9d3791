"""Every route declares who may use it, and enforces it."""

import sqlite3
import tomllib
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from auditor.presentation import report_links
from auditor.web.access import Access, RequireAccess
from auditor.web.app import METRICS_PATH, create_app
from auditor.web.routes.report import get_report_request
from storage.conclusions import Conclusions
from storage.models.audit import Proposal
from storage.models.users import ReplyKind, Role
from storage.tables.communication import Reply
from tests.support import sample_network
from tests.support.all_routes import build_paths, list_all_routes
from tests.support.sample_network import NOW
from tests.support.stored import add_reply
from tests.support.web_server import anonymous_client, logged_in_client, open_app

pytestmark = pytest.mark.xdist_group("access")  # one network is enough for all of them

RECORDED_ACCESS = Path(__file__).parents[2] / "fixtures" / "data" / "access.toml"
"""The routes by access. Add a new route there."""
OWN_REGION, OTHER_REGION = "souss-massa", "oriental"
"""The region of the tested association, and another."""


PUBLIC = frozenset({"public", "monitoring"})
"""All clients here are on this machine; test_health.py tests monitoring from elsewhere."""
LOGGED_IN = PUBLIC | {"logged_in"}
COORDINATOR = LOGGED_IN | {"coordinator"}
VISITORS = {
    "nobody": (None, (), PUBLIC),
    "reader": (Role.READER, (), LOGGED_IN),
    "elsewhere": (Role.COORDINATOR, (OTHER_REGION,), COORDINATOR),
    "here": (Role.COORDINATOR, (OWN_REGION,), COORDINATOR | {"own_region"}),
    "everywhere": (Role.COORDINATOR, (), COORDINATOR | {"own_region", "all_regions"}),
    "admin": (Role.ADMIN, (), frozenset(get_args(Access)) - {"report_link"}),
}
"""The role, the regions and the access of each visitor."""


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """A network before its first run, with a reply, a proposal and a report link."""
    folder, registry = (
        tmp_path_factory.mktemp("network"),
        (sample_network.PEOPLE, sample_network.rows()),
    )
    names = ("website", "facebook", "twitter", "linkedin", "youtube")
    fetch = {"max_retries": 0, "host_delay": 0}
    channels = {name: {} for name in names}
    with open_app(folder, *registry, channels=channels, fetch=fetch) as opened:
        store = opened.store
        proposal = Proposal("nour", sample_network.FOUND, NOW, NOW)
        store.conclusions.save(Conclusions(proposals=[proposal]))
        about = {"association": "nour", "channel": "facebook"}
        add_reply(store, Reply(kind=ReplyKind.CLOSED, submitted_at=NOW, **about))
        report_links.create_report_link(store, opened.config, "nour", "Amina", NOW)
        yield opened


@pytest.fixture
def client(app, name):
    """A client of the visitor `name`."""
    role, regions, _ = VISITORS[name]
    user = {"name": name, "role": role, "regions": regions}
    with logged_in_client(app, NOW, **user) if role else anonymous_client(app, NOW) as opened:
        yield opened


CHALLENGE_RESULTS = {"Session": "login", "ReportLink": "report link"}


def get_result(client, method, path):
    """Return how a request ends: `login`, `report link`, `refused` or `answered`."""
    response = client.request(method, path)
    if response.status_code == 401 and "www-authenticate" in response.headers:
        return CHALLENGE_RESULTS[response.headers["www-authenticate"]]
    if response.status_code >= 500:
        return f"crashed: {response.status_code}"
    return "refused" if response.status_code == 403 else "answered"


def expected_result(name, access):
    role, _, allowed = VISITORS[name]
    if access == "report_link":
        return "report link"
    if access in allowed:
        return "answered"
    return "refused" if role else "login"


def list_access_requirements(route):
    """Return the access dependencies that a route declares."""
    return [
        dependency.dependency
        for dependency in route.dependencies
        if isinstance(dependency.dependency, RequireAccess)
    ]


def dump_database(app):
    """Return the contents of the database without sessions."""
    with closing(sqlite3.connect(app.data_folder / "auditor.db")) as database:
        rows = list(database.iterdump())
    return [row for row in rows if not row.startswith('INSERT INTO "login_session"')]


def test_every_route_declares_its_access_once():
    for route in list_all_routes():
        [requirement] = list_access_requirements(route)
        if requirement.access == "report_link":
            assert get_report_request in {
                dependency.call for dependency in route.dependant.dependencies
            }
        if requirement.access == "monitoring":
            assert route.path == METRICS_PATH  # the route checks access itself: test_health.py
        if requirement == RequireAccess("own_region"):
            assert {"association", "reply_id", "proposal_id"} & {*route.param_convertors}


def test_application_has_no_route_outside_the_routers(app):
    listed_paths = {route.path for route in list_all_routes()}
    served_paths = {getattr(route, "path", "") for route in create_app(app, lambda: NOW).routes}
    assert served_paths - listed_paths <= {"/static", ""}


def find_unexpected_results(app, client, name, *, is_answered):
    """Return the requests of a visitor to allowed or to forbidden routes that end differently."""
    proposals = app.store.conclusions.list_proposals()
    own = {
        "association": ["nour"],
        "file_format": ["csv"],
        "proposal_id": [row.id for row in proposals if row.association == "nour"],
    }
    unexpected = {}
    for route in list_all_routes():
        expected = expected_result(name, list_access_requirements(route)[0].access)
        if (expected == "answered") is not is_answered or "logout" in route.path:
            continue
        for path, method in product(build_paths(route, **own), route.methods):
            if (result := get_result(client, method, path)) != expected:
                unexpected[method, path] = result
    return unexpected


@pytest.mark.smoke
@pytest.mark.parametrize("name", [name for name in VISITORS if name != "admin"])
def test_forbidden_requests_are_refused_and_change_nothing(app, client, name):
    before = dump_database(app)
    assert find_unexpected_results(app, client, name, is_answered=False) == {}
    assert dump_database(app) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", VISITORS)
def test_allowed_requests_are_answered(app, client, name):
    assert find_unexpected_results(app, client, name, is_answered=True) == {}


@pytest.mark.smoke
def test_each_route_has_the_access_that_is_recorded():
    """A change of access is also a change of the file, so none is opened by mistake."""
    recorded = tomllib.loads(RECORDED_ACCESS.read_text("utf-8"))
    declared = {access: [] for access in get_args(Access)}
    for route in list_all_routes():
        access = list_access_requirements(route)[0].access
        declared[access].append(f"{min(route.methods)} {route.path}")
    assert {access: sorted(routes) for access, routes in declared.items()} == recorded
