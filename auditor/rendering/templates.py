"""Templates into pages: the same ones for the web and for the folder of static pages.

Where a page's links lead: addresses of the web application, or files of the folder of static pages.

Templates ask `link` and do not know which of the two they are rendered for.

A message in words, before it is plain text or HTML: headings, lists, links. Pure.

The same is written twice, with the words of each medium, so that the two parts of a mail never differ.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Protocol
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from auditor.i18n.catalogs import LOCALES, TONGUES
from auditor.i18n.wording import Wording, breakable, isolated
from auditor.rendering.svg import draw, is_still


def words_of(language: str) -> Wording:
    """The words of a language for a page: what is filled in is escaped and isolated."""
    return Wording(language, isolated)


def render(template: str, language: str, **values: object) -> str:
    """A page of `templates/` in a language.

    A template says sentences with `_("…", name=value)` and `_n("{n} one", "{n} several", n)`; `words` has the
    rest of the language: dates, numbers, the words of codes.
    """
    words = words_of(language)
    speech = {"words": words, "_": words.say, "_n": words.count}
    return _templates().get_template(template).render(**speech, **{"user": None, **values}).lstrip()


def dialled(phone: str) -> str:
    """A number as a telephone takes it."""
    return "".join(sign for sign in phone if sign in "+0123456789")


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("auditor"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(tongues=TONGUES, draw=draw, is_still=is_still)
    environment.filters["breakable"] = breakable
    environment.filters["dialled"] = dialled
    return environment


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


SUBJECT = 60
"""Characters of a subject that a telephone shows."""
BREAKS = re.compile(r"[ \t\n\r\f\v\x85\u2028\u2029]+")


@dataclass(frozen=True, slots=True)
class Line:
    """An entry of a list: what it says, more beneath it, and where it leads."""

    said: str
    more: tuple[str, ...] = ()
    url: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A list with its heading."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Way:
    """A link with its words."""

    said: str
    url: str


@dataclass(frozen=True, slots=True)
class Paper:
    """A message: its heading, what it begins with, its lists, what it ends with, and the small print."""

    title: str
    begins: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    ends: tuple[str, ...] = ()
    ways: tuple[Way, ...] = ()
    small: tuple[str, ...] = ()
    stop: Way | None = None


Written = Callable[[Wording], Paper]
"""A message, given the words to write it with."""


def written(language: str, paper: Written) -> tuple[str, str]:
    """A message as plain text and as HTML."""
    return plain(paper(Wording(language))), html(paper(words_of(language)), language)


def plain(paper: Paper) -> str:
    """A message as plain text. Addresses stand on lines of their own, where no direction disturbs them."""
    blocks = [flat(said) for said in (paper.title, *paper.begins)]
    blocks += [f"{part.title}\n\n" + "\n".join(map(_listed, part.lines)) for part in paper.parts]
    blocks += [*map(flat, paper.ends), *(f"{way.said}\n{way.url}" for way in paper.ways)]
    small = [*map(flat, paper.small), *([f"{paper.stop.said}\n{paper.stop.url}"] if paper.stop else [])]
    if small:
        blocks.append("-- \n" + "\n".join(small))
    return "\n\n".join(blocks) + "\n"


def _listed(line: Line) -> str:
    beneath = [*map(flat, line.more), *([line.url] if line.url else [])]
    return "\n".join([f"- {flat(line.said)}", *(f"  {text}" for text in beneath)])


def flat(text: str) -> str:
    """A sentence on one line, whatever the names in it hold; the spaces that keep French together stay."""
    return " ".join(BREAKS.split(text.strip()))


def html(paper: Paper, language: str) -> str:
    """A message as HTML that mail programs show: a table, styles in place, no picture."""
    return render("mail/message.html", language, paper=paper)


def subject(text: str) -> str:
    """A subject that a telephone shows whole, on one line."""
    line = flat(text)
    return line if len(line) <= SUBJECT else f"{line[: SUBJECT - 1].rstrip()}…"
