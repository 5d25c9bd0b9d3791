"""The receipt of a run: counts, costs and versions, chained to the receipt of the previous run.

Each receipt is signed and has the hash of the previous one. A changed receipt does not match its
signature. After a removed or moved run, the next receipt does not follow. Removal of the newest
runs cannot be detected here: for that, a hash must be known elsewhere. Pure.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from auditor import __version__
from auditor.checking.canaries import Canary
from auditor.config.schema import Config
from auditor.core.formatting import format_timestamp
from auditor.receipts.signing import (
    SIGNATURE_FIELD,
    compute_key_fingerprint,
    get_receipt_public_key,
    has_valid_signature,
    to_canonical_json,
)
from auditor.rules import engine, score
from probes.links import channel_registry
from probes.models.finding import Finding, Presence
from probes.runner.api_batcher import ApiBudget
from storage.models.audit import AuditRun, AuditRunState
from storage.store import Store

CARRIED_JUDGEMENT_KEYS = frozenset({"unreliable_channels", "canary_warnings"})
"""Keys that one session of a run leaves for the evaluation in the next session."""

COST_KEYS = frozenset(
    {
        "requests",
        "retries",
        "requests_by_host",
        "requests_other_hosts",
        "seconds",
        "apis",
        "opened_circuits",
    }
)
"""Keys of costs, which later sessions add to."""

MAX_HOSTS_IN_RECEIPT = 50
"""Hosts of platforms that the receipt of a finished run names.

