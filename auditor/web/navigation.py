"""The entries of the navigation and their pages, by the role of the user."""

from typing import Any

from auditor.i18n.translator import Translator
from auditor.users import service
from storage.models.users import Role
from storage.tables.users import User

NavigationPage = tuple[str, str]
"""The path of a page without the language, and its label."""

TODAY_ICON = "M3 4.5h14v13H3zM3 8.5h14M7 2.5v4M13 2.5v4"
GRID_ICON = "M3 3.5h5.5V9H3zM11.5 3.5H17V9h-5.5zM3 11.5h5.5V17H3zM11.5 11.5H17V17h-5.5z"
STAR_ICON = "M10 2.5l2 5.2 5.2 2-5.2 2-2 5.3-2-5.3-5.2-2 5.2-2z"
SPEECH_ICON = "M3 4h14v10H9l-4 3v-3H3z"
PEOPLE_ICON = (
    "M3.5 17v-2c0-4 7-4 7 0v2M7 9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5"
    "M13 11.5c2.5 0 4 1 4 3.5v2M13 9.5a2.5 2.5 0 0 0 0-5"
)
SLIDERS_ICON = "M3 6h8M15 6h2M13 4v4M3 14h2M9 14h8M7 12v4"


NavigationEntry = dict[str, Any]
"""An entry of the navigation: its label, its pages, and how many things wait there (`count`).

It leads to the first of its pages. `icon` is the path of an SVG in a square of 20 units.
"""


def _build_entry(label: str, icon: str, *pages: NavigationPage, count: int = 0) -> NavigationEntry:
    return {"label": label, "icon": icon, "pages": pages, "count": count}


def list_navigation_entries(
    user: User | None, translator: Translator, pending_reply_count: int = 0
) -> list[NavigationEntry]:
    """Return the entries that a user may open. Without a user there are none."""
    if user is None:
        return []
    translate = translator.translate
    is_coordinator = service.is_coordinator(user)
    messages = _build_entry(
        translate("Messages"),
        SPEECH_ICON,
        ("replies", translate("Replies")),
        ("report-links", translate("Report links")),
        count=pending_reply_count,
    )
    settings = [("account", translate("Your account")), ("glossary", translate("Glossary"))]
    if user.role == Role.ADMIN:
        settings.insert(0, ("users", translate("Users")))
    if is_coordinator:
        settings.insert(0, ("registry", translate("Registry")))
    return [
        _build_entry(translate("Today"), TODAY_ICON, ("", translate("Today"))),
        _build_entry(
            translate("Associations"),
            GRID_ICON,
            ("associations", translate("Grid")),
            ("gaps", translate("By problem")),
            ("groups", translate("By region")),
        ),
        _build_entry(
            translate("What’s new"),
            STAR_ICON,
            ("changes", translate("What’s new")),
            ("runs", translate("Check log")),
        ),
        *([messages] if is_coordinator else []),
        _build_entry(translate("Meeting"), PEOPLE_ICON, ("meeting", translate("Meeting"))),
        _build_entry(translate("Settings"), SLIDERS_ICON, *settings),
    ]
