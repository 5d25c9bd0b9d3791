"""Networks, clients and connections for the tests of pages."""

import socket
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

import pytest

from auditor.conclusions.run_results import refresh_summaries
from tests.support import sample_network
from tests.support.web_server import NOW, logged_in_client, open_app, serve_app


@pytest.fixture(scope="module")
def sample_app(tmp_path_factory):
    """The sample network after its runs; the tests of a module share it."""
    network = sample_network.played(tmp_path_factory.mktemp("network"))
    with closing(network.store):
        refresh_summaries(network.store, network.config)
        yield network


@pytest.fixture
def app(tmp_path, request):
    """An auditor with the `REGISTRY` and the `SETTINGS` of the module, before its first run."""
    registry = getattr(request.module, "REGISTRY", ())
    settings = getattr(request.module, "SETTINGS", {})
    with open_app(tmp_path, *registry, **settings) as opened:
        yield opened


@pytest.fixture
def client(app, request):
    """A client of the module's `app`, at its `NOW`, with the session of an administrator."""
    with logged_in_client(app, getattr(request.module, "NOW", NOW)) as client:
        yield client


@pytest.fixture
def connect(app):
    """Return a function that sends bytes on a new connection to a server of the `app`."""
    with serve_app(app) as url, ExitStack() as connections:
        address = urlsplit(url)

        def send(content):
            connection = socket.create_connection((address.hostname, address.port), timeout=60)
            connections.enter_context(connection).sendall(content)
            return connection

        yield send


def read_answer(connection):
    """Return all that the server sends until it closes the connection."""
    with connection.makefile("rb") as stream:
        return stream.read()