Receipts are kept for ever, so they never name the site of an association. The receipt of an
interrupted run names all hosts of platforms.
"""

CanaryReadings = Sequence[tuple[Canary, Finding]]


def build_finished_receipt(
    store: Store,
    run: AuditRun,
    canary_readings: CanaryReadings,
    config: Config,
    *,
    unreliable_channels: Mapping[str, str],
    not_reached_by_channel: Mapping[str, int],
    cost: Mapping[str, Any],
    finished_at: datetime,
) -> dict[str, Any]:
    """Return the receipt of a finished run.

    `not_reached_by_channel` counts the accounts that the run did not reach.
    """
    assert run.id is not None
    return {
        **_build_common_fields(store, run, canary_readings, config),
        **_build_end_fields(AuditRunState.DONE, finished_at),
        **count_accounts_by_presence(store.observations.count_by_presence(run.id)),
        **_build_not_reached_fields(not_reached_by_channel),
        "unreliable_channels": dict(unreliable_channels),
        **_count_gap_changes(store, run),
        **_shorten_host_counts(cost, MAX_HOSTS_IN_RECEIPT),
    }


def _count_gap_changes(store: Store, run: AuditRun) -> dict[str, Any]:
    opened, closed = store.conclusions.count_gap_changes_at(run.started_at)
    return {
        "opened_gaps": sum(opened.values()),
        "closed_gaps": sum(closed.values()),
        "opened_by_code": dict(sorted(opened.items())),
        "closed_by_code": dict(sorted(closed.items())),
    }


def build_skipped_receipt(
    store: Store,
    run: AuditRun,
    canary_readings: CanaryReadings,
    config: Config,
    *,
    cost: Mapping[str, Any],
    finished_at: datetime,
) -> dict[str, Any]:
    """Return the receipt of a run without connectivity, which has no results."""
    return {
        **_build_common_fields(store, run, canary_readings, config),
        **_build_end_fields(AuditRunState.SKIPPED, finished_at),
        "skipped_because": "no connectivity",
        **_shorten_host_counts(cost, MAX_HOSTS_IN_RECEIPT),
    }


def build_started_receipt(
    store: Store, run: AuditRun, canary_readings: CanaryReadings, config: Config, due_count: int
) -> dict[str, Any]:
    """Return the receipt at the start of a run, which remains if the run is killed.

    `due_count` is the number of accounts to check, including those of earlier sessions.
    """
    return {
        **_build_common_fields(store, run, canary_readings, config),
        "state": AuditRunState.RUNNING.value,
        "accounts_due": due_count,
    }


def build_interrupted_receipt(
    store: Store, run: AuditRun, *, reason: str, cost: Mapping[str, Any], finished_at: datetime
) -> dict[str, Any]:
    """Return the receipt of an interrupted run.

    It has no gap changes, unless the run was interrupted after its evaluation. It is final when
    another run begins.
    """
    assert run.id is not None
    counts, accounts_due = (
        count_accounts_by_presence(store.observations.count_by_presence(run.id)),
        run.receipt.get("accounts_due"),
    )
    return {
        **{name: value for name, value in run.receipt.items() if name != SIGNATURE_FIELD},
        "run": run.day.isoformat(),
        "started_at": format_timestamp(run.started_at),
        "previous_hash": compute_previous_hash(store, run),
        **_build_end_fields(AuditRunState.INCOMPLETE, finished_at),
        "interrupted_because": reason,
        **counts,
        **(_count_gap_changes(store, run) if store.runs.is_evaluated(run.id) else {}),
        "not_reached": max(0, accounts_due - counts["accounts"])
        if isinstance(accounts_due, int)
        else None,
        **(_shorten_host_counts(cost, None) if "requests_by_host" in cost else cost),
    }


def count_not_reached(run: AuditRun) -> int | None:
    """Return the number of accounts that a run did not reach, or None if unknown."""
    count = None if run.state is AuditRunState.RUNNING else run.receipt.get("not_reached", 0)
    return count if isinstance(count, int) else None


def select_carried_fields(run: AuditRun) -> dict[str, Any]:
    """Return the fields that a session takes over from earlier ones."""
    return {
        name: value
        for name, value in run.receipt.items()
        if name in CARRIED_JUDGEMENT_KEYS | COST_KEYS
    }


def _build_end_fields(state: AuditRunState, finished_at: datetime) -> dict[str, Any]:
    return {"state": state.value, "finished_at": format_timestamp(finished_at)}


def _build_not_reached_fields(by_channel: Mapping[str, int]) -> dict[str, Any]:
    counts = {channel: count for channel, count in sorted(by_channel.items()) if count}
    return {"not_reached": sum(counts.values()), "not_reached_by_channel": counts}


def _build_common_fields(
    store: Store, run: AuditRun, canary_readings: CanaryReadings, config: Config
) -> dict[str, Any]:
    return {
        "run": run.day.isoformat(),
        "started_at": format_timestamp(run.started_at),
        "canaries": [_build_canary_item(canary, finding) for canary, finding in canary_readings]
        or run.receipt.get("canaries", []),
        "software": __version__,
        "rules": {
            "version": engine.RULES_VERSION,
            "hash": hash_canonical_json([rule.model_dump(mode="json") for rule in config.rules]),
        },
        "score": score.SCORE_VERSION,
        "probes": {
            name: channel_registry.get_channel(name).VERSION for name in sorted(config.channels)
        },
        "proxy": config.fetch.proxy is not None,
        "allow_networks": [str(network) for network in config.fetch.allow_networks],
        "previous_hash": compute_previous_hash(store, run),
    }


def _build_canary_item(canary: Canary, finding: Finding) -> dict[str, Any]:
    return {
        "channel": canary.channel,
        "link": canary.account.typed_text,
        "exists": canary.exists,
        "presence": finding.presence.value,
        "reason": finding.reason.value if finding.reason else None,
    }


def count_accounts_by_presence(counts: Mapping[tuple[str, Presence], int]) -> dict[str, Any]:
    """Return the number of accounts by presence, in total and by channel."""
    names = [presence.value for presence in Presence]
    channels: dict[str, dict[str, int]] = {}
    for (channel, presence), count in counts.items():
        channels.setdefault(channel, dict.fromkeys(names, 0))[presence.value] = count
    totals = {name: sum(row[name] for row in channels.values()) for name in names}
    return {"accounts": sum(totals.values()), **totals, "channels": channels}


def add_session_cost(
    earlier_cost: Mapping[str, Any],
    requests: int,
    requests_by_host: Mapping[str, int],
    seconds: float,
    *,
    retries: int = 0,
    other_hosts: int = 0,
) -> dict[str, Any]:
    """Return the cost of a run including this session.

    While a run continues, every host of a platform is named, so that the next session can add to
    it. Other hosts are only counted.
    """
    by_host = Counter(requests_by_host)
    by_host.update(earlier_cost.get("requests_by_host") or {})
    elsewhere = earlier_cost.get("requests_other_hosts") or {}
    return {
        **{name: value for name, value in earlier_cost.items() if name in CARRIED_JUDGEMENT_KEYS},
        "requests": requests + int(earlier_cost.get("requests") or 0),
        "retries": retries + int(earlier_cost.get("retries") or 0),
        "requests_by_host": dict(by_host),
        "requests_other_hosts": {
            **elsewhere,
            "hosts": int(elsewhere.get("hosts") or 0) + other_hosts,
        },
        "seconds": round(seconds + float(earlier_cost.get("seconds") or 0), 2),
    }


def add_worker_cost(cost: Mapping[str, Any], worker_totals: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cost including the requests of workers, which name hosts of platforms only."""
    named = Counter(cost["requests_by_host"])
    named.update(worker_totals.get("requests_by_host", {}))
    others = worker_totals.get("requests", 0) - sum(
        worker_totals.get("requests_by_host", {}).values()
    )
    elsewhere = cost["requests_other_hosts"] or {}
    return {
        **cost,
        "requests": cost["requests"] + worker_totals.get("requests", 0),
        "retries": cost["retries"] + worker_totals.get("retries", 0),
        "requests_by_host": dict(named),
        "requests_other_hosts": {
            "hosts": elsewhere.get("hosts", 0) + worker_totals.get("other_hosts", 0),
            "requests": elsewhere.get("requests", 0) + others,
        },
    }


