"""What a list is narrowed by: the choices a form offers, and the chips that take one away again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from auditor.i18n.wording import Wording
from auditor.reference.gap_catalogue import SEVERITIES, catalogue
from auditor.rules.score import LEVELS
from auditor.views.export import FORMATS
from auditor.web.request_context import Asked

Choices = list[tuple[str, str]]
"""The values of a form's field, each with its words."""

STATES = ("confirmed", "unknown", "gone", "missing", "by_choice")
MOST = 300
"""Choices of a field; those met most often, where there are more."""


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is set: its words, and the address without it."""

    said: str
    without: str


def way(address: str, told: Mapping[str, str]) -> str:
    """An address with these parameters; an empty one is left out."""
    query = urlencode({name: value for name, value in told.items() if value})
    return f"{address}?{query}" if query else address


def sheets(asked: Asked, kinds: Iterable[str], told: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The ways to take rows of these kinds along, narrowed by these parameters: by kind and form."""
    return {kind: _forms(asked.link.page(f"exports/{kind}"), told) for kind in kinds}


def _forms(address: str, told: Mapping[str, str]) -> dict[str, str]:
    plain: dict[str, str] = {form: way(f"{address}.{form}", told) for form in FORMATS}
    return {**plain, "semicolons": way(f"{address}.csv", {**told, "delimiter": ";"})}


def chips(address: str, told: Mapping[str, str], words: Wording) -> list[Chip]:
    """The filters that are set, each with the way to do without it."""
    return [
        Chip(_said(name, told, words), way(address, {**told, name: ""}))
        for name, value in told.items()
        if value and name in SAID
    ]


def _said(name: str, told: Mapping[str, str], words: Wording) -> str:
    said = SAID[name](told[name], words)
    # where a list asks for a state and none is named, a channel is that of a point
    if name == "channel" and told.get("state") == "" and not told.get("gap"):
        return words.say("{channel}: a point to settle", channel=said)
    return said


SAID: Mapping[str, Callable[[str, Wording], str]] = {
    "region": lambda value, words: words.region(value),
    "tag": lambda value, _words: value,
    "level": lambda value, words: words.label("level", value) if value in levels() else value,
    "gap": lambda value, words: words.about(value),
    "channel": lambda value, words: words.channel(value),
    "state": lambda value, words: words.term("counted", value),
    "severity": lambda value, words: words.label("severity", value) if value in SEVERITIES else value,
    "q": lambda value, _words: value,
}
"""How a filter's value is said."""


def levels() -> list[str]:
    """The levels of the score, the highest first."""
    return [name for _, name in LEVELS] + ["no_data"]


def groups(asked: Asked, kind: str) -> Choices:
    """The regions or tags there are, in the order of their names."""
    counted = asked.app.store.tally(prefix=f"{kind}:")
    most = sorted(counted, key=lambda facet: -counted[facet])[:MOST]
    say = asked.words.region if kind == "region" else str
    named = [(name, say(name)) for name in (facet.partition(":")[2] for facet in most)]
    return sorted(named, key=lambda choice: choice[1])


def codes(words: Wording) -> Choices:
    """The gaps there can be."""
    entries = sorted(catalogue().entries.values(), key=lambda entry: entry.order)
    return [(entry.code, words.about(entry.code)) for entry in entries if entry.is_gap]


def channels(asked: Asked) -> Choices:
    """The audited channels."""
    return [(name, asked.words.channel(name)) for name in asked.app.config.channels]
