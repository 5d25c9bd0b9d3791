"""The calendar of a user (iCalendar, RFC 5545): promises, domains to renew, and workshops.

It is read again and again. So an entry vanishes when a promise is kept or a domain is renewed.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

from icalendar import Alarm, Calendar, Event

from auditor.core.i18n.translator import Translator
from storage.communication.workshops import Workshop
from storage.models.audit import Association, Gap
from storage.tables.communication import FollowUp

DOMAIN_GAP = "website_domain_expiring"
ALARM_TRIGGERS = (timedelta(days=-30), timedelta(days=-7), timedelta(days=-1))
"""When a calendar reminds of a domain, before its day begins."""


def build_calendar(
    promises: Iterable[tuple[Association, FollowUp]],
    domain_gaps: Iterable[tuple[str, Gap]],
    workshops: Iterable[Workshop],
    translator: Translator,
    now: datetime,
) -> bytes:
    """Return a calendar with a day for each promise, each workshop and each domain that ends.

    A domain is given as its gap, with the name of the association.
    """
    calendar = Calendar()
    calendar.add("version", "2.0")
    calendar.add("prodid", "-//presence-auditor//calendar//EN")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", translator.translate("Promises, workshops and domain names"))
    for association, promise in promises:
        name = association.display_name(translator.language)
        title = translator.translate("Promised: {name}", name=name)
        problem = promise.code and translator.gap_title(promise.code, promise.channel, "label")
        text = "\n".join(filter(None, (problem, promise.text)))
        key, day = f"promise\n{promise.id}", promise.due_date or now.date()
        calendar.add_component(_build_event(key, day, title, text, now))
    for association_name, gap in domain_gaps:
        calendar.add_component(_build_domain_event(association_name, gap, translator, now))
    for workshop in workshops:
        title = translator.translate("Workshop: {title}", title=workshop.title)
        key = f"workshop\n{workshop.day}\n{workshop.title}\n{workshop.channel}\n{workshop.code}"
        text = translator.translate("Invited: {count}", count=workshop.invited_count)
        calendar.add_component(_build_event(key, workshop.day, title, text, now))
    return bytes(calendar.to_ical())


def _build_domain_event(
    association_name: str, gap: Gap, translator: Translator, now: datetime
) -> Event:
    text = translator.describe_gap(gap.code, gap.channel, gap.severity, gap.params)
    domain = str(gap.params.get("domain", gap.subject))
    # A domain without a date was found as lost.
    expiry = gap.params.get("expires_on") or gap.params.get("expired_on")
    day = date.fromisoformat(str(expiry)) if expiry else (gap.opened_at or now).date()
    title = translator.translate(
        "Renew {domain} ({association})", domain=domain, association=association_name
    )
    # The id stays the same as long as the association has the domain.
    key, description = f"{gap.association}\n{domain}", "\n".join((text.evidence, *text.steps))
    event = _build_event(key, day, title, description, now)
    for trigger in ALARM_TRIGGERS:
        alarm = Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("trigger", trigger)
        alarm.add("description", title)
        event.add_component(alarm)
    return event


def _build_event(key: str, day: date, title: str, description: str, now: datetime) -> Event:
    """Return an entry of a whole day. `key` makes its id."""
    event = Event()
    event.add("uid", f"{sha256(key.encode()).hexdigest()[:32]}@presence-auditor")
    event.add("dtstamp", now.astimezone(UTC))
    event.add("dtstart", day)
    event.add("dtend", day + timedelta(days=1))
    event.add("summary", title)
    event.add("description", description)
    event.add("transp", "TRANSPARENT")
    return event
