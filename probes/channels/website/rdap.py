"""Registration of a domain at its registry, read with RDAP (RFC 9082, RFC 9083).

The registry is asked for the registrable domain only: a subdomain has no registration. Which
registry answers for a top-level domain is in `rdap_services.json`, from IANA's bootstrap list (RFC
9224). Many country registries are not in it, among them those of .ma, .tn, .dz, .eu, .be and .es.
Of a response only dates, statuses and the name are read, never contacts.
"""

import re
from datetime import UTC, date, datetime
from typing import Any

from probes.channels._api_common import parse_json_object
from probes.links.domains import encode_domain, find_rdap_service
from probes.models.finding import FactValue, Reason
from probes.models.http import Page
from probes.models.probe import (
    ProbeGenerator,
    absent_finding,
    present_finding,
    request_page,
    unknown_finding,
)
from probes.parsing.json_data import as_list, as_object

LAPSE_STATUSES = ("pending delete", "redemption period", "client hold", "server hold")
"""The statuses of a domain that is lost or switched off (RFC 8056), the most severe first."""

EXPIRY_EVENTS = ("expiration", "registrar expiration")
"""The end of a registration at the registry, and at the registrar (RFC 9083 §10.2.3)."""
_EXPIRY_FACTS = ("domain_expires_on", "domain_other_expiry")
EARLIEST_YEAR, LATEST_YEAR = 1990, 2200
"""Registries that hide the date send one outside of these years, such as 0001-01-01."""


def probe_domain(domain: str) -> ProbeGenerator:
    """Ask the registry of a domain when its registration expires.

    The finding is present if the registry knows the domain, and absent if it does not. Facts:
    `domain_expires_on`, the earliest day of expiry, `domain_other_expiry`, a later one if the
    registry states two, and `domain_statuses`, those of `LAPSE_STATUSES`. Requires a domain with a
    service.
    """
    service_url = find_rdap_service(domain)
    assert service_url is not None
    name = encode_domain(domain)
    page, record = yield from request_page(
        f"{service_url}domain/{name}",
        parse_domain_record,
        headers={"Accept": "application/rdap+json, application/json;q=0.9"},
    )
    if page.status == 404:
        return absent_finding(page, Reason.NOT_FOUND)
    if page.status != 200:
        reason = Reason.SERVER_ERROR if page.status >= 500 else Reason.BLOCKED
        return unknown_finding(page, Reason.RATE_LIMITED if page.status == 429 else reason)
    if record is None:
        return unknown_finding(page, Reason.UNREADABLE)
    answered_name, facts = record
    if answered_name not in ("", name):
        return unknown_finding(page, Reason.UNREADABLE, detail="another domain")
    return present_finding(page, facts=facts)


def parse_domain_record(page: Page) -> tuple[str, dict[str, FactValue]] | None:
    """Return the name of a domain in ASCII and its facts, or None if the response is no record."""
    data = parse_json_object(page)
    if data.get("objectClassName") != "domain":
        return None
    name = str(data.get("ldhName") or data.get("unicodeName") or "").rstrip(".")
    days = sorted(set(filter(None, map(_parse_expiry, as_list(data.get("events"))))))
    first_and_last = map(date.isoformat, [*days[:1], *days[1:][-1:]])
    facts: dict[str, FactValue] = dict(zip(_EXPIRY_FACTS, first_and_last, strict=False))
    # Some registries send EPP's spelling: `clientHold`.
    joined = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", "\n".join(map(str, as_list(data.get("status")))))
    statuses = set(joined.lower().split("\n"))
    lapse_statuses = ", ".join(status for status in LAPSE_STATUSES if status in statuses)
    if lapse_statuses:
        facts["domain_statuses"] = lapse_statuses
    return encode_domain(name), facts


def _parse_expiry(event: Any) -> date | None:
    """Return the UTC day of an event that ends the registration, or None."""
    fields = as_object(event)
    if str(fields.get("eventAction", "")).lower() not in EXPIRY_EVENTS:
        return None
    try:
        expires_at = datetime.fromisoformat(str(fields.get("eventDate")))
        if expires_at.tzinfo:
            expires_at = expires_at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    is_plausible = EARLIEST_YEAR <= expires_at.year <= LATEST_YEAR
    return expires_at.date() if is_plausible else None
