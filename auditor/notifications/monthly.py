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
from auditor.evaluation.network_view import load_association_view
from auditor.i18n.translator import Translator
from auditor.notifications.digest import MessageFrame
from auditor.notifications.drafts import (
    MONTHLY_KIND,
    DraftLinks,
    MessageDraft,
    SkipReason,
    build_message,
    find_skip_reason,
)
from auditor.notifications.transports import OutgoingMessage
from auditor.rendering.templates import (
    MessageDocument,
    MessageLink,
    MessageListItem,
    MessageSection,
)
from auditor.reports.text import MAX_DETAILED_GAPS, describe_strengths, list_strengths
from storage.models.audit import Association, AuditRun, AuditRunState
from storage.models.users import Subscription
from storage.store import Store


def draft_monthly_reports(store: Store, config: Config, run: AuditRun) -> Iterator[MessageDraft]:
    """The monthly reports that are due after a night. Writes nothing.

    Who subscribes in the middle of a month gets the first report with the next month; one that did not go
    is due again after the next night.
    """
    if run.state is not AuditRunState.DONE:
        return
    first = next(_list_finished_runs_of_month(store, run))
    for wish in store.list_subscriptions(MONTHLY_KIND):
        association = store.get_association(wish.association)
        if (
            association
            and wish.is_wanted
            and wish.changed_at <= (first.finished_at or first.started_at)
        ):
            yield _draft_monthly_report(store, config, run, wish, association)


def _list_finished_runs_of_month(store: Store, run: AuditRun) -> Iterator[AuditRun]:
    """The concluded nights of a night's month."""
    month = run.day.replace(day=1)
    return (
        one for one in store.list_runs() if one.day >= month and one.state is AuditRunState.DONE
    )


def _draft_monthly_report(
    store: Store,
    config: Config,
    run: AuditRun,
    subscription: Subscription,
    association: Association,
) -> MessageDraft:
    recipient = Recipient.model_validate({"to": subscription.address})
    occasion = f"{run.day:%Y-%m} {association.id}"
    draft = MessageDraft(
        recipient, MONTHLY_KIND, occasion, association.language, association=association.id
    )
    if left := find_skip_reason(store, draft):
        return replace(draft, skip_reason=left)
    seen = load_association_view(store, config, association.id)
    if seen is None:
        return replace(draft, skip_reason=SkipReason.NOTHING_NEW)

    def write(links: DraftLinks) -> OutgoingMessage:
        frame = MessageFrame(
            config.network.display_name(draft.language), links.report_url, links.unsubscribe_url
        )
        said = Translator(draft.language).translate(
            "Your monthly report: {association}",
            association=association.display_name(draft.language),
        )
        return build_message(
            draft, run, said, lambda words: build_monthly_report(seen, run, frame, words), links
        )

    return replace(draft, build_message=write)


def build_monthly_report(
    view: AssociationView, run: AuditRun, frame: MessageFrame, translator: Translator
) -> MessageDocument:
    """The report in words. `frame.web` is the address of the whole report. Pure."""
    name = view.association.display_name(translator.language)
    good = tuple(
        MessageListItem(said)
        for said in describe_strengths(list_strengths(view, run.started_at), translator)
    )
    steps = tuple(
        _build_step_item(view, number, translator)
        for number in range(min(MAX_DETAILED_GAPS, len(view.gaps)))
    )
    parts = ((translator.label("ui", "strengths"), good), (translator.label("ui", "todo"), steps))
    return MessageDocument(
        title=name,
        intro=(
            translator.translate("On {date}", date=run.day),
            translator.label("ui", "not_judgement"),
        ),
        sections=tuple(MessageSection(title, lines) for title, lines in parts if lines),
        links=(MessageLink(translator.translate("Read the full report and reply"), frame.web_url),)
        if frame.web_url
        else (),
        footer=(
            translator.translate(
                "You get this email because {association} asked {network} for it.",
                association=name,
                network=frame.network_name,
            ),
        ),
        unsubscribe_link=MessageLink(translator.translate("Unsubscribe"), frame.unsubscribe_url)
        if frame.unsubscribe_url
        else None,
    )


def _build_step_item(
    view: AssociationView, gap_index: int, translator: Translator
) -> MessageListItem:
    gap = view.gaps[gap_index]
    told = translator.describe_gap(gap.code, gap.channel, gap.severity, gap.params)
    return MessageListItem(
        told.title,
        (*told.steps[:1], translator.format_pair(translator.label("ui", "time"), told.effort)),
    )
