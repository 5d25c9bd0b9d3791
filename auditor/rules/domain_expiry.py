"""Finds when a website's domain expires: from its registry, or as a person stated it. Pure.

The registry's answer counts while it is recent. Otherwise the newest decision that states a date
counts until that day has passed. Without either, the expiry could not be checked, which is never a
gap.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from probes.links import channel_registry
from probes.links.domains import find_rdap_service, get_own_domain
from probes.models.finding import ACCOUNT_KINDS, Reason
from storage.models.audit import AccountRow, Decision, DecisionKind, DomainCheck

MAX_ANSWER_AGE = timedelta(days=28)
"""An older answer of a registry may be from before a renewal, so no gap is based on it."""


@dataclass(frozen=True, slots=True)
class DomainExpiry:
    """The expiry of a domain as it is known at a run.

    `source` is "registry" or "stated", or "" if the expiry could not be checked; `cause` then says
    why (group `cause` of `terms.toml`). It is "not_registered" if the registry does not know the
    domain. `known_at` is when the registry answered or the person stated it. `has_registry_answer`
    is True if the registry ever answered, unless its newest answer names neither date nor status.
    """

    domain: str
    source: str = ""
    expires_on: date | None = None
    other_expiry: date | None = None
    has_expired: bool = False
    status: str = ""
    known_at: datetime | None = None
    cause: str = ""
    has_registry_answer: bool = False

    @property
    def is_known(self) -> bool:
        """Return True if there is a date, or a status of a lost domain."""
        return self.expires_on is not None or bool(self.status)


def find_website_domain(row: AccountRow) -> str:
    """Return the registrable domain of a registered website, or "" if a platform owns it."""
    key = row.identity.key
    if row.channel != channel_registry.WEBSITE_CHANNEL or row.identity.kind not in ACCOUNT_KINDS:
        return ""
    return get_own_domain(key.partition("/")[0].partition(":")[0]) if key else ""


def select_stated_expiries(decisions: Iterable[Decision]) -> dict[int, Decision]:
    """Return the newest decision that states an expiry, by account. Needs decisions in order."""
    stated = {}
    for decision in decisions:
        if decision.kind is DecisionKind.DOMAIN_EXPIRES and decision.account_id is not None:
            stated[decision.account_id] = decision
    return stated


def find_domain_expiry(
    row: AccountRow,
    checks: Mapping[int, DomainCheck],
    stated: Mapping[int, Decision],
    run_started_at: datetime,
) -> DomainExpiry | None:
    """Return the expiry of a website's domain, or None if a platform owns it."""
    domain = find_website_domain(row)
    if not domain:
        return None
    account_id = row.id or 0
    check = drop_check_of_other_domain(checks.get(account_id), domain)
    if check is not None and is_answer_usable(check, run_started_at):
        today = run_started_at.date()
        return DomainExpiry(
            check.domain,
            "registry",
            expires_on=check.expires_on,
            other_expiry=check.other_expiry,
            has_expired=check.expires_on is not None and check.expires_on < today,
            status=check.statuses.partition(",")[0].replace(" ", "_"),
            cause="not_registered" if check.reason is Reason.NOT_FOUND else "",
            known_at=check.answered_at,
            has_registry_answer=True,
        )
    has_answer = check is not None and check.answered_at is not None
    if check is not None and not (check.expires_on or check.statuses or check.reason):
        has_answer = False
    decision = stated.get(account_id)
    if decision is not None and decision.value:
        return DomainExpiry(
            domain,
            "stated",
            expires_on=date.fromisoformat(decision.value),
            known_at=decision.decided_at,
            has_registry_answer=has_answer,
        )
    return DomainExpiry(domain, cause=_find_cause(domain, check), has_registry_answer=has_answer)


def drop_check_of_other_domain(check: DomainCheck | None, domain: str) -> DomainCheck | None:
    """Return a check, or None if it is from before the registered link was corrected."""
    return check if check is not None and check.domain == domain else None


def is_answer_usable(check: DomainCheck, run_started_at: datetime) -> bool:
    """Return True if the answer is recent and still says something about the present."""
    return (
        check.answered_at is not None
        and run_started_at - check.answered_at <= MAX_ANSWER_AGE
        and bool(check.expires_on or check.statuses or check.reason is Reason.NOT_FOUND)
        and not was_expiry_passed_since(check, run_started_at.date())
    )


def was_expiry_passed_since(check: DomainCheck, today: date) -> bool:
    """Return True if the stated day has passed since the registry answered.

    The domain may have been renewed in the meantime, so the registry has to be asked again.
    """
    if check.expires_on is None or check.answered_at is None:
        return False
    return check.answered_at.date() <= check.expires_on < today


def _find_cause(domain: str, check: DomainCheck | None) -> str:
    """Return why the expiry is not known."""
    if find_rdap_service(domain) is None:
        return "no_service"
    if check is None:
        return "not_asked"
    if check.reason is Reason.NOT_FOUND:
        return "not_registered"
    return str(check.reason or "no_date")
