"""The chain of run reports: which report follows which, and whether one was changed or removed.

Each report is signed and has the hash of the previous one. A changed report does not match its
signature. After a removed or moved run, the next report does not follow. Removal of the newest runs
cannot be detected here: for that, a hash must be known elsewhere. Pure.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from auditor.run_reports.signing import (
    SigningKey,
    compute_key_fingerprint,
    compute_report_hash,
    get_public_key,
    has_valid_signature,
)
from storage.models.audit import AuditRun, AuditRunState
from storage.models.run_report import RunReport
from storage.store import Store


def is_chain_link(run: AuditRun) -> bool:
    """Return True if the report of a run is final, so that the next one follows it.

    The report of a run that was interrupted before reports were signed is not.
    """
    if run.state is AuditRunState.INCOMPLETE:
        return get_public_key(run.report) is not None
    return run.state is not AuditRunState.RUNNING


def find_preceding_run(store: Store, run: AuditRun) -> AuditRun | None:
    """Return the run whose report this run's report follows, or None."""
    last = store.runs.get_latest(before_day=run.day)
    if last is None or is_chain_link(last):
        return last
    return store.runs.get_latest(AuditRunState.DONE, AuditRunState.SKIPPED, before_day=run.day)


def compute_previous_hash(store: Store, run: AuditRun) -> str | None:
    """Return the hash of the preceding report, or None."""
    last = find_preceding_run(store, run)
    return compute_report_hash(last.report) if last else None


def sign_run_report(
    store: Store, run: AuditRun, report: RunReport, signing_key: SigningKey
) -> RunReport:
    """Return the signed report. It names the key of the preceding report if that is another one."""
    preceding_run = find_preceding_run(store, run)
    if preceding_run is not None:
        previous_key = get_public_key(preceding_run.report)
        if previous_key not in (None, signing_key.public_key):
            report = report.with_values(previous_key=compute_key_fingerprint(previous_key))
    return signing_key.sign_report(report)


class SignatureStatus(StrEnum):
    """The result of verifying a signature."""

    VALID = "valid"
    TAMPERED = "tampered"
    UNKNOWN_KEY = "unknown_key"
    UNSIGNED = "unsigned"


class ChainPosition(StrEnum):
    """The position of a run report in the chain; `open` is a run that continues or was killed."""

    FIRST = "first"
    FOLLOWS = "follows"
    BROKEN = "broken"
    OPEN = "open"


class ReportFault(StrEnum):
    """The faults of a run report."""

    TAMPERED = "tampered"
    UNKNOWN_KEY = "unknown_key"
    UNSIGNED = "unsigned"
    WRONG_RUN = "wrong_run"
    BROKEN_CHAIN = "broken_chain"


@dataclass(frozen=True, slots=True)
class ReportVerification:
    """The verification of one report.

    `previous_day` is the day of the run that it should follow. `is_new_key` is True if its key
    differs from the previous one.
    """

    run: AuditRun
    report_hash: str
    signature_status: SignatureStatus
    position: ChainPosition
    public_key: str | None = None
    previous_day: date | None = None
    fault: ReportFault | None = None
    is_new_key: bool = False


def verify_report_chain(
    runs: Iterable[AuditRun], known_keys: Collection[str], preceding_run: AuditRun | None = None
) -> Iterator[ReportVerification]:
    """Yield the verification of each report, in the order of the runs.

    `known_keys` are the public keys of this installation. `preceding_run` comes before the first
    run.
    """
    last = _verify_report(preceding_run, None, known_keys) if preceding_run else None
    for run in runs:
        verification = _verify_report(run, last, known_keys)
        yield verification
        if verification.position is not ChainPosition.OPEN:
            last = verification


def _verify_report(
    run: AuditRun, previous: ReportVerification | None, known_keys: Collection[str]
) -> ReportVerification:
    key, report_hash = get_public_key(run.report), compute_report_hash(run.report)
    if not is_chain_link(run):
        return ReportVerification(run, report_hash, SignatureStatus.UNSIGNED, ChainPosition.OPEN)
    previous_key = previous_day = previous_fault = None
    if previous is not None:
        previous_key, previous_day = previous.public_key, previous.run.day
        previous_fault = previous.fault
    signature_status = _check_signature(run, known_keys)
    position = _find_chain_position(run, previous)
    fault = _find_own_fault(run, signature_status, previous_key)
    # No report can follow one that was changed, so that is one fault only.
    is_explained = previous_fault in {ReportFault.TAMPERED, ReportFault.WRONG_RUN}
    if fault is None and position is ChainPosition.BROKEN and not is_explained:
        fault = ReportFault.BROKEN_CHAIN
    return ReportVerification(
        run,
        report_hash,
        signature_status,
        position,
        key,
        previous_day,
        fault,
        is_new_key=None not in (key, previous_key) and key != previous_key,
    )


def _check_signature(run: AuditRun, known_keys: Collection[str]) -> SignatureStatus:
    key = get_public_key(run.report)
    if key is None:
        return SignatureStatus.UNSIGNED
    if not has_valid_signature(run.report):
        return SignatureStatus.TAMPERED
    return SignatureStatus.VALID if key in known_keys else SignatureStatus.UNKNOWN_KEY


def _find_own_fault(
    run: AuditRun, signature_status: SignatureStatus, previous_key: str | None
) -> ReportFault | None:
    """Return the fault of a run report by itself, without the chain."""
    if signature_status is SignatureStatus.TAMPERED:
        return ReportFault.TAMPERED
    if not _is_report_of_run(run):
        return ReportFault.WRONG_RUN
    if signature_status is SignatureStatus.UNKNOWN_KEY:
        return ReportFault.UNKNOWN_KEY
    if signature_status is SignatureStatus.UNSIGNED and previous_key is not None:
        return ReportFault.UNSIGNED
    return None


def _is_report_of_run(run: AuditRun) -> bool:
    """Return True if day, state and unreliable channels of the report match the stored run."""
    report = run.report
    if report.run != run.day or report.state not in (None, run.state.value):
        return False
    if run.state is not AuditRunState.DONE:
        return True
    return set(run.unreliable_channels) == set(report.unreliable_channels or ())


def _find_chain_position(run: AuditRun, previous: ReportVerification | None) -> ChainPosition:
    expected_hash, position = None, ChainPosition.FIRST
    if previous is not None:
        expected_hash, position = previous.report_hash, ChainPosition.FOLLOWS
    return position if run.report.previous_hash == expected_hash else ChainPosition.BROKEN
