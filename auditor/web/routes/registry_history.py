"""The change log of the registry: a line for each action, and pages of single changes."""

from collections.abc import Sequence
from itertools import chain, groupby, islice
from operator import attrgetter
from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse

from auditor.registry.changes import RegistryChangeLine
from auditor.web import access
from auditor.web.request_context import PageContext, RequestContext, RowId, build_page_urls
from storage.models.users import AuditLogEntry

router = APIRouter(route_class=access.AccessRoute)

PAGE_SIZE = 50
"""Actions or changes on a page."""
MAX_READ_ENTRIES = 1000
"""Entries that are read to find the actions of a page. A larger action is counted separately."""
SHOWN_LINES = 2
"""An action with more changes only shows how many there are."""


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
    return _render_changes(context, entries, before, association_id=association)


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
    return _render_changes(context, entries, before, action_entry=newest_entry)


def _render_actions(context: RequestContext, before: int | None) -> HTMLResponse:
    entries = context.app.store.audit_log.list_audit_log(
        before_id=before, limit=MAX_READ_ENTRIES + 1, regions=context.regions
    )
    groups = [list(group) for _, group in groupby(entries, key=attrgetter("changed_at", "author"))]
    has_more = len(entries) > MAX_READ_ENTRIES
    next_before = None
    if has_more and len(groups) == 1:
        action, preceding_id = _count_large_action(context, entries[0])
        actions = [action]
        if preceding_id:
            next_before = preceding_id + 1
    else:
        if has_more:
            groups.pop()  # it may be incomplete, and begins the next page
        if has_more or len(groups) > PAGE_SIZE:
            groups = groups[:PAGE_SIZE]
            next_before = groups[-1][-1].id
        actions = _build_actions(context, groups)
    history_url = context.links.page_url("registry/history")
    page_urls = build_page_urls(history_url, {}, "before", before, next_before)
    return context.render_page("audit_log.html", actions=actions, **page_urls)


def _build_actions(
    context: RequestContext, groups: Sequence[Sequence[AuditLogEntry]]
) -> list[dict[str, Any]]:
    """Return actions: all changes that were written together by an import, or by a form.

    `newest_id` is the id of the newest entry. `entry` says when, who and how. `lines` are empty if
    there are more than `SHOWN_LINES`.
    """
    small_groups = [group for group in groups if len(group) <= SHOWN_LINES]
    lines = iter(_build_change_lines(context, list(chain.from_iterable(small_groups))))
    actions = []
    for group in groups:
        shown_count = len(group) if len(group) <= SHOWN_LINES else 0
        # An import may also remove some. Another entry says how the action was made.
        typical_entry = next((entry for entry in group if entry.source != "prune"), group[0])
        action = {
            "newest_id": group[0].id,
            "entry": typical_entry,
            "lines": list(islice(lines, shown_count)),
            "change_count": len(group),
            "association_count": len({entry.association for entry in group}),
        }
        actions.append(action)
    return actions


def _count_large_action(
    context: RequestContext, newest_entry: AuditLogEntry
) -> tuple[dict[str, Any], int]:
    """Return an action with more entries than are read, and the id of the entry before it."""
    store = context.app.store
    assert newest_entry.id is not None
    preceding_id = store.audit_log.find_preceding_log_id(newest_entry)
    change_count, association_count = store.audit_log.count(
        after_id=preceding_id, up_to_id=newest_entry.id, regions=context.regions
    )
    action = {
        "newest_id": newest_entry.id,
        "entry": newest_entry,
        "lines": [],
        "change_count": change_count,
        "association_count": association_count,
    }
    return action, preceding_id


def _render_changes(
    context: RequestContext,
    entries: Sequence[AuditLogEntry],
    before: int | None,
    *,
    action_entry: AuditLogEntry | None = None,
    association_id: str = "",
) -> HTMLResponse:
    """Render a page of single changes; `entries` has one more if there are older ones."""
    shown_entries = entries[:PAGE_SIZE]
    next_before = shown_entries[-1].id if len(entries) > PAGE_SIZE else None
    url = context.links.page_url("registry/history")
    if action_entry:
        url = f"{url}/{action_entry.id}"
    query, store = {"association": association_id}, context.app.store
    return context.render_page(
        "audit_log_changes.html",
        changes=list(zip(shown_entries, _build_change_lines(context, shown_entries), strict=True)),
        action_entry=action_entry,
        association_id=association_id,
        association=store.registry.get_association(association_id) if association_id else None,
        **build_page_urls(url, query, "before", before is not None, next_before),
    )


def _build_change_lines(
    context: RequestContext, entries: Sequence[AuditLogEntry]
) -> list[RegistryChangeLine]:
    association_ids = set(map(attrgetter("association"), entries))
    data = context.app.store.conclusions.load_association_data(association_ids)
    names = {row.id: row.display_name(context.language) for row in data.associations}
    lines = []
    for entry in entries:
        name = names.get(entry.association, "")
        lines.append(RegistryChangeLine.from_change(entry, name))
    return lines
