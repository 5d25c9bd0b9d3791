"""The entries of the navigation and their pages, by the role of the user."""

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class NavigationEntry:
    """An entry of the navigation. It leads to the first of its pages.

    `icon` is the path of an SVG in a square of 20 units. `count` is how many things wait there.
    """

    label: str
    icon: str
    pages: tuple[NavigationPage, ...]
    count: int = 0

    @property
    def path(self) -> str:
        """Return the path of the first page."""
        return self.pages[0][0]

    def contains(self, section: str) -> bool:
        """Return True if the entry has a page with this path."""
        return section in dict(self.pages)


def list_navigation_entries(
    user: User | None, translator: Translator, pending_reply_count: int = 0
) -> list[NavigationEntry]:
    """Return the entries that a user may open. Without a user there are none."""
    if user is None:
        return []
    translate = translator.translate
    is_coordinator = service.is_coordinator(user)
    messages = NavigationEntry(
        translate("Messages"),
        SPEECH_ICON,
        (("replies", translate("Replies")), ("report-links", translate("Report links"))),
        pending_reply_count,
    )
    settings = [("account", translate("Your account")), ("glossary", translate("Glossary"))]
    if user.role == Role.ADMIN:
        settings.insert(0, ("users", translate("Users")))
    if is_coordinator:
        settings.insert(0, ("registry", translate("Registry")))
    return [
        NavigationEntry(translate("Today"), TODAY_ICON, (("", translate("Today")),)),
        NavigationEntry(
            translate("Associations"),
            GRID_ICON,
            (
                ("associations", translate("Grid")),
                ("gaps", translate("By problem")),
                ("groups", translate("By region")),
            ),
        ),
        NavigationEntry(
            translate("What’s new"),
            STAR_ICON,
            (("changes", translate("What’s new")), ("runs", translate("Check log"))),
        ),
        *([messages] if is_coordinator else []),
        NavigationEntry(translate("Meeting"), PEOPLE_ICON, (("meeting", translate("Meeting")),)),
        NavigationEntry(translate("Settings"), SLIDERS_ICON, tuple(settings)),
    ]
