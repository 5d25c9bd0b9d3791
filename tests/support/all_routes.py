"""Every page of the site, found from its routers: a page that is new is tried without being named here."""

import types
from collections.abc import Iterable, Iterator
from enum import EnumType
from itertools import product
from typing import Literal, Union, get_args, get_origin
from urllib.parse import quote

import pytest
from _pytest.mark import ParameterSet
from fastapi.routing import APIRoute

from auditor.views.export import EXPORT_FORMATS, EXPORT_KINDS
from auditor.web.app import ROUTERS
from tests.support.sample_network import WAITING

FILLED = {
    "language": ("en",),
    "association": ("nour", "bare"),
    "account_id": range(1, 6),
    "kind": tuple(EXPORT_KINDS),
    "form": EXPORT_FORMATS,
    "number": ("1",),
    "day": ("2026-11-02",),
    "name": (WAITING, "none"),
    "token": ("none",),
}
"""What stands in the open places of an address."""
ASKED = {
    "changes": ("since=2026-11-02&meeting=true",),
    "associations": (
        "q=nour&region=souss-massa&tag=rabat&level=strong&gap=channel_missing&channel=facebook",
        "state=unknown&channel=facebook",
        "q=nobody",
    ),
    "gaps": ("gap=channel_missing&channel=facebook&severity=high&region=souss-massa", "gap=none"),
    "nights": ("before=2026-11-05",),
    "cohorts": ("by=tag", "since=2026-11-02"),
    "decide": tuple(
        f"kind={kind}&channel=facebook"
        for kind in (
            "confirm",
            "none_by_choice",
            "claim",
            "disown",
            "moved",
            "waive",
            "withdraw&number=1",
        )
    ),
    "{account_id:int}": ("night=2026-11-02",),
    "{association:path}": (
        *(f"kept={kind}" for kind in ("confirm", "none_by_choice", "claim", "disown")),
        *("kept=moved", "kept=waive", "kept=withdraw", "done=renewed", "done=revoked"),
    ),
    "letters": ("q=nour", "q=nobody"),
    "meeting": ("tag=nobody", "since=2026-11-02", "calls=25"),
    "trail": ("association=nour", "association=nobody"),
    "registry": ("taken=1",),
}
"""What a page may be asked beside its closed choices, by the last part of its route."""


def routes(method: str) -> list[APIRoute]:
    """The routes of the site that answer a method."""
    return [route for route in every_route() if method in route.methods]


DEAR = ("report.pdf", "exports/{kind}.{form}", "meeting.xlsx")
"""How the addresses end of what takes seconds in all its ways; tried where there is time."""


def in_time(method: str) -> list[ParameterSet]:
    """The same, as parameters of a test; those whose answers take long to make are slow ones."""
    dear = [route.path.endswith(DEAR) for route in routes(method)]
    return [
        pytest.param(route, marks=[pytest.mark.slow] if one else [], id=route.path)
        for route, one in zip(routes(method), dear, strict=True)
    ]


def every_route() -> list[APIRoute]:
    """Every one there is."""
    return [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]


def ways(route: APIRoute, **given: Iterable[object]) -> Iterator[str]:
    """The addresses of a page: of each association, or of these, and with each thing it may be asked."""
    queries = ["", *ASKED.get(route.path.rpartition("/")[2], ()), *_closed(route)]
    yield from (
        f"{path}?{query}" if query else path for path in paths(route, **given) for query in queries
    )


def paths(route: APIRoute, **given: Iterable[object]) -> Iterator[str]:
    """The addresses of a route, its open places filled."""
    filled = {**FILLED, **given}
    for values in product(*(filled[name] for name in route.param_convertors)):
        told = zip(route.param_convertors, values, strict=True)
        yield route.path_format.format(**{name: quote(str(value), safe="") for name, value in told})


