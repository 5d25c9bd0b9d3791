"""Lists every route of the web application with example addresses and form data.

Tests take the routes from the routers, so a new page is tested without being named here.
"""

import types
from collections.abc import Iterable, Iterator
from enum import EnumType
from itertools import product
from typing import Literal, Union, get_args, get_origin
from urllib.parse import quote

import pytest
from _pytest.mark import ParameterSet
from fastapi.routing import APIRoute

from auditor.presentation.views.export import EXPORT_FORMATS, EXPORT_KINDS
from auditor.web.app import ROUTERS
from tests.support.sample_network import UNREAD, WAITING

PATH_VALUES = {
    "action": ("renew", "revoke"),
    "language": ("en",),
    "association": ("nour", "bare"),
    "account_id": range(1, 6),
    "kind": tuple(EXPORT_KINDS),
    "file_format": EXPORT_FORMATS,
    "entry_id": ("1",),
    "user_id": ("1",),
    "reply_id": ("1",),
    "proposal_id": ("1",),
    "workshop_id": ("1", "99"),
    "day": ("2026-11-02",),
    "upload_name": (WAITING, UNREAD, "none"),
    "token": ("none",),
    "key": ("none",),
    "number": ("0",),
}
"""Example values of each path parameter."""
QUERIES = {
    "changes": ("since=2026-11-02",),
    "associations": (
        "q=nour&region=souss-massa&tag=rabat&level=strong&gap=channel_missing&channel=facebook",
        "state=unknown&channel=facebook",
        "q=nobody",
    ),
    "gaps": ("gap=channel_missing&channel=facebook&gap_kind=broken&region=souss-massa", "gap=none"),
    "runs": ("before=2026-11-05",),
    "groups": ("group_by=tag", "since=2026-11-02"),
    "decisions": tuple(
        f"kind={kind}&channel=facebook"
        for kind in (
            "confirm",
            "none_by_choice",
            "claim",
            "disown",
            "moved",
            "waive",
            "domain_expires",
            "withdraw&decision_id=1",
        )
    ),
    "{account_id:int}": ("run=2026-11-02",),
    "meeting": ("tag=nobody", "since=2026-11-02", "call_limit=25"),
    "calls": ("after=nour", "after=nobody"),
    "history": ("association=nour", "association=nobody"),
    "check": ("refusal=finished",),
    "survey": ("question=training", "question=all", "question=none"),
    "final-report": ("from=2026-11-03&to=2026-11-05&tag=rabat", "from=2030-01-01"),
    "report.png": ("since=2026-11-02T00:00:00Z",),
}
"""Queries of a page in addition to its enumerated parameters, by the last part of the route."""
SLOW_SUFFIXES = ("report.pdf", "final-report.pdf", "exports/{kind}.{file_format}", "meeting.xlsx")
"""Routes that take seconds with all their queries; these tests are marked as slow."""


def list_routes(method: str) -> list[APIRoute]:
    """Return the routes that answer an HTTP method."""
    return [route for route in list_all_routes() if method in route.methods]


def route_params(method: str) -> list[ParameterSet]:
    """Return the routes of a method as test parameters; expensive ones are marked as slow."""
    return [
        pytest.param(
            route,
            marks=[pytest.mark.slow] if route.path.endswith(SLOW_SUFFIXES) else [],
            id=route.path,
        )
        for route in list_routes(method)
    ]


def list_all_routes() -> list[APIRoute]:
    """Return all routes."""
    return [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]


def build_urls(route: APIRoute, **path_values: Iterable[object]) -> Iterator[str]:
    """Yield the addresses of a page with each of its queries."""
    last_part = route.path.rpartition("/")[2]
    queries = ["", *QUERIES.get(last_part, ()), *_enumerated_queries(route)]
    for path in build_paths(route, **path_values):
        for query in queries:
            yield f"{path}?{query}" if query else path


def build_paths(route: APIRoute, **path_values: Iterable[object]) -> Iterator[str]:
    """Yield the paths of a route; `path_values` replaces the example values."""
    all_values = {**PATH_VALUES, **path_values}
    for values in product(*(all_values[name] for name in route.param_convertors)):
        named_values = zip(route.param_convertors, values, strict=True)
        quoted = {name: quote(str(value), safe="") for name, value in named_values}
        yield route.path_format.format(**quoted)


def _enumerated_queries(route: APIRoute) -> Iterator[str]:
    """Yield a query for each value of each boolean, enum or literal parameter."""
    for field in route.dependant.query_params:
        annotation = field.field_info.annotation
        is_union = get_origin(annotation) in (Union, types.UnionType)
        for member in get_args(annotation) if is_union else (annotation,):
            yield from (f"{field.alias}={value}" for value in _list_values(member))


def _list_values(annotation: object) -> list[str]:
    if annotation is bool:
        return ["true"]
    if isinstance(annotation, EnumType):
        return [str(member.value) for member in annotation]
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    return []


