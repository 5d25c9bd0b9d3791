"""Where a page's links lead: addresses of the web application, or files of the folder of static pages.

Templates ask `link` and do not know which of the two they are rendered for.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Protocol
from urllib.parse import quote

from auditor.i18n.languages import LOCALES

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,80}")


class Link(Protocol):
    """The links of one page in one language.

    `live` pages can be answered to, those of a folder cannot. Without `home` it leads nowhere else.
    """

    live: bool

    @property
    def home(self) -> bool:
        """Whether the reader may go to the network's pages."""
        ...

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages the page is there in."""
        ...

    @property
    def section(self) -> str:
        """The page of the navigation that it belongs to."""
        ...

    def page(self, name: str = "") -> str:
        """A page of the navigation; the front page without a name."""
        ...

    def association(self, identifier: str) -> str:
        """An association's page."""
        ...

    def tongue(self, language: str) -> str:
        """The page itself in another language."""
        ...

    def file(self, name: str) -> str:
        """A style sheet or another file that every page shares."""
        ...


@dataclass(frozen=True, slots=True)
class Address:
    """Links of the web application. `path` is this page's own behind the language, with its query."""

    language: str
    path: str = "/"
    home: bool = True
    live = True

    @property
    def languages(self) -> tuple[str, ...]:
        """Every language we speak."""
        return tuple(LOCALES)

    @property
    def section(self) -> str:
        """The first part of the path."""
        return self.path.partition("?")[0].strip("/").partition("/")[0]

    def page(self, name: str = "") -> str:
        """`/fr/gaps`."""
        return f"/{self.language}/{name}"

    def association(self, identifier: str) -> str:
        """`/fr/associations/nour`."""
        return self.page(f"associations/{quote(identifier, safe='')}")

    def tongue(self, language: str) -> str:
        """The same path and query under another language."""
        return f"/{language}{self.path}"

    def file(self, name: str) -> str:
        """Its address with a version in it, so that it may be kept for a year and is never stale."""
        return f"/static/{name}?v={_version(name)}"


@dataclass(frozen=True, slots=True)
class Folder:
    """Links between the files of `auditor publish`: `fr/nour.html`, `fr/index.html`, `app.css`."""

    name: str
    languages: tuple[str, ...]
    home: bool = True
    live = False

    @property
    def section(self) -> str:
        """Empty on the network's page, `associations` on an association's."""
        return "" if self.name == "index.html" else "associations"

    def page(self, name: str = "") -> str:
        """The network's page: the folder has no other."""
        return f"index.html#{name}" if name else "index.html"

    def association(self, identifier: str) -> str:
        """Its report."""
        return file_name(identifier)

    def tongue(self, language: str) -> str:
        """The file of the same name in another language's folder."""
        return f"../{language}/{self.name}"

    def file(self, name: str) -> str:
        """A file at the top of the folder."""
        return f"../{name}"


def file_name(identifier: str) -> str:
    """The name of an association's file: its id where that makes a safe one, else a digest of it."""
    safe = SAFE_NAME.fullmatch(identifier) and identifier.lower() != "index"
    return f"{identifier if safe else hashlib.sha256(identifier.encode()).hexdigest()[:20]}.html"


@cache
def _version(name: str) -> str:
    return hashlib.sha256(files("auditor.web").joinpath("static", name).read_bytes()).hexdigest()[:10]
