"""Ask registries when the domains of websites expire, as a part of a run.

A run asks for each domain once, however many associations use it, and again after
`[domain_expiry] check_every_days`. After a failure that may be over soon, and when the stated day
has passed, the next run asks again. A resumed run repeats no request, and leaves out the registries
that refused. All registries are asked at the same time, and each for one domain after the other.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from auditor.app import App
from auditor.checking.checker import AccountChecker
from auditor.core.runtime import run_together
from auditor.rules.domain_expiry import (
    drop_check_of_other_domain,
    find_website_domain,
    was_expiry_passed_since,
)
from auditor.runs.account_worker import SECOND_PASS_REASONS
from auditor.runs.plan import build_account_filter
from auditor.runs.state import RunDeadline
from probes.links.channel_registry import WEBSITE_CHANNEL
from probes.models.finding import Finding, Presence, Reason
from probes.website.rdap import find_rdap_service
from storage.models.audit import AuditRun, DomainCheck

MAX_DOMAINS_PER_RUN = 2_000
"""The most domains that a run asks for. The next run begins with the rest."""

STOP_REASONS = frozenset({Reason.RATE_LIMITED, Reason.BLOCKED, Reason.ROBOTS, Reason.NETWORK})
"""After a response with one of these, a run asks the registry for no more domains."""


@dataclass(frozen=True, slots=True)
class DueDomain:
    """A domain to ask for, with the newest check of each account on it.

    `previous_checks` are by account id. A check is None if there is none of this domain.
    """

    domain: str
    previous_checks: Mapping[int, DomainCheck | None]


async def check_domains(
    app: App,
    run: AuditRun,
    checker: AccountChecker,
    deadline: RunDeadline,
    clock: Callable[[], datetime],
) -> None:
    """Ask registries for the domains that are due, and store each answer at once."""
    if not app.config.domain_expiry.enabled:
        return
    due_domains = await asyncio.to_thread(list_due_domains, app, run)
    domains_by_service: dict[str, list[DueDomain]] = defaultdict(list)
    for due in due_domains:
        domains_by_service[find_rdap_service(due.domain) or ""].append(due)

    async def ask_service(service_domains: Sequence[DueDomain]) -> None:
        for due in service_domains:
            if deadline.should_stop:
                break
            finding = (await checker.check_domain(due.domain)).finding
            checks = list(_build_domain_checks(due, finding, run, clock()))
            await asyncio.to_thread(app.store.domain_checks.save_domain_checks, checks)
            if finding.reason in STOP_REASONS:
                break

    await run_together(*map(ask_service, domains_by_service.values()))


def list_due_domains(app: App, run: AuditRun) -> list[DueDomain]:
    """Return the domains that a run asks for, those with the oldest check first, then by account.

    A domain with an account that has no check comes before all others. A run never asks for a
    domain whose registry has no RDAP service or has refused in this run, or for that of a hosting
    platform.
    """
    should_check = build_account_filter(
        app.store.decisions.list_decisions(), app.config, run.started_at
    )
    checks_by_domain: dict[str, dict[int, DomainCheck | None]] = defaultdict(dict)
    due_days: dict[str, date] = {}
    refusing_services = set()
    for row, stored_check in app.store.domain_checks.list_accounts_with_domain_check(
        WEBSITE_CHANNEL
    ):
        domain = find_website_domain(row)
        service = find_rdap_service(domain)
        if row.id is None or service is None or not should_check(row):
            continue
        check = drop_check_of_other_domain(stored_check, domain)
        checks_by_domain[domain][row.id] = check
        if check is None:
            due_days[domain] = date.min
        elif _is_outdated(check, run, app.config.domain_expiry.check_every_days):
            day = check.checked_at.date()
            due_days[domain] = min(day, due_days.get(domain, day))
        if check is not None and check.run_id == run.id and check.reason in STOP_REASONS:
            refusing_services.add(service)
    domains = sorted(due_days, key=due_days.__getitem__)[:MAX_DOMAINS_PER_RUN]
    return [
        DueDomain(domain, checks_by_domain[domain])
        for domain in domains
        if find_rdap_service(domain) not in refusing_services
    ]


def _is_outdated(check: DomainCheck, run: AuditRun, every_days: int) -> bool:
    if check.run_id == run.id:
        return False  # a resumed run does not ask again
    today = run.started_at.date()
    if (today - check.checked_at.date()).days >= every_days:
        return True
    if check.has_failed:
        return check.reason in SECOND_PASS_REASONS
    return was_expiry_passed_since(check, today)


def _build_domain_checks(
    due: DueDomain, finding: Finding, run: AuditRun, now: datetime
) -> Iterator[DomainCheck]:
    """Yield the check of each account. After a failure, it repeats the last response."""
    assert run.id is not None
    for account_id, previous_check in due.previous_checks.items():
        previous = previous_check or DomainCheck(account_id, run.id, due.domain, now)
        if finding.presence is Presence.UNKNOWN:
            yield replace(previous, run_id=run.id, checked_at=now, reason=finding.reason)
            continue
        yield DomainCheck(
            account_id,
            run.id,
            due.domain,
            now,
            finding.reason,
            answered_at=now,
            expires_on=_parse_fact(finding, "domain_expires_on"),
            other_expiry=_parse_fact(finding, "domain_other_expiry"),
            statuses=str(finding.facts.get("domain_statuses", "")),
        )


def _parse_fact(finding: Finding, name: str) -> date | None:
    day = finding.facts.get(name)
    return date.fromisoformat(str(day)) if day else None
