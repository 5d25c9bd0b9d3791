"""The button in a confirmation that takes an action back."""

from fastapi import APIRouter, HTTPException
from fastapi.responses import RedirectResponse

from auditor.web import access
from auditor.web.request_context import PageContext

router = APIRouter(route_class=access.AccessRoute)


@router.post("/{language}/undo/{key}", dependencies=[access.LOGGED_IN_ACCESS])
def undo_action(context: PageContext, key: str) -> RedirectResponse:
    """Take back what the user did with a form, and show its page again."""
    confirmation = context.find_confirmation(key)
    if confirmation is None:
        raise HTTPException(404)
    context.confirmations.undo(confirmation, context.now)
    return RedirectResponse(confirmation.url, 303)
