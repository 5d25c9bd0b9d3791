"""The change log of the registry: a line for each action, and pages of single changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse

from auditor.registry.changes import RegistryChangeLine
from auditor.web import access
from auditor.web.request_context import PageContext, RequestContext, RowId, build_url
from storage.models.users import AuditLogEntry

router = APIRouter()

PAGE_SIZE = 50
"""Actions or changes on a page."""
MAX_READ_ENTRIES = 1000
"""Entries that are read to find the actions of a page. A larger action is counted separately."""
MAX_SHOWN_LINES = 2
"""An action with more changes only shows how many there are."""


@dataclass(frozen=True, slots=True)
class RegistryAction:
    """All changes that were written together: by an import, or by a form.

    `newest_id` is the id of the newest entry. `entry` says when, who and how. `lines` are empty if
    there are more than `MAX_SHOWN_LINES`.
    """

    newest_id: int | None
    entry: AuditLogEntry
    lines: list[RegistryChangeLine]
    change_count: int
    association_count: int


@router.get("/{language}/registry/history", dependencies=[access.COORDINATOR_ACCESS])
def show_registry_history(
    context: PageContext, association: str = "", before: RowId | None = None
) -> HTMLResponse:
    """Show the actions, or the changes of one association (also a removed one), newest first."""
    store = context.app.store
    if not association:
        return _render_actions(context, before)
    entries = store.audit_log.list_audit_log(
        association, before_id=before, limit=PAGE_SIZE + 1, regions=context.regions
    )
    return _render_changes(
        context, entries, is_first_page=before is None, association_id=association
    )


@router.get("/{language}/registry/history/{entry_id:int}", dependencies=[access.COORDINATOR_ACCESS])
def show_registry_action(
    context: PageContext, entry_id: RowId, before: RowId | None = None
) -> HTMLResponse:
    """Show all changes of the action whose newest entry has this id."""
    store = context.app.store
    newest_entry = store.audit_log.get_entry(entry_id, regions=context.regions)
    if newest_entry is None:
        raise HTTPException(404)
    entries = store.audit_log.list_audit_log(
        before_id=min(before or entry_id + 1, entry_id + 1),
        after_id=store.audit_log.find_preceding_log_id(newest_entry),
        limit=PAGE_SIZE + 1,
        regions=context.regions,
    )
    return _render_changes(
        context, entries, is_first_page=before is None, action_entry=newest_entry
    )


def _render_actions(context: RequestContext, before: int | None) -> HTMLResponse:
    entries = context.app.store.audit_log.list_audit_log(
        before_id=before, limit=MAX_READ_ENTRIES + 1, regions=context.regions
    )
    groups = [list(group) for _, group in groupby(entries, key=_get_action_key)]
    if len(entries) <= MAX_READ_ENTRIES:
        next_before = groups[PAGE_SIZE - 1][-1].id if len(groups) > PAGE_SIZE else None
        actions = _build_actions(context, groups[:PAGE_SIZE])
    elif len(groups) > 1:  # the last one may be incomplete; it begins the next page
        shown_groups = groups[: min(PAGE_SIZE, len(groups) - 1)]
        next_before = shown_groups[-1][-1].id
        actions = _build_actions(context, shown_groups)
    else:
        action, preceding_id = _count_large_action(context, entries[0])
        actions, next_before = [action], preceding_id + 1 if preceding_id else None
    history_url = context.links.page_url("registry/history")
    return context.render_page(
        "audit_log.html",
        actions=actions,
        first_url=history_url if before else None,
        next_url=f"{history_url}?before={next_before}" if next_before else None,
    )


def _get_action_key(entry: AuditLogEntry) -> tuple[Any, ...]:
    """Return what all entries of one action have in common."""
    return entry.changed_at, entry.author


def _build_actions(
    context: RequestContext, groups: Iterable[Sequence[AuditLogEntry]]
) -> list[RegistryAction]:
    group_list = list(groups)
    shown_entries = [
        entry for group in group_list if len(group) <= MAX_SHOWN_LINES for entry in group
    ]
    line_by_id = dict(
        zip(
            (entry.id for entry in shown_entries),
            _build_change_lines(context, shown_entries),
            strict=True,
        )
    )
    return [
        RegistryAction(
            newest_id=group[0].id,
            entry=_choose_typical_entry(group),
            lines=[line_by_id[entry.id] for entry in group if entry.id in line_by_id],
            change_count=len(group),
            association_count=len({entry.association for entry in group}),
        )
        for group in group_list
    ]


def _choose_typical_entry(entries: Sequence[AuditLogEntry]) -> AuditLogEntry:
    """Return an entry of an action that says how it was made: an import may also remove some."""
    return next((entry for entry in entries if entry.source != "prune"), entries[0])


def _count_large_action(
    context: RequestContext, newest_entry: AuditLogEntry
) -> tuple[RegistryAction, int]:
    """Return an action with more entries than are read, and the id of the entry before it."""
    store = context.app.store
    assert newest_entry.id is not None
    preceding_id = store.audit_log.find_preceding_log_id(newest_entry)
    counts = store.audit_log.count(
        after_id=preceding_id, up_to_id=newest_entry.id, regions=context.regions
    )
    return RegistryAction(newest_entry.id, newest_entry, [], *counts), preceding_id


def _render_changes(
    context: RequestContext,
    entries: Sequence[AuditLogEntry],
    *,
    is_first_page: bool,
    action_entry: AuditLogEntry | None = None,
    association_id: str = "",
) -> HTMLResponse:
    """Render a page of single changes; `entries` has one more if there are older ones."""
    shown_entries, has_more = entries[:PAGE_SIZE], len(entries) > PAGE_SIZE
    history_url = context.links.page_url("registry/history")
    url = f"{history_url}/{action_entry.id}" if action_entry else history_url
    query = {"association": association_id}
    store = context.app.store
    return context.render_page(
        "audit_log_changes.html",
        changes=list(zip(shown_entries, _build_change_lines(context, shown_entries), strict=True)),
        action_entry=action_entry,
        association_id=association_id,
        association=store.registry.get_association(association_id) if association_id else None,
        first_url=None if is_first_page else build_url(url, query),
        next_url=build_url(url, {**query, "before": str(shown_entries[-1].id)})
        if has_more
        else None,
    )


def _build_change_lines(
    context: RequestContext, entries: Sequence[AuditLogEntry]
) -> list[RegistryChangeLine]:
    association_ids = {entry.association for entry in entries}
    names = {
        row.id: row.display_name(context.language)
        for row in context.app.store.conclusions.load_association_data(association_ids).associations
    }
    return [
        RegistryChangeLine.from_change(entry, names.get(entry.association, "")) for entry in entries
    ]
