"""A folder of static pages: the network, and each association in each language. No script, no request.

The same words, the same Overview as every other face; any web server or a memory stick can carry it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from auditor.config import Config
from auditor.languages import TONGUES
from auditor.overview import Overview, overview
from auditor.report import text
from auditor.report.strengths import advice
from auditor.view import AssociationView
from auditor.wording import Wording, isolated

if TYPE_CHECKING:
    from auditor.app import App

SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,80}")
Progress = Callable[[int, int], None]


def publish(app: App, folder: Path, now: datetime, *, progress: Progress | None = None) -> int:
    """Write the pages, each whole or not at all; returns how many. Raises OSError."""
    seen = overview(app.store, app.config, now)
    total = 1 + len(app.config.report.languages) * (1 + len(seen.associations))
    written = 0
    for name, page in pages(seen, app.config):
        _write(folder / name, page)
        written += 1
        if progress:
            progress(written, total)
    return written


def _write(path: Path, page: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_text(page, "utf-8")
    unfinished.replace(path)


def pages(seen: Overview, config: Config) -> Iterator[tuple[str, str]]:
    """Every page by its name in the folder. Pure."""
    languages = config.report.languages
    yield "index.html", _render("door.html", config=config, languages=[_words(code) for code in languages])
    for language in languages:
        yield f"{language}/index.html", network(seen, config, language)
        for view in seen.associations:
            yield f"{language}/{file_name(view)}", association(view, seen, config, language)


def network(seen: Overview, config: Config, language: str) -> str:
    """The coordinator's page: coverage beside the survey, what moved, every association."""
    return _spoken("network.html", _words(language), seen=seen, config=config, file="index.html")


def association(view: AssociationView, seen: Overview, config: Config, language: str) -> str:
    """An association's own page: what works, at most five things to do, what could not be told."""
    words = _words(language)
    return _spoken(
        "association.html",
        words,
        view=view,
        seen=seen,
        config=config,
        file=file_name(view),
        strengths=list(text.spoken_strengths(view, seen, words)),
        todo=[(gap, words.gap(gap.code, gap.channel, gap.severity, gap.params)) for gap in view.gaps],
        unchecked=[words.gap(one.code, one.channel, "info", one.params) for one in view.unchecked],
        advice=advice(view),
        full=text.FULL,
    )


def file_name(view: AssociationView) -> str:
    """A page's name: the association's id where it makes a safe one, else a digest of it."""
    identifier = view.association.id
    safe = SAFE_NAME.fullmatch(identifier) and identifier.lower() != "index"
    return f"{identifier if safe else hashlib.sha256(identifier.encode()).hexdigest()[:20]}.html"


def _words(language: str) -> Wording:
    return Wording(language, isolated)


def _spoken(template: str, words: Wording, **values: object) -> str:
    return _render(template, words=words, _=words.say, **values)


def _render(template: str, **values: object) -> str:
    return _templates().get_template(template).render(**values)


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("auditor.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        interval=text.interval,
        file_name=file_name,
        behind=text.behind,
        linked=text.linked,
        tongues=TONGUES,
    )
    return environment
