"""Ask registries when the domains of websites expire, as a part of a run.

A run asks for each domain once, however many associations use it, and again after
`[domain_expiry] check_every_days`. After a failure that may be over soon, and when the stated day
has passed, the next run asks again. A resumed run repeats no request, and leaves out the registries
that refused. All registries are asked at the same time, and each for one domain after the other.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from auditor.checking.checker import AccountChecker
from auditor.core.runtime import run_together
from auditor.protocols import RunContext
from auditor.rules.domain_expiry import find_website_domain, was_expiry_passed_since
from auditor.runs.account_worker import SECOND_PASS_REASONS, RunDeadline
from auditor.runs.plan import select_accounts_to_check
from probes.links.channel_registry import WEBSITE_CHANNEL
from probes.models.finding import Finding, Presence, Reason
from probes.website.rdap import find_rdap_service
from storage.models.audit import AccountRow, AuditRun, DomainCheck

MAX_DOMAINS_PER_RUN = 2_000
"""The most domains that a run asks for. The next run begins with the rest."""

STOP_REASONS = frozenset({Reason.RATE_LIMITED, Reason.BLOCKED, Reason.ROBOTS, Reason.NETWORK})
"""After a response with one of these, a run asks the registry for no more domains."""


@dataclass(frozen=True, slots=True)
class DueDomain:
    """A domain to ask for, with the accounts on it and the newest check of each.

    `previous_checks` are by account. An account whose link had another domain has none.
    """

    domain: str
    accounts: tuple[AccountRow, ...]
    previous_checks: Mapping[int, DomainCheck]


async def check_domains(
    app: RunContext,
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
            await asyncio.to_thread(app.store.save_domain_checks, checks)
            if finding.reason in STOP_REASONS:
                break

    await run_together(*map(ask_service, domains_by_service.values()))


def list_due_domains(app: RunContext, run: AuditRun) -> list[DueDomain]:
    """Return the domains that a run asks for, those with the oldest check first.

    A domain with an account that has no check comes before all others. A run never asks for a
    domain whose registry has no RDAP service or has refused in this run, or for that of a hosting
    platform.
    """
    rows_with_checks = list(app.store.list_accounts_with_domain_check(WEBSITE_CHANNEL))
    checks = {check.account_id: check for _, check in rows_with_checks if check is not None}
    refusing_services = {
        find_rdap_service(check.domain)
        for check in checks.values()
        if check.run_id == run.id and check.reason in STOP_REASONS
    }
    accounts_by_domain: dict[str, list[AccountRow]] = defaultdict(list)
    rows = (row for row, _ in rows_with_checks)
    decisions = app.store.list_decisions()
    for row in select_accounts_to_check(rows, decisions, app.config, run.started_at):
        domain = find_website_domain(row)
        service_url = find_rdap_service(domain)
        if service_url is not None and service_url not in refusing_services:
            accounts_by_domain[domain].append(row)
    domains = [
        DueDomain(domain, tuple(rows), _select_checks(domain, rows, checks))
        for domain, rows in accounts_by_domain.items()
    ]
    every_days = app.config.domain_expiry.check_every_days
    due_domains = [due for due in domains if _is_due(due, run, every_days)]
    return sorted(due_domains, key=_get_oldest_check_day)[:MAX_DOMAINS_PER_RUN]


def _select_checks(
    domain: str, rows: Iterable[AccountRow], checks: Mapping[int, DomainCheck]
) -> dict[int, DomainCheck]:
    newest_checks = (checks.get(row.id or 0) for row in rows)
    return {
        check.account_id: check
        for check in newest_checks
        if check is not None and check.domain == domain
    }


def _has_unchecked_account(due: DueDomain) -> bool:
    return len(due.previous_checks) < len(due.accounts)


def _is_due(due: DueDomain, run: AuditRun, every_days: int) -> bool:
    """Return True if an account on the domain has no check, or an outdated one."""
    return _has_unchecked_account(due) or any(
        _is_outdated(check, run, every_days) for check in due.previous_checks.values()
    )


def _is_outdated(check: DomainCheck, run: AuditRun, every_days: int) -> bool:
    if check.run_id == run.id:
        return False  # a resumed run does not ask again
    today = run.started_at.date()
    if (today - check.checked_at.date()).days >= every_days:
        return True
    if check.has_failed:
        return check.reason in SECOND_PASS_REASONS
    return was_expiry_passed_since(check, today)


def _get_oldest_check_day(due: DueDomain) -> date:
    if _has_unchecked_account(due):
        return date.min
    return min(check.checked_at.date() for check in due.previous_checks.values())


def _build_domain_checks(
    due: DueDomain, finding: Finding, run: AuditRun, now: datetime
) -> Iterator[DomainCheck]:
    """Yield the check of each account. After a failure, it repeats the last response."""
    for row in due.accounts:
        assert row.id is not None
        assert run.id is not None
        unchecked = DomainCheck(row.id, run.id, due.domain, now)
        previous = due.previous_checks.get(row.id, unchecked)
        if finding.presence is Presence.UNKNOWN:
            yield replace(previous, run_id=run.id, checked_at=now, reason=finding.reason)
            continue
        yield DomainCheck(
            row.id,
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