def _shorten_host_counts(cost: Mapping[str, Any], max_hosts: int | None) -> dict[str, Any]:
    """Return the cost with the busiest hosts of platforms; other hosts are counted together.

    A host that two sessions requested counts twice among the others.
    """
    by_host = Counter(cost["requests_by_host"])
    platforms = Counter(
        {host: count for host, count in by_host.items() if channel_registry.is_platform_host(host)}
    )
    busiest = dict(platforms.most_common(max_hosts))
    elsewhere = {
        "hosts": len(by_host)
        - len(busiest)
        + int((cost.get("requests_other_hosts") or {}).get("hosts") or 0),
        "requests": cost["requests"] - sum(busiest.values()),
    }
    return {**cost, "requests_by_host": busiest, "requests_other_hosts": elsewhere}


def add_api_cost(
    earlier_cost: Mapping[str, Any], api_budgets: Mapping[str, ApiBudget]
) -> dict[str, Any]:
    """Return the costs of APIs in their own units; `closed_because` is the reason of a refusal."""
    earlier_apis = earlier_cost.get("apis") or {}
    apis = {
        name: {
            "requests": api_budget.request_count
            + int((earlier_apis.get(name) or {}).get("requests") or 0),
            "skipped": api_budget.skipped_count
            + int((earlier_apis.get(name) or {}).get("skipped") or 0),
            "cost": api_budget.spent,
            "unit": api_budget.api.cost_unit,
            "budget": api_budget.limit,
            "closed_because": api_budget.refusal[1] if api_budget.refusal else None,
        }
        for name, api_budget in api_budgets.items()
    }
    return {"apis": {**earlier_apis, **apis}} if earlier_apis or apis else {}


def read_api_cost(earlier_cost: Mapping[str, Any]) -> dict[str, float]:
    """Return the costs of earlier sessions by channel."""
    apis = earlier_cost.get("apis") or {}
    return {name: float(api.get("cost") or 0) for name, api in apis.items()}


def is_chain_link(run: AuditRun) -> bool:
    """Return True if the receipt of a run is final, so that the next one follows it.

    The receipt of a run that was interrupted before receipts were signed is not.
    """
    is_over = run.state in {AuditRunState.DONE, AuditRunState.SKIPPED}
    return is_over or (
        run.state is AuditRunState.INCOMPLETE and get_receipt_public_key(run.receipt) is not None
    )


def find_preceding_run(store: Store, run: AuditRun) -> AuditRun | None:
    """Return the run whose receipt this run's receipt follows, or None."""
    last = store.runs.get_latest(before_day=run.day)
    if last is None or is_chain_link(last):
        return last
    return store.runs.get_latest(AuditRunState.DONE, AuditRunState.SKIPPED, before_day=run.day)


def compute_previous_hash(store: Store, run: AuditRun) -> str | None:
    """Return the hash of the preceding receipt, or None."""
    last = find_preceding_run(store, run)
    return hash_canonical_json(last.receipt) if last else None


def find_former_key(store: Store, run: AuditRun, key: str) -> dict[str, str]:
    """Return a field with the key of the preceding receipt if it is another one."""
    last = find_preceding_run(store, run)
    previous_key = get_receipt_public_key(last.receipt) if last else None
    return (
        {"previous_key": compute_key_fingerprint(previous_key)}
        if previous_key is not None and previous_key != key
        else {}
    )


def hash_canonical_json(value: Mapping[str, Any] | Iterable[Any]) -> str:
    """Return the SHA-256 of the canonical JSON of a value."""
    return hashlib.sha256(to_canonical_json(value)).hexdigest()


class SignatureStatus(StrEnum):
    """The result of verifying a signature."""

    VALID = "valid"
    TAMPERED = "tampered"
    UNKNOWN_KEY = "unknown_key"
    UNSIGNED = "unsigned"


class ChainPosition(StrEnum):
    """The position of a receipt in the chain; `open` is a run that continues or was killed."""

    FIRST = "first"
    FOLLOWS = "follows"
    BROKEN = "broken"
    OPEN = "open"


