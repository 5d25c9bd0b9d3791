"""Templates into pages: the same ones for the web and for the folder of static pages."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from auditor.i18n.languages import TONGUES
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