def _closed(route: APIRoute) -> Iterator[str]:
    """Each value of each parameter that has but a few."""
    for field in route.dependant.query_params:
        kind = field.field_info.annotation
        several = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
        for one in several:
            yield from (f"{field.alias}={value}" for value in _values(one))


def _values(kind: object) -> list[str]:
    if kind is bool:
        return ["true"]
    if isinstance(kind, EnumType):
        return [str(value.value) for value in kind]
    return [str(value) for value in get_args(kind)] if get_origin(kind) is Literal else []


SENT = {
    "decide": (
        {"kind": "confirm"},
        {"kind": "confirm", "channel": "facebook"},
        {"kind": "confirm", "channel": "facebook"},
        {"kind": "confirm", "channel": "facebook", "seen": "yesterday", "why": "."},
        {"kind": "confirm", "channel": "facebook", "seen": "2027-01-01", "why": "."},
        {"kind": "confirm", "channel": "facebook", "seen": "1999-01-01", "why": "."},
        {"kind": "confirm", "channel": "facebook", "until": "2026-01-01", "why": "."},
        {"kind": "confirm", "channel": "facebook", "until": "2036-01-01", "why": "."},
        {"kind": "confirm", "channel": "fax", "why": "."},
        {"kind": "confirm", "channel": "instagram", "why": "."},
        {"kind": "confirm", "channel": "facebook", "account": "no link", "why": "."},
        {"kind": "claim", "channel": "facebook", "why": "."},
        {"kind": "claim", "channel": "facebook", "account": "https://x.com/nour", "why": "."},
        {"kind": "waive", "why": "."},
        {"kind": "waive", "channel": "facebook", "code": "none", "why": "."},
        {"kind": "none_by_choice", "channel": "tiktok", "why": "."},
        {"kind": "withdraw", "number": "1", "channel": "twitter"},
    ),
    "follow-up": ({}, {"kind": "promised"}, {"kind": "note"}, {"kind": "called"}),
    "check": ({}, {}),
    "meeting": ({}, {"tag": "rabat"}),
    "registry": (
        {},
        {"sheet": b"id;x"},
        {"sheet": b"name\n"},
        {"sheet": b"PK"},
        {"sheet": b"name\nNour\n"},
    ),
    "{name}": ({"act": "take"}, {"act": "take"}, {"act": "drop"}),
    "{association:path}": (
        {},
        {"name": "", "email": "nobody", "phone": "1", "language": "no link", "links": "no link"},
        {"name": "Nour", "facebook": "no link", "website": "https://www.facebook.com/nour.agadir"},
    ),
    "monthly": ({"address": "nobody"}, {"address": "amina@example.org"}),
    "{token}": ({},),
    "reply": (
        {"kind": "claimed"},
        {"kind": "claimed", "account": "2"},
        {"kind": "moved", "account": "2", "value": "x"},
        {"kind": "disputed", "account": "2"},
        {"kind": "closed", "account": "2"},
    ),
    "letters": ({}, {"form": "csv"}),
    "make": ({},),
    "renew": ({},),
    "revoke": ({},),
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
        {"now": "no password", "password": "x" * 129, "again": ""},
        {"now": "no password", "password": "password1234", "again": ""},
        {"now": "no password", "password": "several words apart", "again": "several"},
        *({"now": "wrong", "password": "several words apart", "again": "several words apart"},) * 6,
    ),
    "welcome": ({}, {"password": "several words apart", "again": "several words apart"}),
    "people": (
        {},
        {"name": "Salma", "role": "admin"},
        {"name": "salma ", "role": "reader"},
        {"name": "Idris", "role": "coordinator", "region": "souss-massa"},
        {"name": "Zineb", "role": "coordinator", "region": "nowhere"},
    ),
    "reset": ({},),
    "remove": ({},),
    "{number}": (
        {"answer": "accepted"},
        {"answer": "declined"},
        {"answer": "accepted"},
        {"answer": "accepted"},
    ),
}
"""What is sent to an address, right and wrong, by the last part of its route."""
