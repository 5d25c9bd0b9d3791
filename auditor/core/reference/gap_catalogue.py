"""The catalogue of gaps: kind, severity, confirmation, consequences and texts of each code.

The data is in `gaps.toml`, the titles in `gap_titles.toml`. Rules use the codes, and reports use
the texts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import tomli

from probes.links.channel_registry import is_optional_channel
from storage.models import audit
from storage.models.audit import Gap, GapKind, compute_gap_rank
from storage.models.summaries import OpenGap

LANGUAGES = ("ar", "fr", "en")
SEVERITIES = audit.SEVERITIES
OPTIONAL_CHANNEL_SEVERITY = "low"
"""The severity of every gap of an optional channel. No gap has a lower one; `info` is a status."""
EFFORT_LEVELS = ("none", "10min", "30min", "supplier", "1h", "halfday", "days")
"""Efforts from quick to slow; `supplier` is a call to the provider."""


Voice = Literal["association", "coordinator", "label", "fixed"]
"""For whom a title of a gap is written.

`association`: a sentence for the association ("your"). `coordinator`: one for the coordinator
("its"). `label`: a few words for tables and filters. `fixed`: good news for either reader when the
gap is closed.
"""


@dataclass(frozen=True, slots=True)
class GapDefinition:
    """A gap or a status.

    `kind` is what the gap means to a coordinator; a status has none.
    `confirm_runs` is the number of conclusive runs that confirm it. `hides` are codes that are not
    shown while this gap is open. `texts` has, by language, the templates `definition`,
    `why`, `evidence` and `steps`. `is_gap` is False for a status, which is never counted and never
    lowers a score.
    """

    code: str
    order: int
    scope: str
    severity: str
    is_gap: bool
    actor: str
    effort: str
    confirm_runs: int
    hides: frozenset[str]
    kind: GapKind | None = None
    placeholders: tuple[str, ...] = ()
    severity_by_channel: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    steps_by_channel: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)

    def get_kind(self, channel: str, severity: str) -> GapKind:
        """Return the kind of the gap on one channel.

        An urgent gap counts as broken: a domain that expires within days cannot wait behind silent
        pages. On an optional channel everything is an improvement.
        """
        if is_optional_channel(channel) or self.kind is None:
            return GapKind.IMPROVE
        return GapKind.BROKEN if severity == SEVERITIES[0] else self.kind

    def get_severity(self, channel: str) -> str:
        """Return the severity on one channel. An optional channel has the lowest one."""
        if self.is_gap and is_optional_channel(channel):
            return OPTIONAL_CHANNEL_SEVERITY
        return self.severity_by_channel.get(channel, self.severity)

    def get_steps(self, channel: str, language: str) -> list[str]:
        """Return the steps to fix it, in order; a channel may have its own."""
        channel_steps = self.steps_by_channel.get(channel, {}).get(language)
        return channel_steps or list(self.texts[language]["steps"])


@dataclass(frozen=True, slots=True)
class GapCatalogue:
    """All definitions and labels."""

    definitions: Mapping[str, GapDefinition]
    labels: Mapping[str, Mapping[str, Mapping[str, str]]]

    def __getitem__(self, code: str) -> GapDefinition:
        """Return the definition of a code. Raises KeyError."""
        return self.definitions[code]

    def label(self, group: str, name: str, language: str) -> str:
        """Return a label, such as that of a severity or channel, or its name if there is none."""
        return self.labels.get(group, {}).get(name, {}).get(language, name)


def find_gap_kind(code: str, channel: str) -> GapKind | None:
    """Return the kind of the gaps of a code on a channel, or None if the code is unknown."""
    definition = load_gap_catalogue().definitions.get(code)
    if definition is None:
        return None
    return definition.get_kind(channel, definition.get_severity(channel))


def get_gap_kind(gap: Gap | OpenGap) -> GapKind:
    """Return the kind of a gap. Raises KeyError if its code is unknown."""
    return load_gap_catalogue()[gap.code].get_kind(gap.channel, gap.severity)


def get_gap_rank(gap: Gap | OpenGap) -> int:
    """Return the position of a gap in lists: by kind, then the most severe first.

    Raises KeyError if its code is unknown.
    """
    return compute_gap_rank(get_gap_kind(gap), gap.severity)


def get_gap_titles(code: str, voice: Voice) -> Mapping[str, Mapping[str, str]]:
    """Return the titles of a gap by channel and language. Raises KeyError if the code is unknown.

    The title of `any` is for lists of several channels, and for a channel that has no title.
    """
    return _load_gap_titles()[code][voice]


@cache
def _load_gap_titles() -> dict[str, dict[Voice, dict[str, dict[str, str]]]]:
    """Return the titles by code, voice, channel and language. Commands without texts need none."""
    return tomli.loads(
        files("auditor.core.reference").joinpath("gap_titles.toml").read_text("utf-8")
    )


@cache
def load_gap_catalogue() -> GapCatalogue:
    """Return the catalogue that is part of the package."""
    return parse_gap_catalogue(
        files("auditor.core.reference").joinpath("gaps.toml").read_text("utf-8")
    )


def parse_gap_catalogue(text: str) -> GapCatalogue:
    """Parse a catalogue. Raises KeyError or TOMLDecodeError if it is incomplete."""
    data = tomli.loads(text)
    return GapCatalogue(
        {
            code: GapDefinition(
                code=code,
                order=table["order"],
                scope=table["scope"],
                severity=table["severity"],
                is_gap=table["is_gap"],
                actor=table["actor"],
                effort=table["effort"],
                confirm_runs=table["confirm_runs"],
                kind=GapKind(table["kind"]) if table["is_gap"] else None,
                hides=frozenset(table["hides"]),
                placeholders=tuple(table["placeholders"]),
                severity_by_channel=table.get("severity_by_channel", {}),
                texts={language: table[language] for language in LANGUAGES},
                steps_by_channel=table.get("steps_by_channel", {}),
            )
            for code, table in data["gaps"].items()
        },
        data["labels"],
    )