FORMS = {
    "associations": (
        {"action": "export"},
        {"action": "tag", "id": "nour", "tag": "rabat"},
        {"action": "messages", "id": "x0"},
        {"action": "invite", "id": "x0", "title": "rabat", "day": "2026-12-01"},
        {"action": "invite", "id": "x0"},
    ),
    "survey": ({"question": "training", "answer": "training:yes"}, {"answer": "none"}),
    "{workshop_id}": ({"id": "nour"}, {}),
    "undo": ({},),
    "seen": ({},),
    "feed": ({},),
    "revocation": ({},),
    "{key}": ({},),
    "{number:int}": ({},),
    "decisions": (
        {"kind": "confirm"},
        {"kind": "confirm", "channel": "facebook"},
        {"kind": "confirm", "channel": "facebook"},
        {"kind": "confirm", "channel": "facebook", "last_activity": "yesterday", "reason": "."},
        {"kind": "confirm", "channel": "facebook", "last_activity": "2027-01-01", "reason": "."},
        {"kind": "confirm", "channel": "facebook", "last_activity": "1999-01-01", "reason": "."},
        {"kind": "confirm", "channel": "facebook", "until": "2026-01-01", "reason": "."},
        {"kind": "confirm", "channel": "facebook", "until": "2036-01-01", "reason": "."},
        {"kind": "confirm", "channel": "fax", "reason": "."},
        {"kind": "confirm", "channel": "instagram", "reason": "."},
        {"kind": "confirm", "channel": "facebook", "account": "no link", "reason": "."},
        {"kind": "claim", "channel": "facebook", "reason": "."},
        {"kind": "claim", "channel": "facebook", "account": "https://x.com/nour", "reason": "."},
        {"kind": "domain_expires", "channel": "website", "reason": "."},
        {"kind": "domain_expires", "channel": "website", "expires_on": "2026-01-01", "reason": "."},
        {"kind": "waive", "reason": "."},
        {"kind": "waive", "channel": "facebook", "gap_code": "none", "reason": "."},
        {"kind": "none_by_choice", "channel": "tiktok", "reason": "."},
        {"kind": "withdraw", "decision_id": "1", "channel": "twitter"},
    ),
    "follow-ups": (
        {},
        {"kind": "promised"},
        {"kind": "note"},
        {"kind": "called"},
        {"kind": "called", "channel": "website", "code": "nonsense"},
    ),
    "checks": ({}, {}),
    "check": ({},),
    "columns": ({"columns": "0:"}, {"columns": "0:name"}, {"columns": "name"}),
    "meeting": ({}, {"tag": "rabat"}),
    "registry": (
        {},
        {"spreadsheet": b"id;x"},
        {"spreadsheet": b"name\n"},
        {"spreadsheet": b"PK"},
        {"spreadsheet": b"name\nNour\n"},
    ),
    "entries": ({}, {"name": "Salma", "language": "fr"}),
    "{upload_name}": ({"action": "import"}, {"action": "import"}, {"action": "discard"}),
    "{association:path}": (
        {},
        {"name": "", "email": "nobody", "phone": "1", "language": "no link", "links": "no link"},
        {"name": "Nour", "facebook": "no link", "website": "https://www.facebook.com/nour.agadir"},
    ),
    "subscriptions": ({"email": "nobody"}, {"email": "amina@example.org"}),
    "{token}": ({},),
    "replies": (
        {"kind": "claimed"},
        {"kind": "claimed", "account_id": "2"},
        {"kind": "moved", "account_id": "2", "value": "x", "at": "account-2"},
        {"kind": "disputed", "account_id": "2"},
        {"kind": "closed", "account_id": "2"},
        {"kind": "domain_expires", "account_id": "2", "value": "2026-12-24"},
    ),
    "withdrawal": ({}, {"at": "account-2"}),
    "steps": (
        {},
        {"gap_code": "channel_missing", "channel": "youtube", "step": ["1", "99"], "at": "x"},
    ),
    "report-links": ({}, {"file_format": "csv"}),
    "create": ({}, {"promise": "1"}),
    "{action}": ({},),
    "login": (
        {},
        {"name": "nobody", "password": "no password of anybody"},
        {"name": "nobody", "password": "x" * 129},
        {"name": "Amina", "password": "no password of anybody", "next": "/en/gaps"},
        *({"name": "nobody", "password": "another"},) * 5,
    ),
    "logout": ({},),
    "account": (
        {},
        {"current_password": "no password", "password": "x" * 129, "password_confirmation": ""},
        {"current_password": "no password", "password": "password1234"},
        {
            "current_password": "no password",
            "password": "several words apart",
            "password_confirmation": "several",
        },
        *(
            {
                "current_password": "wrong",
                "password": "several words apart",
                "password_confirmation": "several words apart",
            },
        )
        * 6,
    ),
    "set-password": (
        {},
        {"password": "several words apart", "password_confirmation": "several words apart"},
    ),
    "users": (
        {},
        {"name": "Salma", "role": "admin"},
        {"name": "salma ", "role": "reader"},
        {"name": "Idris", "role": "coordinator", "regions": "souss-massa"},
        {"name": "Zineb", "role": "coordinator", "regions": "nowhere"},
    ),
    "reset": ({},),
    "remove": ({},),
    "{reply_id:int}": (
        {"answer": "accepted"},
        {"answer": "declined"},
        {"answer": "accepted"},
        {"answer": "accepted"},
    ),
    "{proposal_id:int}": (
        {"answer": "accepted"},
        {"answer": "declined"},
        {"answer": "accepted"},
        {"answer": "accepted"},
    ),
}
"""Valid and invalid form data, by the last part of the route."""
