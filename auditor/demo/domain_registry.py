"""The registry of .org domains (RDAP), in two hosts: the first redirects for some names."""

import re
from collections.abc import Mapping

from auditor.demo.associations import DemoAssociation
from auditor.demo.model import (
    SCENARIOS,
    DemoRun,
    FakeRequest,
    FakeResponse,
    json_response,
    redirect_response,
    text_response,
)

REGISTRY_HOST = "rdap.publicinterestregistry.org"
SUCCESSOR_HOST = "rdap.registre-suivant.org"
"""The registry to which the first one redirects for a name that it no longer manages."""


def respond_domain_registry(
    sites: Mapping[str, DemoAssociation], request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Return the RDAP record of a domain, as one of the two registries has it."""
    path_match = re.fullmatch(r"(?:/rdap)?/domain/(.*)", request.path)
    if path_match is None:
        return text_response("", 404)
    domain, number = path_match[1], demo_run.number
    association = sites.get(domain)
    scenario = SCENARIOS["domains"].get(association.id, {"days_left": 400}) if association else {}
    is_lost = number >= scenario.get("lost_in_run", number + 1)
    if association is None or not domain.endswith("-maroc.org") or is_lost:
        return json_response({"errorCode": 404}, 404)
    if scenario.get("is_redirected") and request.host == REGISTRY_HOST:
        return redirect_response(f"https://{SUCCESSOR_HOST}/domain/{domain}", 302)
    if number == scenario.get("refused_in_run"):
        return json_response({"errorCode": 429}, 429)
    days_by_action = {"registration": -2_000}
    if "days_left" in scenario:
        is_renewed = number >= scenario.get("renewed_in_run", number + 1)
        days_by_action["expiration"] = scenario["days_left"] + (365 if is_renewed else 0)
    if "registrar_days_left" in scenario:
        days_by_action["registrar expiration"] = scenario["registrar_days_left"]
    events = [
        {"eventAction": action, "eventDate": demo_run.days_before_last_run(-days).isoformat()}
        for action, days in days_by_action.items()
    ]
    status = ["client transfer prohibited"]
    record = {"objectClassName": "domain", "ldhName": domain.upper(), "status": status}
    return json_response({**record, "events": events})
