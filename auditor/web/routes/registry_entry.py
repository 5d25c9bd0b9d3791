"""An association's entry in the registry, changed in the browser: read and kept as a sheet's row is.

An association forgotten in the browser: shown how much that is, asked for its id, erased for good.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict
from starlette.datastructures import FormData

from auditor import erasure
from auditor.core.errors import InputError, RunLockedError
from auditor.i18n.catalogs import LOCALE_BY_LANGUAGE
from auditor.registry import exporter
from auditor.registry.columns import LINKS_COLUMN, MEDIA_OFFICER_CODES
from auditor.registry.entry_form import (
    BLOCKING_ISSUES,
    EDITABLE_COLUMNS,
    RegistryEntryForm,
    build_entry_form,
)
from auditor.registry.importer import ImportResult
from auditor.registry.issues import Issue, SpreadsheetProblem
from auditor.web import access
from auditor.web.request_context import PageContext, RequestContext
from probes.links import channel_registry
from storage.models.audit import AssociationEntry
from storage.models.users import ChangeOrigin
from storage.retention import ErasureSummary

router = APIRouter()

MAX_FIELD_CHARS = 20_000
"""Characters of a field that are read."""


async def _read_form(request: Request) -> FormData:
    return await request.form()


EntryFormData = Annotated[FormData, Depends(_read_form)]


@router.get(
    "/{language}/registry/entry/{association:path}", dependencies=[access.OWN_REGION_ACCESS]
)
def show_entry_form(context: PageContext, association: str) -> HTMLResponse:
    """The entry as it is kept, to be changed."""
    about = _load_member(context, association)
    it = _load_saved_entry(context, about)
    return _render_entry_form(context, about, it, version=it.version)


@router.post(
    "/{language}/registry/entry/{association:path}", dependencies=[access.OWN_REGION_ACCESS]
)
def save_entry(context: PageContext, association: str, form: EntryFormData) -> Response:
    """Keep what was typed, or show beside it what is odd; what is only odd may be kept all the same.

    Nor is it kept at once where the entry is not the one any more that was shown.
    """
    about = _load_member(context, association)
    told = _parse_entry(about.id, form)
    version = _load_saved_entry(context, about).version
    if _get_form_text(form, "version") != version:
        return _render_entry_form(context, about, told, version=version, status=409)
    reading = told.parse(context.app.config.network.language)
    problems = [*reading.problems, *_find_shared_accounts(context, about.id, reading)]
    if any(one.issue in BLOCKING_ISSUES for one in problems) or (problems and "anyway" not in form):
        return _render_entry_form(
            context, about, told, version=version, status=422, issues=problems
        )
    by = ChangeOrigin(context.author, "web")
    people, listed = reading.associations, reading.accounts
    context.app.store.save_registry(
        people, listed, context.now, origin=by, is_complete=False, present_columns=reading.columns
    )
    return RedirectResponse(context.links.association_url(about.id), 303)


def _load_saved_entry(context: RequestContext, member: AssociationEntry) -> RegistryEntryForm:
    return build_entry_form(member, context.app.store.list_accounts(member.id), context.translator)


def _load_member(context: RequestContext, association: str) -> AssociationEntry:
    about = context.app.store.get_association_entry(association)
    if about is None:
        raise HTTPException(404)
    return about


def _parse_entry(association: str, form: FormData) -> RegistryEntryForm:
    cells = {
        name: _get_form_text(form, name)
        for name in (*EDITABLE_COLUMNS, *channel_registry.list_channels(), LINKS_COLUMN)
        if name in form
    }
    cells["none_by_choice"] = ", ".join(str(one) for one in form.getlist("none_by_choice"))
    return RegistryEntryForm(association, cells)


def _get_form_text(form: FormData, name: str) -> str:
    return str(form.get(name, ""))[:MAX_FIELD_CHARS].replace("\r\n", "\n")


def _find_shared_accounts(
    context: RequestContext, association: str, import_result: ImportResult
) -> list[SpreadsheetProblem]:
    """The accounts that another association lists, too."""
    keys = {
        (row.channel, row.identity.key): row for row in import_result.accounts if row.identity.key
    }
    others = context.app.store.find_accounts_by_key((channel, key) for channel, key in keys if key)
    theirs = {
        (row.channel, row.identity.key)
        for row in others
        if row.association != association and row.withdrawn_at is None
    }
    return [
        SpreadsheetProblem(2, row.column, row.typed_text, Issue.SHARED_ACCOUNT)
        for key, row in keys.items()
        if key in theirs
    ]


def _render_entry_form(
    context: RequestContext,
    member: AssociationEntry,
    entry_values: RegistryEntryForm,
    *,
    version: str,
    status: int = 200,
    issues: list[SpreadsheetProblem] | None = None,
) -> HTMLResponse:
    words, told = context.translator, issues or []
    return context.render_page(
        "registry_entry.html",
        status=status,
        about=member.association,
        it=entry_values,
        problems=told,
        may_keep=not any(one.issue in BLOCKING_ISSUES for one in told),
        version=version,
        is_refused=status == 422,
        is_stale=status == 409,
        columns=entry_values.list_visible_columns(context.app.config.channels),
        heading=lambda name: exporter.format_column_heading(name, words),
        tongues_known=tuple(LOCALE_BY_LANGUAGE),
        officers=[words.term("officer", code) for code in MEDIA_OFFICER_CODES],
    )


class ErasureScope(StrEnum):
    """What is to be erased."""

    CONTACT = "contact"
    ALL = "all"


class ErasureForm(BaseModel):
    """What was asked for. `typed` has to be the association's id: nothing is erased by a slip."""

    model_config = ConfigDict(str_strip_whitespace=True)

    what: ErasureScope = ErasureScope.CONTACT
    typed: str = ""


