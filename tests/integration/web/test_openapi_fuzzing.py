"""schemathesis on the whole HTTP surface: nothing makes a page crash, or answer what nobody declared."""

import logging
from types import SimpleNamespace

import httpx
import pytest
import schemathesis
from fastapi.openapi.utils import get_openapi
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from auditor.config.schema import find_packaged_config, load_config
from auditor.views.export import MEDIA_TYPES
from auditor.web.access import SESSION_COOKIE
from auditor.web.app import create_app
from tests.support.sample_network import NOW, WAITING, played
from tests.support.web_server import anonymous_client, create_session

EXPLORING = settings.default.max_examples > 100
KNOWN = {
    "language": ("ar", "fr", "en"),
    "association": ("nour", "amal", "bare"),
    "account_id": ("1", "2"),
    "number": ("1", "2"),
    "name": (WAITING,),
}
"""What may stand in an address and is there: what is made up is almost never found."""
DECLARED = {"text/html", "text/plain", "image/svg+xml", "application/pdf"} | {
    kind.partition(";")[0] for kind in MEDIA_TYPES.values()
}
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


def operations():
    """Every operation of the site, from a schema that it shows to nobody."""
    web = create_app(SimpleNamespace(config=load_config(find_packaged_config(), {})), lambda: NOW)
    told = get_openapi(title="auditor", version="1", routes=web.routes)
    found = schemathesis.openapi.from_dict(told).get_all_operations()
    return {one.ok().label: one.ok() for one in found}


OPERATIONS = operations()


@pytest.fixture(scope="module")
def site_of_a_network(tmp_path_factory):
    """Clients that are let in as an administrator, each time anew, or not at all."""
    app = played(tmp_path_factory.mktemp("network"))
    with anonymous_client(app) as client:
        client.timeout = 60

        def client_of(is_let_in):
            client.cookies.clear()
            if is_let_in:
                client.cookies.set(SESSION_COOKIE, create_session(app.store))
            return client

        yield client_of
    app.store.close()


def sent(client, case):
    """The answer to a case; what no client can send is no case."""
    asked = case.as_transport_kwargs(base_url=str(client.base_url))
    names = ("method", "url", "params", "headers", "data", "json", "files")
    known = {name: asked[name] for name in names if asked.get(name) is not None}
    if isinstance(known.get("data"), bytes | str):
        known["content"] = known.pop("data")
    if cookies := asked.get("cookies"):
        told = "; ".join(f"{name}={value}" for name, value in cookies.items())
        known["headers"] = {**known.get("headers", {}), "cookie": told}
    try:
        return client.request(**known)
    except (
        httpx.InvalidURL,
        httpx.LocalProtocolError,
        UnicodeEncodeError,
        TypeError,
        AttributeError,
    ):
        return None


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
def test_generated_requests_cause_no_server_error(site_of_a_network, operation, caplog):
    cases = st.sampled_from(MODES).flatmap(
        lambda mode: OPERATIONS[operation].as_strategy(generation_mode=mode)
    )
    there = st.fixed_dictionaries({name: st.sampled_from(known) for name, known in KNOWN.items()})

    @settings(
        max_examples=200 if EXPLORING else 12,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(cases, there, st.booleans(), st.sampled_from([True, True, True, False]))
    def property_of_it(case, known, is_there, is_let_in):
        if is_there:
            case.path_parameters.update(
                {name: known[name] for name in case.path_parameters if name in known}
            )
        answer = sent(site_of_a_network(is_let_in), case)
        if answer is not None:
            assert answer.status_code < 500, answer.text
            told = answer.headers.get("content-type", "text/html").partition(";")[0]
            assert told in DECLARED
        assert not [line for line in caplog.records if line.levelno >= logging.ERROR]

    with caplog.at_level(logging.WARNING):
        property_of_it()
