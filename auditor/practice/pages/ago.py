"""How long ago something was, as YouTube says it: in one unit, rounded down, in the viewer's language."""

from __future__ import annotations

from datetime import datetime

UNITS = ((365.0, "year"), (30.0, "month"), (7.0, "week"), (1.0, "day"), (1 / 24, "hour"))
"""Days of each unit, the longest first."""

SENTENCES = {"en": "{} ago", "fr": "il y a {}", "ar": "قبل {}"}
WORDS = {
    "en": {unit: (unit, f"{unit}s") for _, unit in UNITS},
    "fr": {
        "year": ("an", "ans"),
        "month": ("mois", "mois"),
        "week": ("semaine", "semaines"),
        "day": ("jour", "jours"),
        "hour": ("heure", "heures"),
    },
}
ARABIC = {  # one, two, three to ten, more
    "year": ("سنة واحدة", "سنتين (2)", "سنوات", "سنة"),
    "month": ("شهر واحد", "شهرين (2)", "أشهر", "شهرًا"),
    "week": ("أسبوع واحد", "أسبوعين (2)", "أسابيع", "أسبوعًا"),
    "day": ("يوم واحد", "يومين (2)", "أيام", "يومًا"),
    "hour": ("ساعة واحدة", "ساعتين (2)", "ساعات", "ساعة"),
}


def ago(when: datetime, now: datetime, language: str) -> str:
    """The words for a moment in the past."""
    days = (now - when).total_seconds() / 86_400
    size, unit = next((one for one in UNITS if days >= one[0]), UNITS[-1])
    count = max(1, int(days / size))
    return SENTENCES[language].format(
        _arabic(count, unit) if language == "ar" else _latin(count, unit, language)
    )


def _latin(count: int, unit: str, language: str) -> str:
    return f"{count} {WORDS[language][unit][count > 1]}"


def _arabic(count: int, unit: str) -> str:
    one, two, few, many = ARABIC[unit]
    return (one, two)[count - 1] if count <= 2 else f"{count} {few if count <= 10 else many}"