@router.get(
    "/{language}/registry/forget/{association:path}", dependencies=[access.ALL_REGIONS_ACCESS]
)
def show_erasure_form(context: PageContext, association: str) -> HTMLResponse:
    """What is kept of it, as far as that is told at a glance, and the question."""
    return _render_erasure_form(context, association)


@router.post(
    "/{language}/registry/forget/{association:path}", dependencies=[access.ALL_REGIONS_ACCESS]
)
def erase_association(
    context: PageContext, association: str, form: Annotated[ErasureForm, Form()]
) -> Response:
    """Erase it, where its id was typed and no night is going on."""
    words = context.translator
    if form.typed != association:
        said = words.translate("Nothing was erased: that isn’t the association’s code.")
        return _render_erasure_form(context, association, form, error_message=said, status=422)
    only = form.what is ErasureScope.CONTACT
    try:
        done = erasure.erase_association(
            context.app, association, context.author, context.now, contact_only=only
        )
    except RunLockedError:
        said = words.translate("A check is running. Try again when it has finished.")
        return _render_erasure_form(context, association, form, error_message=said, status=409)
    except InputError:
        raise HTTPException(404) from None
    outcome = form.what if done.is_clean else "traces"
    return RedirectResponse(f"{context.links.page_url('registry')}?forgotten={quote(outcome)}", 303)


def _render_erasure_form(
    context: RequestContext,
    association: str,
    form: ErasureForm | None = None,
    *,
    error_message: str = "",
    status: int = 200,
) -> HTMLResponse:
    about = context.app.store.get_association(association)
    return context.render_page(
        "erasure_form.html",
        status=status,
        id=association,
        about=about,
        kept=list(_summarize_stored_data(context, association).list_counts()),
        wish=form or ErasureForm(),
        trouble=error_message,
    )


def _summarize_stored_data(context: RequestContext, association: str) -> ErasureSummary:
    try:
        return erasure.summarize_stored_data(context.app, association, quick=True)
    except InputError:
        raise HTTPException(404) from None
