"""Who may use what: every route says so, and answers everybody as it says."""

import re
import sqlite3
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

import pytest
from fastapi import APIRouter

from auditor import report_links
from auditor.app import App
from auditor.config.schema import Config
from auditor.web.access import Access, RequireAccess
from auditor.web.app import create_app
from auditor.web.report_reader import get_report_request
from auditor.web.routes.health import METRICS_PATH
from storage.models.audit import Proposal
from storage.models.users import Reply, ReplyKind, Role
from tests.support import sample_network
from tests.support.access_table import (
    PAGE,
    build_commands_list,
    build_routes_table,
    list_access_requirements,
    update_page,
)
from tests.support.all_routes import build_paths, list_all_routes
from tests.support.web_server import anonymous_client, logged_in_client

pytestmark = pytest.mark.xdist_group("access")  # one network is enough for all of them

HERE, ELSEWHERE = "souss-massa", "oriental"
"""The region of the association that is asked for, and another."""


@dataclass(frozen=True)
class Person:
    """Somebody who asks, and which accesses let them through."""

    role: Role | None
    regions: tuple[str, ...] = ()
    may: frozenset[Access] = frozenset()


ANYBODY = frozenset({Access.PUBLIC, Access.MONITORING})
"""From this machine, as everybody asks here; elsewhere: test_health.py."""
READS = ANYBODY | {Access.LOGGED_IN}
LOOKS_AFTER = READS | {Access.COORDINATOR}
PEOPLE = {
    "nobody": Person(None, may=ANYBODY),
    "reader": Person(Role.READER, may=READS),
    "elsewhere": Person(Role.COORDINATOR, (ELSEWHERE,), LOOKS_AFTER),
    "here": Person(Role.COORDINATOR, (HERE,), LOOKS_AFTER | {Access.OWN_REGION}),
    "everywhere": Person(
        Role.COORDINATOR, (), LOOKS_AFTER | {Access.OWN_REGION, Access.ALL_REGIONS}
    ),
    "admin": Person(Role.ADMIN, (), frozenset(Access) - {Access.REPORT_LINK}),
}


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """A network before its first night, with a reply, an account that was found, and a letter."""
    folder = tmp_path_factory.mktemp("network")
    storage = {"folder": folder, "url": f"sqlite:///{folder}/auditor.db"}
    public = {"public_url": "https://reports.example.org"}
    channels = {name: {} for name in ("website", "facebook", "twitter", "linkedin", "youtube")}
    told = {"storage": storage, "web": public, "channels": channels}
    with App.open(Config.model_validate(told)) as opened:
        opened.store.save_registry(
            sample_network.PEOPLE, sample_network.rows(), sample_network.FIRST
        )
        opened.store.save_conclusions(
            proposals=[
                Proposal("nour", sample_network.FOUND, sample_network.NOW, sample_network.NOW)
            ]
        )
        opened.store.add_reply(Reply("nour", ReplyKind.CLOSED, sample_network.NOW, "facebook"))
        report_links.create_report_link(
            opened.store, opened.config, "nour", "Amina", sample_network.NOW
        )
        yield opened


@pytest.fixture(scope="module")
def clients(app):
    """A browser for each person."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(asking(app, name, one)) for name, one in PEOPLE.items()}


@contextmanager
def asking(app, name, person):
    told = {"name": name, "role": person.role, "regions": person.regions}
    with (
        logged_in_client(app, sample_network.NOW, **told)
        if person.role
        else anonymous_client(app, sample_network.NOW) as client
    ):
        client.timeout = 60
        yield client


def answer(client, method, path):
    """How a request ends: `stranger`, `letter`, `refused` or `through`."""
    said = client.request(method, path)
    if said.status_code == 401 and "www-authenticate" in said.headers:
        return {"Session": "stranger", "ReportLink": "letter"}[said.headers["www-authenticate"]]
    if said.status_code >= 500:
        return f"crashed: {said.status_code}"
    return "refused" if said.status_code == 403 else "through"


def expected(name, access):
    if access is Access.REPORT_LINK:
        return "letter"
    if access in PEOPLE[name].may:
        return "through"
    return "refused" if PEOPLE[name].role else "stranger"


def of(app, route):
    """The numbers in a route's address that lead to something of the association that is asked for."""
    if route.path.endswith("/found/{number}"):
        return {
            "number": [one.id for one in app.store.list_proposals() if one.association == "nour"]
        }
    return {"number": ["1"]}


def state(app):
    """All that is kept but who has a session."""
    with closing(sqlite3.connect(app.data_folder / "auditor.db")) as database:
        return [
            line for line in database.iterdump() if not line.startswith('INSERT INTO "login_session"')
        ]


@pytest.mark.parametrize(
    "route", list_all_routes(), ids=lambda route: f"{min(route.methods)} {route.path}"
)
def test_every_route_declares_its_access_once(route):
    assert len(list_access_requirements(route)) == 1
    if list_access_requirements(route)[0].access is Access.REPORT_LINK:
        assert get_report_request in {one.call for one in route.dependant.dependencies}
    if list_access_requirements(route)[0].access is Access.MONITORING:
        assert route.path == METRICS_PATH  # it looks for itself who asks: test_health.py
    if list_access_requirements(route)[0] == RequireAccess(Access.OWN_REGION):
        assert "association" in route.param_convertors


def test_application_has_no_route_outside_the_routers(app):
    walked = {route.path for route in list_all_routes()}
    served = {
        getattr(route, "path", "") for route in create_app(app, lambda: sample_network.NOW).routes
    }
    assert served - walked <= {"/static", ""}


def test_route_without_declared_access_is_detected():
    router = APIRouter()
    router.get("/{language}/forgotten")(lambda: "everybody reads this")
    assert list_access_requirements(router.routes[0]) == []


@pytest.mark.parametrize("name", [name for name in PEOPLE if name != "admin"])
def test_forbidden_requests_are_refused_and_change_nothing(app, clients, name):
    before, wrong = state(app), {}
    for route in list_all_routes():
        access = list_access_requirements(route)[0].access
        if expected(name, access) == "through":
            continue
        for method, path in asked(app, route):
            if (ended := answer(clients[name], method, path)) != expected(name, access):
                wrong[method, path] = ended
    assert wrong == {}
    assert state(app) == before


def asked(app, route):
    for path in build_paths(route, association=("nour",), language=("en",), **of(app, route)):
        for method in route.methods:
            yield method, path


@pytest.mark.slow
@pytest.mark.parametrize("name", PEOPLE)
def test_allowed_requests_are_answered(app, clients, name):
    wrong = {}
    for route in list_all_routes():
        access = list_access_requirements(route)[0].access
        if expected(name, access) != "through" or "logout" in route.path:
            continue
        for method, path in asked(app, route):
            if (ended := answer(clients[name], method, path)) != "through":
                wrong[method, path] = ended
    assert wrong == {}


def test_users_guide_lists_every_route_with_its_access():
    page = PAGE.read_text("utf-8")
    assert build_routes_table() in page
    ways = re.findall(r"`[A-Z/]+ [^`]+`", build_routes_table())
    assert len(ways) == len(set(ways)) == len(list_all_routes())
    assert update_page(page) == page


def test_users_guide_lists_every_command():
    page = PAGE.read_text("utf-8")
    sentence = "Everyone who can use the operating system account of the auditor can run every command"
    assert sentence in " ".join(page.split())
    assert build_commands_list() in page
