"""A calendar of domains that must be renewed, as iCalendar (RFC 5545). Pure.

It contains what the open gaps say, so an entry vanishes when the domain is renewed.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

from auditor.i18n.translator import Translator
from storage.models.audit import Gap

DOMAIN_GAP = "website_domain_expiring"
MAX_LINE_BYTES = 75
"""Bytes of a line of a calendar (RFC 5545)."""
ALARM_TRIGGERS = ("-P30D", "-P7D", "-P1D")
"""When a calendar reminds of an entry, before its day begins."""

# A calendar must have a component (RFC 5545 §3.6), also if no domain expires.
TIME_ZONE_LINES = (
    "BEGIN:VTIMEZONE",
    "TZID:Etc/UTC",
    "BEGIN:STANDARD",
    "DTSTART:19700101T000000",
    "TZOFFSETFROM:+0000",
    "TZOFFSETTO:+0000",
    "END:STANDARD",
    "END:VTIMEZONE",
)


def build_domain_calendar(
    gaps: Iterable[tuple[str, Gap]], translator: Translator, now: datetime
) -> bytes:
    """Return a calendar with one day for each of these gaps, given with the association's name."""
    calendar_name = translator.translate("Domain names to renew")
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//presence-auditor//domains//EN",
        "METHOD:PUBLISH",
        f"X-WR-CALNAME:{_escape(calendar_name)}",
        *TIME_ZONE_LINES,
    ]
    for association_name, gap in gaps:
        lines += _iter_event_lines(association_name, gap, translator, now)
    lines.append("END:VCALENDAR")
    return b"".join(_fold(line) for line in lines)


def _iter_event_lines(
    association_name: str, gap: Gap, translator: Translator, now: datetime
) -> Iterator[str]:
    text = translator.describe_gap(gap.code, gap.channel, gap.severity, gap.params)
    description = "\n".join((text.evidence, *text.steps))
    domain = str(gap.params.get("domain", gap.subject))
    # A domain without a date was found as lost.
    expiry = gap.params.get("expires_on") or gap.params.get("expired_on")
    day = date.fromisoformat(str(expiry)) if expiry else (gap.opened_at or now).date()
    # The id stays the same as long as the association has the domain.
    digest = sha256(f"{gap.association}\n{domain}".encode()).hexdigest()
    summary = translator.translate(
        "Renew {domain} ({association})", domain=domain, association=association_name
    )
    yield from (
        "BEGIN:VEVENT",
        f"UID:{digest[:32]}@presence-auditor",
        f"DTSTAMP:{now.astimezone(UTC):%Y%m%dT%H%M%SZ}",
        f"DTSTART;VALUE=DATE:{day:%Y%m%d}",
        f"DTEND;VALUE=DATE:{day + timedelta(days=1):%Y%m%d}",
        f"SUMMARY:{_escape(summary)}",
        f"DESCRIPTION:{_escape(description)}",
        "TRANSP:TRANSPARENT",
    )
    for trigger in ALARM_TRIGGERS:
        yield from (
            "BEGIN:VALARM",
            "ACTION:DISPLAY",
            f"TRIGGER:{trigger}",
            f"DESCRIPTION:{_escape(summary)}",
            "END:VALARM",
        )
    yield "END:VEVENT"


def _escape(text: str) -> str:
    """Return a text value: RFC 5545 §3.3.11."""
    escaped = text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return "\\n".join(escaped.splitlines())


def _fold(line: str) -> bytes:
    """Return a content line of at most 75 bytes per line; no character is split (§3.1)."""
    lines, current = [], b""
    for character in line:
        encoded = character.encode()
        if len(current) + len(encoded) > MAX_LINE_BYTES:
            lines.append(current)
            current = b" "
        current += encoded
    return b"\r\n".join([*lines, current]) + b"\r\n"
