"""Rebuilds every status, gap and proposal from observations, stored evidence and decisions.

`replay.py` replays the runs of each association. The result is compared with what is stored.
A rebuild of an unchanged history with unchanged probes and rules changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter

from auditor.app import App
from auditor.checking.canaries import MIN_CHANGED_ACCOUNTS
from auditor.conclusions.replay import RunReplay
from auditor.conclusions.run_results import StatusCounts, create_facet_counts
from auditor.rules import engine
from auditor.rules.association_state import AssociationState
from storage.conclusions import Conclusions
from storage.models.audit import AccountRow, AccountStatus, Gap, Proposal
from storage.store import Store

ProgressCallback = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ReevaluationResult:
    """Numbers of runs, replayed and recorded observations, and the changes."""

    run_count: int
    replayed_count: int
    recorded_count: int
    changes: list[ConclusionChange]


def reevaluate(
    context: App, *, dry_run: bool = False, progress: ProgressCallback | None = None
) -> ReevaluationResult:
    """Rebuild every conclusion and return the changes; with `dry_run` store nothing."""
    store, config = context.store, context.config
    runs = store.runs.list_evaluated()
    facet_counts: dict[int, StatusCounts] = {}
    if not dry_run:
        # The counts of earlier runs include erased associations and stay as they are.
        last_erasure = store.erasure.get_last_erasure_time()
        for run in runs:
            if last_erasure is None or run.started_at > last_erasure:
                facet_counts[run.id] = create_facet_counts()
    replay = RunReplay(
        store, config, runs, body_store=context.body_store, facet_counts=facet_counts
    )
    associations = list(store.registry.list_associations(include_withdrawn=True))
    rebuilt = Conclusions()
    for number, association in enumerate(associations, start=1):
        state = replay.rebuild_association(association)
        rebuilt.statuses.extend(state.statuses.values())
        rebuilt.gaps.extend(_restore_profile_gaps(context, state, replay.channels_without_profile))
        rebuilt.proposals.extend(state.proposals)
        if progress:
            progress(number, len(associations))
    changes = find_changes(store, rebuilt)
    if not dry_run:
        rebuilt.facet_counts = facet_counts
        store.conclusions.replace(rebuilt)
    return ReevaluationResult(len(runs), replay.replayed_count, replay.recorded_count, changes)


def _restore_profile_gaps(
    context: App, state: AssociationState, channels: set[str]
) -> Iterable[Gap]:
    """Return the gaps of a state, with the stored ones that only an erased profile could prove.

    `channels` are those on which a profile was erased.
    """
    codes = {rule.code for rule in context.config.rules if rule.reads_profile}

    def is_unprovable(gap: Gap) -> bool:
        return gap.channel in channels and gap.code in codes

    if not channels:
        return state.gaps
    stored_gaps = filter(is_unprovable, context.store.conclusions.list_gaps(state.association.id))
    provable_gaps = [gap for gap in state.gaps if not is_unprovable(gap)]
    return [*provable_gaps, *(replace(gap, id=None) for gap in stored_gaps)]


Conclusion = AccountStatus | Gap | Proposal
ConclusionKey = tuple[str, int | str, str, str, str, int]

INITIAL_STATUS_TEXT = "unknown/-, no date"
"""The status of a registered account without any conclusive run."""


@dataclass(frozen=True, slots=True)
class ConclusionChange:
    """A changed conclusion; `kind` is account_status, gap or proposal. None means not there."""

    kind: str
    association: str
    channel: str
    subject: str
    before: str | None
    after: str | None


def find_changes(store: Store, rebuilt: Conclusions) -> list[ConclusionChange]:
    """Return the differences between the stored and the rebuilt conclusions."""
    rows = store.registry.list_accounts(include_withdrawn=True)
    accounts = {account.id: account for account in rows}
    get_start = attrgetter("first_seen")
    pairs: list[tuple[Iterable[Conclusion], ...]] = [
        (store.statuses.list_account_statuses(), rebuilt.statuses),
        (
            sorted(store.conclusions.list_gaps(), key=get_start, reverse=True),
            sorted(rebuilt.gaps, key=get_start, reverse=True),
        ),
        (store.conclusions.list_proposals(), rebuilt.proposals),
    ]
    changes = []
    for stored, derived in pairs:
        before, after = _index_conclusions(stored), _index_conclusions(derived)
        for key in dict.fromkeys([*before, *after]):
            old, new = before.get(key), after.get(key)
            if old != new:
                changes.append(_build_change(old, new, accounts))
    return changes


def _index_conclusions(conclusions: Iterable[Conclusion]) -> dict[ConclusionKey, Conclusion]:
    """Return the conclusions, without the ids of their rows, by what identifies them.

    With another rule, the same gap may begin in another run. So the gaps of one subject are
    numbered from the newest: an open gap is compared with an open one.
    """
    indexed: dict[ConclusionKey, Conclusion] = {}
    numbers: Counter[engine.GapKey] = Counter()
    for item in conclusions:
        if isinstance(item, AccountStatus):
            indexed["account_status", item.account_id, "", "", "", 0] = item
        elif isinstance(item, Gap):
            gap_key = engine.get_gap_key(item)
            numbers[gap_key] += 1
            indexed["gap", *gap_key, numbers[gap_key]] = replace(item, id=None)
        else:
            key = (item.association, item.link.channel, item.link.key)
            indexed["proposal", *key, "", 0] = replace(item, id=0)
    return indexed


def _build_change(
    old: Conclusion | None, new: Conclusion | None, accounts: Mapping[int, AccountRow]
) -> ConclusionChange:
    before, after = _describe_conclusion(old), _describe_conclusion(new)
    item = old or new
    if isinstance(item, AccountStatus):
        row = accounts[item.account_id]
        identity = ("account_status", row.association, row.channel, row.subject)
    elif isinstance(item, Gap):
        subject = f"{item.code} {item.subject}".strip()
        identity = ("gap", item.association, item.channel, subject)
    else:
        assert item is not None
        identity = ("proposal", item.association, item.link.channel, item.link.key)
    return ConclusionChange(*identity, before, after)


def _describe_conclusion(item: Conclusion | None) -> str | None:
    """Return what people see of a conclusion, or None if there is none."""
    match item:
        case AccountStatus():
            last_activity = item.last_activity.format_iso() if item.last_activity else "no date"
            return f"{item.state}/{item.reason or '-'}, {last_activity}"
        case Proposal():
            return f"{item.run_count} runs"
        case Gap():
            state = "open" if item.opened_at else "candidate"
            return f"{'closed' if item.closed_at else state}, {item.run_count} runs"
    return None


def simplify_changes(changes: Iterable[ConclusionChange]) -> list[ConclusionChange]:
    """Return the changes that people see. An initial status is the same as none."""
    return [
        change
        for change in changes
        if change.before != change.after
        and {change.before, change.after} != {None, INITIAL_STATUS_TEXT}
    ]


def summarize_changes(changes: Iterable[ConclusionChange]) -> list[str]:
    """Return how many gaps of each code open or close, and how many other conclusions change."""
    opened: Counter[str] = Counter()
    closed: Counter[str] = Counter()
    other_counts: Counter[str] = Counter()
    for change in changes:
        code = change.subject.partition(" ")[0]
        was_open, is_open = _is_open(change.before), _is_open(change.after)
        if change.kind != "gap":
            other_counts[change.kind] += 1
        elif was_open != is_open:
            counts = opened if is_open else closed
            counts[code] += 1
    lines = [
        f"{code}: {opened[code]} more, {closed[code]} fewer" for code in sorted(opened | closed)
    ]
    return [*lines, *(f"{kind}: {count}" for kind, count in sorted(other_counts.items()))]


def _is_open(gap_text: str | None) -> bool:
    return str(gap_text).startswith("open")


def warn_about_mass_losses(changes: Iterable[ConclusionChange]) -> list[str]:
    """Return warnings if so many accounts become gone for one reason that a probe may be wrong.

    A run has canaries for that. A rebuild replays current probes on old pages and has none.
    """
    lost: Counter[tuple[str, str]] = Counter()
    for change in changes:
        status_text = str(change.after).partition(",")[0]
        if status_text.startswith("gone") and not str(change.before).startswith("gone"):
            lost[change.channel, status_text] += 1
    return [
        f"warning: {count} accounts on {channel} change to {status_text}; check some of them, "
        "the error may be ours"
        for (channel, status_text), count in sorted(lost.items())
        if count >= MIN_CHANGED_ACCOUNTS
    ]
