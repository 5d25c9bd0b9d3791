"""Ask registries when the domains of websites expire, as a part of a run.

Each domain is asked for once, whatever the number of associations on it, and again after
`[domain_expiry] check_every_days`. After a failure, and when the stated day has passed, it is asked
for in the next run. Registries are asked at the same time, each for one domain after the other.
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
from auditor.runs.account_worker import RunDeadline
from auditor.runs.plan import select_accounts_to_check
from probes.links.channel_registry import WEBSITE_CHANNEL
from probes.models.finding import Finding, Presence, Reason
from probes.website.rdap import find_rdap_service
from storage.models.audit import AccountRow, AuditRun, DomainCheck

MAX_DOMAINS_PER_RUN = 2_000
"""The most domains that a run asks for. The others come first in the next run."""

STOP_REASONS = frozenset({Reason.RATE_LIMITED, Reason.BLOCKED, Reason.ROBOTS, Reason.NETWORK})
"""After such an answer, a registry is not asked for more domains in this run."""


@dataclass(frozen=True, slots=True)
class DueDomain:
    """A domain to ask for, with the accounts on it and the newest check of each."""

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
    """Return the domains that a run asks for: never asked ones first, then the oldest answers.

    A domain whose registry has no RDAP service, and that of a hosting platform, is never asked for.
    """
    rows_with_checks = list(app.store.list_accounts_with_domain_check(WEBSITE_CHANNEL))
    checks = {check.account_id: check for _, check in rows_with_checks if check is not None}
    accounts_by_domain: dict[str, list[AccountRow]] = defaultdict(list)
    rows = (row for row, _ in rows_with_checks)
    decisions = app.store.list_decisions()
    for row in select_accounts_to_check(rows, decisions, app.config, run.started_at):
        domain = find_website_domain(row)
        if domain and find_rdap_service(domain):
            accounts_by_domain[domain].append(row)
    every_days = app.config.domain_expiry.check_every_days
    due_domains = (
        DueDomain(domain, tuple(rows), {row.id: checks[row.id] for row in rows if row.id in checks})
        for domain, rows in accounts_by_domain.items()
    )
    return sorted(
        (due for due in due_domains if _is_due(due, run, every_days)),
        key=lambda due: _get_last_check_day(due.previous_checks.values()),
    )[:MAX_DOMAINS_PER_RUN]


def _is_due(due: DueDomain, run: AuditRun, every_days: int) -> bool:
    """Return True if an account on the domain has no answer, or an old one."""
    checks = [due.previous_checks.get(row.id or 0) for row in due.accounts]
    return any(check is None or _is_outdated(check, due, run, every_days) for check in checks)


def _is_outdated(check: DomainCheck, due: DueDomain, run: AuditRun, every_days: int) -> bool:
    if check.domain != due.domain:
        return True
    has_failed = check.reason not in (None, Reason.NOT_FOUND)
    today = run.started_at.date()
    age_days = (today - check.checked_at.date()).days
    return (
        age_days >= every_days
        or (has_failed and check.run_id != run.id)
        or was_expiry_passed_since(check, today)
    )


def _get_last_check_day(checks: Iterable[DomainCheck]) -> date:
    return max((check.checked_at.date() for check in checks), default=date.min)


def _build_domain_checks(
    due: DueDomain, finding: Finding, run: AuditRun, now: datetime
) -> Iterator[DomainCheck]:
    """Yield the check of each account. After a failure, it repeats the last answer."""
    for row in due.accounts:
        assert row.id is not None
        assert run.id is not None
        previous = due.previous_checks.get(row.id)
        if previous is None or previous.domain != due.domain:
            previous = DomainCheck(row.id, run.id, due.domain, now)
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
