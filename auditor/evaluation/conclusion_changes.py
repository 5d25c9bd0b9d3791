"""Finds the changes of a rebuild of all conclusions, and describes them for people.

They are described line by line, by kind, and as warnings of possible errors of the auditor.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from auditor.checking.canaries import MIN_CHANGED_ACCOUNTS
from auditor.evaluation.conclusions import Conclusions
from auditor.evaluation.run_results import index_by_account
from auditor.i18n.translator import Translator
from auditor.reference.gap_catalogue import Voice
from auditor.rules import engine
from storage.models.audit import AccountRow, AccountStatus, Gap, Proposal
from storage.sanitize import sanitize
from storage.store import Store

Conclusion = TypeVar("Conclusion", Gap, Proposal)


@dataclass(frozen=True, slots=True)
class ConclusionChange:
    """A changed conclusion; `kind` is account_status, gap or proposal. None means not there."""

    kind: str
    association: str
    channel: str
    subject: str
    before: str | None
    after: str | None


def find_changes(store: Store, derived: Conclusions) -> list[ConclusionChange]:
    """Return the differences between the stored and the derived conclusions."""
    return [
        *_find_status_changes(store, derived),
        *_find_gap_changes(store, derived),
        *_find_proposal_changes(store, derived),
    ]


def _find_status_changes(store: Store, derived: Conclusions) -> list[ConclusionChange]:
    rows = store.registry.list_accounts(include_withdrawn=True)
    accounts = {account.id: account for account in rows}
    stored = index_by_account(store.statuses.list_account_statuses())
    rebuilt = index_by_account(map(sanitize, derived.statuses))
    return _compare_conclusions(stored, rebuilt, lambda status: _describe_status(status, accounts))


def _find_gap_changes(store: Store, derived: Conclusions) -> list[ConclusionChange]:
    stored = _index_conclusions(map(_remove_id, store.conclusions.list_gaps()), _get_gap_key)
    rebuilt = _index_conclusions(map(sanitize, derived.gaps), _get_gap_key)
    return _compare_conclusions(stored, rebuilt, _describe_gap)


def _find_proposal_changes(store: Store, derived: Conclusions) -> list[ConclusionChange]:
    proposals = store.conclusions.list_proposals()
    stored = _index_conclusions(map(_remove_id, proposals), _get_proposal_key)
    rebuilt = _index_conclusions(map(sanitize, derived.proposals), _get_proposal_key)
    return _compare_conclusions(stored, rebuilt, _describe_proposal)


def _remove_id(conclusion: Conclusion) -> Conclusion:
    return replace(conclusion, id=None)


def _get_gap_key(gap: Gap) -> tuple[object, datetime]:
    return engine.get_gap_key(gap), gap.first_seen


def _get_proposal_key(proposal: Proposal) -> tuple[str, str, str]:
    return (proposal.association, proposal.link.channel, proposal.link.key)


def _index_conclusions(
    conclusions: Iterable[Conclusion], get_key: Callable[[Conclusion], Hashable]
) -> dict[Hashable, Conclusion]:
    return {get_key(conclusion): conclusion for conclusion in conclusions}


def _compare_conclusions(
    before: Mapping[Any, Any],
    after: Mapping[Any, Any],
    describe: Callable[[Any], tuple[str, str, str, str, str]],
) -> list[ConclusionChange]:
    changes = []
    for key in dict.fromkeys([*before, *after]):
        old, new = before.get(key), after.get(key)
        if old != new:
            kind, association, channel, subject, _ = describe(old or new)
            before_text = None if old is None else describe(old)[-1]
            after_text = None if new is None else describe(new)[-1]
            changes.append(
                ConclusionChange(kind, association, channel, subject, before_text, after_text)
            )
    return changes


def _describe_status(
    status: AccountStatus, accounts: Mapping[int | None, AccountRow]
) -> tuple[str, str, str, str, str]:
    account = accounts[status.account_id]
    subject = account.identity.key or account.typed_text
    last_activity = status.last_activity.format_iso() if status.last_activity else "no date"
    text = f"{status.state}/{status.reason or '-'}, {last_activity}"
    return "account_status", account.association, account.channel, subject, text


def _describe_gap(gap: Gap) -> tuple[str, str, str, str, str]:
    return (
        "gap",
        gap.association,
        gap.channel,
        f"{gap.code} {gap.subject}".strip(),
        f"{_get_gap_state(gap)}, {gap.run_count} runs",
    )


def _get_gap_state(gap: Gap) -> str:
    if gap.closed_at:
        return "closed"
    if gap.opened_at:
        return "open"
    return "candidate"


def _describe_proposal(proposal: Proposal) -> tuple[str, str, str, str, str]:
    return "proposal", *_get_proposal_key(proposal), f"{proposal.run_count} runs"


INITIAL_STATUS_TEXT = "unknown/-, no date"
"""The status of a registered account without any conclusive run."""


def simplify_changes(changes: Iterable[ConclusionChange]) -> list[ConclusionChange]:
    """Return one change per conclusion, without changes of details only.

    With another rule, the same gap may begin in another run. Its removal and its addition become
    one change.
    """
    changes_by_subject: dict[tuple[str, str, str, str], list[ConclusionChange]] = defaultdict(list)
    for change in changes:
        key = (change.kind, change.association, change.channel, change.subject)
        changes_by_subject[key].append(change)
    paired: list[ConclusionChange] = []
    for group in changes_by_subject.values():
        paired += _pair_changes(group)
    return list(filter(_has_changed_text, paired))


def _has_changed_text(change: ConclusionChange) -> bool:
    """Return True if the texts of a conclusion differ. An initial status is the same as none."""
    if change.kind == "account_status":
        initial_texts = (None, INITIAL_STATUS_TEXT)
        if change.before in initial_texts and change.after in initial_texts:
            return False
    return change.before != change.after


def _pair_changes(changes: Sequence[ConclusionChange]) -> list[ConclusionChange]:
    """Pair removals and additions with the same subject: open gaps with open gaps."""
    removed, added = [], []
    for change in sorted(changes, key=_is_still_open):
        if change.after is None:
            removed.append(change)
        elif change.before is None:
            added.append(change)
    modified = [change for change in changes if None not in (change.before, change.after)]
    pair_count = min(len(removed), len(added))
    first_removed, first_added = len(removed) - pair_count, len(added) - pair_count
    pairs = zip(removed[first_removed:], added[first_added:], strict=True)
    merged = [replace(old, after=new.after) for old, new in pairs]
    return [*modified, *merged, *removed[:first_removed], *added[:first_added]]


def _is_still_open(change: ConclusionChange) -> bool:
    return not (change.before or change.after or "").startswith("closed")


def build_column_translators(translator: Translator) -> Mapping[str, Callable[[str], str]]:
    """Return the functions that translate the columns of a change for a terminal."""
    return {
        "kind": partial(translator.term, "conclusion"),
        "subject": partial(_translate_subject, translator),
        "before": partial(_translate_conclusion, translator),
        "after": partial(_translate_conclusion, translator),
    }


def _translate_subject(translator: Translator, subject: str) -> str:
    """Return the key of an account; for a gap, its title and the key."""
    code, _, key = subject.partition(" ")
    return translator.join_list(filter(None, (translator.gap_title(code, voice=Voice.LABEL), key)))


def _translate_conclusion(translator: Translator, conclusion: str) -> str:
    """Translate a status or gap state, which consists of codes, dates and a number of runs."""
    parts = [part for part in re.split("/|, ", conclusion) if part not in {"-", "no date"}]
    return translator.join_list([_translate_part(translator, part) for part in parts])


def _translate_part(translator: Translator, part: str) -> str:
    """Translate a code, a date or a number of runs; return an unknown code as it is."""
    runs = re.fullmatch(r"(\d+) runs", part)
    if runs:
        return translator.translate_plural("{n} check", "{n} checks", int(runs[1]))
    if re.match(r"\d{4}-\d\d", part):
        return translator.format_date(part)
    for group in ("account_status", "gap_state", "cause"):
        term = translator.term(group, part)
        if term != part:
            return term
    return part


def summarize_changes(changes: Iterable[ConclusionChange], translator: Translator) -> list[str]:
    """Return how many gaps of each code open or close, and how many other conclusions change."""
    opened: Counter[str] = Counter()
    closed: Counter[str] = Counter()
    other_counts: Counter[str] = Counter()
    for change in changes:
        code = change.subject.partition(" ")[0]
        open_before_and_after = (_is_open(change.before), _is_open(change.after))
        if change.kind != "gap":
            other_counts[change.kind] += 1
        elif open_before_and_after == (False, True):
            opened[code] += 1
        elif open_before_and_after == (True, False):
            closed[code] += 1
    lines = []
    for code in sorted(opened | closed):
        title = translator.gap_title(code, voice=Voice.LABEL)
        counts = _format_gap_counts(translator, opened[code], closed[code])
        lines.append(translator.format_pair(title, translator.join_list(counts)))
    for kind, count in sorted(other_counts.items()):
        term = translator.term("conclusions", kind)
        lines.append(translator.format_pair(term, translator.format_number(count)))
    return lines


def _is_open(gap_text: str | None) -> bool:
    return (gap_text or "").startswith("open")


def _format_gap_counts(translator: Translator, opened: int, closed: int) -> list[str]:
    return [
        translator.translate_plural("{n} more problem", "{n} more problems", opened),
        translator.translate_plural("{n} fewer problem", "{n} fewer problems", closed),
    ]


def warn_about_mass_losses(
    changes: Iterable[ConclusionChange], translator: Translator
) -> list[str]:
    """Return warnings if so many accounts become gone for one reason that a probe may be wrong.

    A run has canaries for that. A rebuild replays current probes on old pages and has none.
    """
    lost: Counter[tuple[str, str]] = Counter()
    for change in changes:
        was_lost = _is_gone(change.after) and not _is_gone(change.before)
        if change.kind == "account_status" and was_lost:
            lost[change.channel, (change.after or "").partition(",")[0]] += 1
    warnings = []
    for (channel, status_text), count in sorted(lost.items()):
        if count < MIN_CHANGED_ACCOUNTS:
            continue
        warning = translator.translate_plural(
            "warning: {n} account on {channel} changes to: {finding}; check it, "
            "the error may be ours",
            "warning: {n} accounts on {channel} change to: {finding}; check some of them, "
            "the error may be ours",
            count,
            channel=channel,
            finding=_translate_conclusion(translator, status_text),
        )
        warnings.append(warning)
    return warnings


def _is_gone(status_text: str | None) -> bool:
    return (status_text or "").startswith("gone")
