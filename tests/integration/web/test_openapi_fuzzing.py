"""Requests that schemathesis generates cause no server error."""

import logging
from contextlib import closing, suppress
from types import SimpleNamespace

import httpx
import pytest
import schemathesis
from fastapi.openapi.utils import get_openapi
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from auditor.config.schema import find_packaged_config, load_config
from auditor.presentation.views.export import MEDIA_TYPES
from auditor.web.access import SESSION_COOKIE
from auditor.web.app import create_app
from tests.support.sample_network import NOW, WAITING, played
from tests.support.web_server import anonymous_client, create_session

IS_EXPLORING = settings.default.max_examples > 100
EXISTING_VALUES = {
    "language": ("ar", "fr", "en"),
    "association": ("nour", "amal", "bare"),
    "account_id": ("1", "2"),
    "user_id": ("1", "2"),
    "reply_id": ("1", "2"),
    "proposal_id": ("1", "2"),
    "upload_name": (WAITING,),
}
"""Existing path values, because generated ones are almost never found."""
CONTENT_TYPES = {"text/html", "text/plain", "text/calendar", "image/svg+xml", "application/pdf"} | {
    kind.partition(";")[0] for kind in MEDIA_TYPES.values()
}
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


WEB = create_app(SimpleNamespace(config=load_config(find_packaged_config(), {})), lambda: NOW)
SCHEMA = get_openapi(title="auditor", version="1", routes=WEB.routes)
"""The schema of the pages, which the site itself does not publish."""
OPERATIONS = {
    found.ok().label: found.ok()
    for found in schemathesis.openapi.from_dict(SCHEMA).get_all_operations()
}
UNSENDABLE = (
    *(httpx.InvalidURL, httpx.LocalProtocolError, UnicodeEncodeError, TypeError, AttributeError),
)
"""What a client raises for a request that no client can send."""


@pytest.fixture(scope="module")
def get_client_of_network(tmp_path_factory):
    """Return a client with a new administrator session, or without one."""
    app = played(tmp_path_factory.mktemp("network"))
    with closing(app.store), anonymous_client(app) as client:

        def get_client(is_logged_in):
            client.cookies.clear()
            if is_logged_in:
                client.cookies.set(SESSION_COOKIE, create_session(app.store))
            return client

        yield get_client


def send(client, case):
    """Return the response to a case, or None if no client can send it."""
    transport = case.as_transport_kwargs(base_url=str(client.base_url))
    names = ("method", "url", "params", "headers", "data", "json", "files")
    request = {name: transport[name] for name in names if transport.get(name) is not None}
    if isinstance(request.get("data"), bytes | str):
        request["content"] = request.pop("data")
    if cookies := transport.get("cookies"):
        cookie_header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        request["headers"] = {**request.get("headers", {}), "cookie": cookie_header}
    with suppress(*UNSENDABLE):
        return client.request(**request)


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
def test_generated_requests_cause_no_server_error(get_client_of_network, operation, caplog):
    cases = st.sampled_from(MODES).flatmap(
        lambda mode: OPERATIONS[operation].as_strategy(generation_mode=mode)
    )
    existing_values = st.fixed_dictionaries(
        {name: st.sampled_from(request) for name, request in EXISTING_VALUES.items()}
    )

    @settings(
        max_examples=200 if IS_EXPLORING else 12,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(cases, existing_values, st.booleans(), st.sampled_from([True, True, True, False]))
    def check_case(case, request, use_existing, is_logged_in):
        if use_existing:
            case.path_parameters.update(
                {name: request[name] for name in case.path_parameters if name in request}
            )
        response = send(get_client_of_network(is_logged_in), case)
        if response is not None:
            assert response.status_code < 500, response.text
            content_type = response.headers.get("content-type", "text/html").partition(";")[0]
            assert content_type in CONTENT_TYPES
        assert not [line for line in caplog.records if line.levelno >= logging.ERROR]

    with caplog.at_level(logging.WARNING):
        check_case()
