"""The monthly report of an association, for those of it who asked: what works, and at most five next steps.

It goes with the first night of a month that is concluded, in the association's language, and leads to its
report.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from auditor.config.notifications import Recipient
from auditor.config.schema import Config
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.network_view import association_view
from auditor.i18n.wording import Wording
from auditor.notifications.digest import Frame
from auditor.notifications.drafts import MONTHLY, Draft, Left, Links, message, why_not
from auditor.notifications.transports import Message
from auditor.rendering.templates import Line, Paper, Part, Way
from auditor.reports.text import FULL, spoken, strengths
from storage.models.audit import Association, Night, NightState
from storage.models.users import Subscription
from storage.store import Store


def monthlies(store: Store, config: Config, night: Night) -> Iterator[Draft]:
    """The monthly reports that are due after a night. Writes nothing.

    Who subscribes in the middle of a month gets the first report with the next month; one that did not go
    is due again after the next night.
    """
    if night.state is not NightState.DONE:
        return
    first = next(_concluded(store, night))
    for wish in store.subscriptions(MONTHLY):
        association = store.association(wish.association)
        if association and wish.wanted and wish.changed_at <= (first.finished_at or first.started_at):
            yield _monthly(store, config, night, wish, association)


def _concluded(store: Store, night: Night) -> Iterator[Night]:
    """The concluded nights of a night's month."""
    month = night.day.replace(day=1)
    return (one for one in store.nights() if one.day >= month and one.state is NightState.DONE)


def _monthly(
    store: Store, config: Config, night: Night, wish: Subscription, association: Association
) -> Draft:
    recipient = Recipient.model_validate({"to": wish.address})
    occasion = f"{night.day:%Y-%m} {association.id}"
    draft = Draft(recipient, MONTHLY, occasion, association.language, association=association.id)
    if left := why_not(store, draft):
        return replace(draft, left=left)
    seen = association_view(store, config, association.id, night.finished_at or night.started_at)
    if seen is None:
        return replace(draft, left=Left.NOTHING)

    def write(links: Links) -> Message:
        frame = Frame(config.network.shown(draft.language), links.report, links.stop)
        said = Wording(draft.language).say(
            "Your monthly report: {association}", association=association.shown(draft.language)
        )
        return message(draft, night, said, lambda words: letter(seen, night, frame, words), links)

    return replace(draft, write=write)


def letter(seen: AssociationView, night: Night, frame: Frame, words: Wording) -> Paper:
    """The report in words. `frame.web` is the address of the whole report. Pure."""
    name = seen.association.shown(words.language)
    good = tuple(Line(said) for said in spoken(strengths(seen, night.started_at), words))
    steps = tuple(_step(seen, number, words) for number in range(min(FULL, len(seen.gaps))))
    parts = ((words.label("ui", "strengths"), good), (words.label("ui", "todo"), steps))
    return Paper(
        title=name,
        begins=(words.say("As of {date}", date=night.day), words.label("ui", "not_judgement")),
        parts=tuple(Part(title, lines) for title, lines in parts if lines),
        ways=(Way(words.say("Read the whole report and answer it"), frame.web),) if frame.web else (),
        small=(
            words.say(
                "You get this because {association} asked {network} for it.",
                association=name,
                network=frame.network,
            ),
        ),
        stop=Way(words.say("No longer receive these messages"), frame.stop) if frame.stop else None,
    )


def _step(seen: AssociationView, number: int, words: Wording) -> Line:
    gap = seen.gaps[number]
    told = words.gap(gap.code, gap.channel, gap.severity, gap.params)
    return Line(told.title, (*told.steps[:1], words.pair(words.label("ui", "time"), told.time)))
