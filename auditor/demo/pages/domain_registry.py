"""The registry of .org domains, which serves RDAP records, and the gaps that these open.

Dates count from the last run. The auditor asks the registry in the first run and once a week.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import starmap

from auditor.demo.account_scenarios import FOREVER
from auditor.demo.associations import DemoAssociation
from auditor.demo.model import (
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

DOMAIN_SUFFIX = "-maroc.org"
DOMAIN_PATHS = ("/rdap/domain/", "/domain/")


@dataclass(frozen=True, slots=True)
class DomainScenario:
    """The registration of a domain, with the runs in which its gap is open.

    A negative first run counts back from the last one. `days_left` count from the last run, or None
    if the registry hides the date. `renewed_in_run` is the run from which the domain is renewed for
    a year, `lost_in_run` that from which the registry does not know it, and `refused_in_run` that
    in which the registry refuses.
    """

    days_left: int | None = 400
    registrar_days_left: int | None = None
    renewed_in_run: int = FOREVER
    lost_in_run: int = FOREVER
    refused_in_run: int = 0
    is_redirected: bool = False
    gap_run_range: tuple[int, int] | None = None


DEFAULT_DOMAIN = DomainScenario()
DOMAIN_SCENARIOS = {
    "a017": DomainScenario(lost_in_run=4),
    "a023": DomainScenario(days_left=40, gap_run_range=(-20, FOREVER)),
    "a026": DomainScenario(days_left=-5, gap_run_range=(1, FOREVER)),
    "a062": DomainScenario(registrar_days_left=30, gap_run_range=(1, FOREVER)),
    "a074": DomainScenario(days_left=None),
    "a077": DomainScenario(days_left=45, is_redirected=True, gap_run_range=(-15, FOREVER)),
    "a080": DomainScenario(days_left=10, renewed_in_run=8, gap_run_range=(1, 7)),
    "a083": DomainScenario(lost_in_run=1),
    "a095": DomainScenario(refused_in_run=1),
}
"""Domains, by association, that expire, are renewed or lost, or that the registry hides."""


def is_domain_gap_open(association: DemoAssociation, run_number: int, total_runs: int) -> bool:
    """Return True if the domain of an association's site must be renewed in a run."""
    gap_run_range = DOMAIN_SCENARIOS.get(association.id, DEFAULT_DOMAIN).gap_run_range
    if gap_run_range is None:
        return False
    first, last = gap_run_range
    return (first if first > 0 else total_runs + first) <= run_number <= last


def respond_domain_registry(
    associations_by_host: dict[str, DemoAssociation], request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Return the RDAP record of a domain, as one of the two registries has it."""
    prefix = next((path for path in DOMAIN_PATHS if request.path.startswith(path)), None)
    if prefix is None:
        return text_response("", 404)
    domain = request.path.removeprefix(prefix)
    association = associations_by_host.get(domain)
    if association is None or not domain.endswith(DOMAIN_SUFFIX):
        return json_response({"errorCode": 404}, 404)
    scenario = DOMAIN_SCENARIOS.get(association.id, DEFAULT_DOMAIN)
    if scenario.is_redirected and request.host == REGISTRY_HOST:
        return redirect_response(f"https://{SUCCESSOR_HOST}/domain/{domain}", 302)
    if demo_run.number == scenario.refused_in_run:
        return json_response({"errorCode": 429}, 429)
    if demo_run.number >= scenario.lost_in_run:
        return json_response({"errorCode": 404}, 404)
    return json_response(_build_record(domain, scenario, demo_run))


def _build_record(domain: str, scenario: DomainScenario, demo_run: DemoRun) -> dict[str, object]:
    events = [("registration", demo_run.days_before_last_run(2_000))]
    if scenario.days_left is not None:
        expires_at = demo_run.last_run_at + timedelta(days=scenario.days_left)
        if demo_run.number >= scenario.renewed_in_run:
            expires_at += timedelta(days=365)
        events.append(("expiration", expires_at))
    if scenario.registrar_days_left is not None:
        expires_at = demo_run.last_run_at + timedelta(days=scenario.registrar_days_left)
        events.append(("registrar expiration", expires_at))
    return {
        "objectClassName": "domain",
        "ldhName": domain.upper(),
        "status": ["client transfer prohibited"],
        "events": list(starmap(_build_event, events)),
    }


def _build_event(action: str, timestamp: datetime) -> dict[str, str]:
    return {"eventAction": action, "eventDate": timestamp.isoformat()}
