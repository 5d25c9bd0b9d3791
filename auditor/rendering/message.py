"""A message in words, before it is plain text or HTML: headings, lists, links. Pure.

The same is written twice, with the words of each medium, so that the two parts of a mail never differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from auditor.i18n.wording import Wording
from auditor.rendering.templates import render, words_of

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
