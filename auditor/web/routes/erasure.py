"""An association forgotten in the browser: shown how much that is, asked for its id, erased for good."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict

from auditor import erasure
from auditor.core.errors import InputError, LockedError
from auditor.web import access
from auditor.web.request_context import Asked, Page
from storage.retention.erasure import Kept

router = APIRouter()


class What(StrEnum):
    """What is to be erased."""

    CONTACT = "contact"
    ALL = "all"


class Wish(BaseModel):
    """What was asked for. `typed` has to be the association's id: nothing is erased by a slip."""

    model_config = ConfigDict(str_strip_whitespace=True)

    what: What = What.CONTACT
    typed: str = ""


@router.get("/{language}/registry/forget/{association:path}", dependencies=[access.EVERYWHERE])
def page(asked: Page, association: str) -> HTMLResponse:
    """What is kept of it, as far as that is told at a glance, and the question."""
    return _shown(asked, association)


@router.post("/{language}/registry/forget/{association:path}", dependencies=[access.EVERYWHERE])
def forget(asked: Page, association: str, wish: Annotated[Wish, Form()]) -> Response:
    """Erase it, where its id was typed and no night is going on."""
    words = asked.words
    if wish.typed != association:
        said = words.say("Nothing was erased: what you typed is not its code.")
        return _shown(asked, association, wish, trouble=said, status=422)
    only = wish.what is What.CONTACT
    try:
        done = erasure.forget(asked.app, association, asked.signature, asked.now, contact=only)
    except LockedError:
        said = words.say("A night is going on. Please try again when it is over.")
        return _shown(asked, association, wish, trouble=said, status=409)
    except InputError:
        raise HTTPException(404) from None
    outcome = wish.what if done.is_clean else "traces"
    return RedirectResponse(f"{asked.link.page('registry')}?forgotten={quote(outcome)}", 303)


def _shown(
    asked: Asked, association: str, wish: Wish | None = None, *, trouble: str = "", status: int = 200
) -> HTMLResponse:
    about = asked.app.store.association(association)
    return asked.page(
        "erasure_form.html",
        status=status,
        id=association,
        about=about,
        kept=list(_kept(asked, association).told()),
        wish=wish or Wish(),
        trouble=trouble,
    )


def _kept(asked: Asked, association: str) -> Kept:
    try:
        return erasure.kept(asked.app, association, at_a_glance=True)
    except InputError:
        raise HTTPException(404) from None
