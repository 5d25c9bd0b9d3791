"""A folder of static pages: the network, and each association in each language. No script.

The same templates, the same Overview as every other face; any web server or a memory stick can carry it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.config.schema import Config
from auditor.evaluation.network_view import Overview, overview
from auditor.rendering.links import Folder, file_name
from auditor.rendering.templates import render
from auditor.reports.badge import badge, is_wanted
from auditor.reports.html import report

if TYPE_CHECKING:
    from auditor.protocols import Memory

STYLES = ("pico.min.css", "pico-rtl.css", "app.css")
Progress = Callable[[int, int], None]


def publish(app: Memory, folder: Path, now: datetime, *, progress: Progress | None = None) -> int:
    """Write the pages, each whole or not at all; returns how many. Raises OSError."""
    seen = overview(app.store, app.config, now)
    wanted = sum(is_wanted(view.association) for view in seen.associations)
    total = 1 + len(app.config.report.languages) * (1 + len(seen.associations) + wanted)
    written = 0
    for name in STYLES:
        _write(folder / name, files("auditor.web").joinpath("static", name).read_text("utf-8"))
    for name, told in chain(pages(seen, app.config), badges(seen, app.config)):
        _write(folder / name, told)
        written += 1
        if progress:
            progress(written, total)
    return written


def _write(path: Path, told: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_text(told, "utf-8")
    unfinished.replace(path)


def pages(seen: Overview, config: Config) -> Iterator[tuple[str, str]]:
    """Every page by its name in the folder. Pure."""
    languages = config.report.languages
    yield "index.html", render("language_index.html", languages[0], config=config)
    for language in languages:
        front = Folder("index.html", languages)
        yield (
            f"{language}/index.html",
            render("network.html", language, seen=seen, config=config, link=front, as_of=seen.as_of),
        )
        for view in seen.associations:
            name = file_name(view.association.id)
            yield f"{language}/{name}", report(view, config, seen.as_of, Folder(name, languages), language)


def badges(seen: Overview, config: Config) -> Iterator[tuple[str, str]]:
    """The badges of the associations that want one, once there is something to tell. Pure."""
    for view in seen.associations:
        if seen.since and is_wanted(view.association):
            stem = file_name(view.association.id).removesuffix(".html")
            for language in config.report.languages:
                yield f"badge/{stem}/{language}.svg", badge(view, seen.since, language)