class ReceiptFault(StrEnum):
    """The faults of a receipt."""

    TAMPERED = "tampered"
    UNKNOWN_KEY = "unknown_key"
    UNSIGNED = "unsigned"
    WRONG_RUN = "wrong_run"
    BROKEN_CHAIN = "broken_chain"


@dataclass(frozen=True, slots=True)
class ReceiptVerification:
    """The verification of one receipt.

    `previous_day` is the day of the run that it should follow. `is_new_key` is True if its key
    differs from the previous one.
    """

    run: AuditRun
    receipt_hash: str
    signature_status: SignatureStatus
    position: ChainPosition
    public_key: str | None = None
    previous_day: date | None = None
    fault: ReceiptFault | None = None
    is_new_key: bool = False


def verify_receipt_chain(
    runs: Iterable[AuditRun], known_keys: Collection[str], preceding_run: AuditRun | None = None
) -> Iterator[ReceiptVerification]:
    """Yield the verification of each receipt, in the order of the runs.

    `known_keys` are the public keys of this installation. `preceding_run` comes before the first
    run.
    """
    last = _verify_receipt(preceding_run, None, known_keys) if preceding_run else None
    for run in runs:
        verification = _verify_receipt(run, last, known_keys)
        yield verification
        if verification.position is not ChainPosition.OPEN:
            last = verification


def _verify_receipt(
    run: AuditRun, previous: ReceiptVerification | None, known_keys: Collection[str]
) -> ReceiptVerification:
    receipt, key = dict(run.receipt), get_receipt_public_key(run.receipt)
    if not is_chain_link(run):
        return ReceiptVerification(
            run, hash_canonical_json(receipt), SignatureStatus.UNSIGNED, ChainPosition.OPEN
        )
    signature_status = _check_signature(run, known_keys)
    fault = _find_own_fault(run, signature_status, previous)
    position = _find_chain_position(run, previous)
    is_explained = previous is not None and previous.fault in {
        ReceiptFault.TAMPERED,
        ReceiptFault.WRONG_RUN,
    }
    if fault is None and position is ChainPosition.BROKEN and not is_explained:
        fault = ReceiptFault.BROKEN_CHAIN
    is_new_key = (
        previous is not None
        and previous.public_key is not None
        and key is not None
        and key != previous.public_key
    )
    return ReceiptVerification(
        run,
        hash_canonical_json(receipt),
        signature_status,
        position,
        key,
        previous.run.day if previous else None,
        fault,
        is_new_key,
    )


def _check_signature(run: AuditRun, known_keys: Collection[str]) -> SignatureStatus:
    key = get_receipt_public_key(run.receipt)
    if key is None:
        return SignatureStatus.UNSIGNED
    if not has_valid_signature(run.receipt):
        return SignatureStatus.TAMPERED
    return SignatureStatus.VALID if key in known_keys else SignatureStatus.UNKNOWN_KEY


def _find_own_fault(
    run: AuditRun, signature_status: SignatureStatus, previous: ReceiptVerification | None
) -> ReceiptFault | None:
    """Return the fault of a receipt by itself, without the chain."""
    if signature_status is SignatureStatus.TAMPERED:
        return ReceiptFault.TAMPERED
    if not _is_receipt_of_run(run):
        return ReceiptFault.WRONG_RUN
    if signature_status is SignatureStatus.UNKNOWN_KEY:
        return ReceiptFault.UNKNOWN_KEY
    lacks_signature = (
        signature_status is SignatureStatus.UNSIGNED
        and previous is not None
        and previous.public_key is not None
    )
    return ReceiptFault.UNSIGNED if lacks_signature else None


def _is_receipt_of_run(run: AuditRun) -> bool:
    """Return True if day, state and unreliable channels of the receipt match the stored run."""
    receipt, state = run.receipt, run.receipt.get("state")
    unreliable_channels = receipt.get("unreliable_channels")
    return (
        receipt.get("run") == run.day.isoformat()
        and state in (None, run.state.value)
        and (
            run.state is not AuditRunState.DONE
            or set(run.unreliable_channels)
            == set(unreliable_channels if isinstance(unreliable_channels, dict) else ())
        )
    )


def _find_chain_position(run: AuditRun, previous: ReceiptVerification | None) -> ChainPosition:
    previous_hash = run.receipt.get("previous_hash")
    if previous is None:
        return ChainPosition.FIRST if previous_hash is None else ChainPosition.BROKEN
    return ChainPosition.FOLLOWS if previous_hash == previous.receipt_hash else ChainPosition.BROKEN
