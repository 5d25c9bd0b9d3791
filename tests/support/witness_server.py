"""Serves Wikidata's SPARQL service and the index of the web archive through a proxy with TLS."""

import contextlib
import json
from dataclasses import dataclass, field
from datetime import timedelta

from auditor.demo.model import DemoRun, FakeResponse, json_response, text_response
from auditor.demo.proxy import CertificateAuthority, FakeWebProxy

SPARQL_HOST, ARCHIVE_HOST = "qlever.dev", "web.archive.org"
NOT_FOUND = text_response("not found", 404)


@dataclass
class ServedWitnesses:
    """The responses of both services.

    `statements` has (item, property, value, read on) by website, `captures` a timestamp by address.
    A response in `refusals` replaces all others of its host. `robots` has robots.txt by host;
    without it, there is none, as on the real hosts.
    """

    statements: dict[str, list[tuple[str, str, str, str]]] = field(default_factory=dict)
    captures: dict[str, list[str]] = field(default_factory=dict)
    refusals: dict[str, FakeResponse] = field(default_factory=dict)
    robots: dict[str, str] = field(default_factory=dict)
    requests: list = field(default_factory=list)

    def find_tunnel_refusal(self, host, demo_run):
        return None

    def get_certificate_expiry(self, host, demo_run):
        return demo_run.started_at + timedelta(days=3650)

    def respond(self, request, demo_run):
        if request.path == "/robots.txt":
            robots = self.robots.get(request.host)
            return NOT_FOUND if robots is None else text_response(robots)
        self.requests.append(request)
        if request.host in self.refusals:
            return self.refusals[request.host]
        if request.host == SPARQL_HOST:
            return json_response({"results": {"bindings": self._find_rows(request.query["query"])}})
        if request.host == ARCHIVE_HOST:
            return self._respond_archive(request.query)
        return NOT_FOUND

    def list_requests(self, host):
        """Return the requests to a host, without those for robots.txt."""
        return [request for request in self.requests if request.host == host]

    def _find_rows(self, query):
        return [
            {
                "item": {"value": f"http://www.wikidata.org/entity/{item}"},
                "property": {"value": f"http://www.wikidata.org/prop/statement/{name}"},
                "value": {"value": value},
                "read": {"value": read},
            }
            for website, rows in self.statements.items()
            if f"<{website}>" in query
            for item, name, value, read in rows
        ]

    def _respond_archive(self, query):
        timestamps = sorted(self.captures.get(query["url"], ()))
        timestamps = [stamp for stamp in timestamps if stamp[:8] <= query.get("to", "99999999")]
        selected = timestamps[-1:] if query["limit"] == "-1" else timestamps[:1]
        rows = [[stamp, query["url"]] for stamp in selected]
        body = json.dumps([["timestamp", "original"], *rows] if rows else [])
        return FakeResponse(200, body.encode(), "application/json")


@contextlib.asynccontextmanager
async def serve_witnesses(served, folder, now):
    """Serve the responses, and yield the settings of a fetcher that reaches them."""
    authority = CertificateAuthority()
    authority.write_root_certificate(folder / "ca.pem")
    server = await FakeWebProxy(served, authority, DemoRun(1, 14, now)).listen()
    try:
        yield {
            "proxy": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
            "ca_file": folder / "ca.pem",
            "host_delay": 0,
            "retry_wait": 0,
        }
    finally:
        server.close()
        await server.wait_closed()
