"""Every route declares who may use it, and enforces it."""

import re
import sqlite3
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import get_args

import pytest
from fastapi import APIRouter

from auditor.app import App
from auditor.config.schema import Config
from auditor.presentation import report_links
from auditor.web.access import Access, RequireAccess
from auditor.web.app import METRICS_PATH, create_app
from auditor.web.routes.report import get_report_request
from storage.conclusions import Conclusions
from storage.models.audit import Proposal
from storage.models.users import ReplyKind, Role
from storage.tables.communication import Reply
from tests.support import sample_network
from tests.support.access_table import (
    PAGE,
    build_commands_list,
    build_routes_table,
    list_access_requirements,
    update_page,
)
from tests.support.all_routes import build_paths, list_all_routes
from tests.support.stored import add_reply
from tests.support.web_server import anonymous_client, logged_in_client

pytestmark = pytest.mark.xdist_group("access")  # one network is enough for all of them

OWN_REGION, OTHER_REGION = "souss-massa", "oriental"
"""The region of the tested association, and another."""


@dataclass(frozen=True)
class Visitor:
    """A user (or none), and the access levels that they have."""

    role: Role | None
    regions: tuple[str, ...] = ()
    allowed: frozenset[Access] = frozenset()


PUBLIC = frozenset({"public", "monitoring"})
"""All clients here are on this machine; test_health.py tests monitoring from elsewhere."""
LOGGED_IN = PUBLIC | {"logged_in"}
COORDINATOR = LOGGED_IN | {"coordinator"}
VISITORS = {
    "nobody": Visitor(None, allowed=PUBLIC),
    "reader": Visitor(Role.READER, allowed=LOGGED_IN),
    "elsewhere": Visitor(Role.COORDINATOR, (OTHER_REGION,), COORDINATOR),
    "here": Visitor(Role.COORDINATOR, (OWN_REGION,), COORDINATOR | {"own_region"}),
    "everywhere": Visitor(Role.COORDINATOR, (), COORDINATOR | {"own_region", "all_regions"}),
    "admin": Visitor(Role.ADMIN, (), frozenset(get_args(Access)) - {"report_link"}),
}


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """A network before its first run, with a reply, a proposal and a report link."""
    folder = tmp_path_factory.mktemp("network")
    storage = {"folder": folder, "url": f"sqlite:///{folder}/auditor.db"}
    public = {"public_url": "https://reports.example.org"}
    channels = {name: {} for name in ("website", "facebook", "twitter", "linkedin", "youtube")}
    settings = {"storage": storage, "web": public, "channels": channels}
    with App.open(Config.model_validate(settings)) as opened:
        opened.store.registry.save_registry(
            sample_network.PEOPLE, sample_network.rows(), sample_network.FIRST
        )
        opened.store.conclusions.save(
            Conclusions(
                proposals=[
                    Proposal("nour", sample_network.FOUND, sample_network.NOW, sample_network.NOW)
                ]
            )
        )
        add_reply(
            opened.store,
            Reply(
                association="nour",
                kind=ReplyKind.CLOSED,
                submitted_at=sample_network.NOW,
                channel="facebook",
            ),
        )
        report_links.create_report_link(
            opened.store, opened.config, "nour", "Amina", sample_network.NOW
        )
        yield opened


@pytest.fixture(scope="module")
def clients(app):
    """An open client for each visitor."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(open_client(app, name, visitor))
            for name, visitor in VISITORS.items()
        }


@contextmanager
def open_client(app, name, visitor):
    user = {"name": name, "role": visitor.role, "regions": visitor.regions}
    with (
        logged_in_client(app, sample_network.NOW, **user)
        if visitor.role
        else anonymous_client(app, sample_network.NOW) as client
    ):
        client.timeout = 60
        yield client


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
    if access == "report_link":
        return "report link"
    if access in VISITORS[name].allowed:
        return "answered"
    return "refused" if VISITORS[name].role else "login"


def get_row_ids(app, route):
    """Return ids of rows of the tested association for the path of a route."""
    if "proposal_id" not in route.path:
        return {}
    proposals = app.store.conclusions.list_proposals()
    return {"proposal_id": [row.id for row in proposals if row.association == "nour"]}


def dump_database(app):
    """Return the contents of the database without sessions."""
    with closing(sqlite3.connect(app.data_folder / "auditor.db")) as database:
        return [
            statement
            for statement in database.iterdump()
            if not statement.startswith('INSERT INTO "login_session"')
        ]


@pytest.mark.parametrize(
    "route", list_all_routes(), ids=lambda route: f"{min(route.methods)} {route.path}"
)
def test_every_route_declares_its_access_once(route):
    assert len(list_access_requirements(route)) == 1
    if list_access_requirements(route)[0].access == "report_link":
        assert get_report_request in {
            dependency.call for dependency in route.dependant.dependencies
        }
    if list_access_requirements(route)[0].access == "monitoring":
        assert route.path == METRICS_PATH  # the route checks access itself: test_health.py
    if list_access_requirements(route)[0] == RequireAccess("own_region"):
        assert {"association", "reply_id", "proposal_id"} & {*route.param_convertors}


def test_application_has_no_route_outside_the_routers(app):
    listed_paths = {route.path for route in list_all_routes()}
    served_paths = {
        getattr(route, "path", "") for route in create_app(app, lambda: sample_network.NOW).routes
    }
    assert served_paths - listed_paths <= {"/static", ""}


def test_route_without_declared_access_is_detected():
    router = APIRouter()
    router.get("/{language}/forgotten")(lambda: "readable by everyone")
    assert list_access_requirements(router.routes[0]) == []


@pytest.mark.parametrize("name", [name for name in VISITORS if name != "admin"])
def test_forbidden_requests_are_refused_and_change_nothing(app, clients, name):
    before, unexpected = dump_database(app), {}
    for route in list_all_routes():
        access = list_access_requirements(route)[0].access
        if expected_result(name, access) == "answered":
            continue
        for method, path in iter_requests(app, route):
            if (result := get_result(clients[name], method, path)) != expected_result(name, access):
                unexpected[method, path] = result
    assert unexpected == {}
    assert dump_database(app) == before


def iter_requests(app, route):
    for path in build_paths(
        route, association=("nour",), language=("en",), **get_row_ids(app, route)
    ):
        for method in route.methods:
            yield method, path


@pytest.mark.slow
@pytest.mark.parametrize("name", VISITORS)
def test_allowed_requests_are_answered(app, clients, name):
    unexpected = {}
    for route in list_all_routes():
        access = list_access_requirements(route)[0].access
        if expected_result(name, access) != "answered" or "logout" in route.path:
            continue
        for method, path in iter_requests(app, route):
            if (result := get_result(clients[name], method, path)) != "answered":
                unexpected[method, path] = result
    assert unexpected == {}


def test_users_guide_lists_every_route_with_its_access():
    page = PAGE.read_text("utf-8")
    assert build_routes_table() in page
    rows = re.findall(r"`[A-Z/]+ [^`]+`", build_routes_table())
    assert len(rows) == len(set(rows)) == len(list_all_routes())
    assert update_page(page) == page


def test_users_guide_lists_every_command():
    page = PAGE.read_text("utf-8")
    sentence = (
        "Everyone who can use the operating system account of the auditor can run every command"
    )
    assert sentence in " ".join(page.split())
    assert build_commands_list() in page
