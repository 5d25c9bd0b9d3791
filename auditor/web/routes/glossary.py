"""The glossary: what the words on the pages mean."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from auditor.reference.glossary import load_glossary
from auditor.web import access
from auditor.web.request_context import PageContext

router = APIRouter(route_class=access.AccessRoute)


@router.get("/{language}/glossary", dependencies=[access.LOGGED_IN_ACCESS])
def show_glossary(context: PageContext) -> HTMLResponse:
    """Show all terms with their definitions. Each has an anchor, to which other pages link."""
    return context.render_page("glossary.html", groups=load_glossary(context.language))
