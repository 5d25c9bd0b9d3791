"""The monthly report of an association to its subscribers: what works, and at most five next steps.

It is sent after the first finished run of a month, in the association's language, and links to the
full report.
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
from storage.models.audit import Association, AuditRun, AuditRunState, Gap
from storage.models.users import Subscription
from storage.store import Store


def draft_monthly_reports(store: Store, config: Config, run: AuditRun) -> Iterator[MessageDraft]:
    """Yield drafts of the monthly reports that are due after a run.

    A subscription made after the first run of a month starts with the next month. A report that
    could not be delivered is due again after the next run.
    """
    if run.state is not AuditRunState.DONE:
        return
    first_run = next(_list_finished_runs_of_month(store, run))
    first_ended_at = first_run.finished_at or first_run.started_at
    for subscription in store.list_subscriptions(MONTHLY_KIND):
        association = store.get_association(subscription.association)
        is_due = subscription.is_wanted and subscription.changed_at <= first_ended_at
        if association and is_due:
            yield _draft_monthly_report(store, config, run, subscription, association)


def _list_finished_runs_of_month(store: Store, run: AuditRun) -> Iterator[AuditRun]:
    """Yield the finished runs since the start of a run's month, oldest first."""
    first_day = run.day.replace(day=1)
    for listed_run in store.list_runs():
        if listed_run.day >= first_day and listed_run.state is AuditRunState.DONE:
            yield listed_run


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
    if skip_reason := find_skip_reason(store, draft):
        return replace(draft, skip_reason=skip_reason)
    view = load_association_view(store, config, association.id)
    if view is None:
        return replace(draft, skip_reason=SkipReason.NOTHING_NEW)

    def build_report_message(links: DraftLinks) -> OutgoingMessage:
        frame = MessageFrame(
            config.network.display_name(draft.language), links.report_url, links.unsubscribe_url
        )
        subject_line = Translator(draft.language).translate(
            "Your monthly report: {association}",
            association=association.display_name(draft.language),
        )
        return build_message(
            draft,
            run,
            subject_line,
            lambda translator: build_monthly_report(view, run, frame, translator),
            links,
        )

    return replace(draft, build_message=build_report_message)


def build_monthly_report(
    view: AssociationView, run: AuditRun, frame: MessageFrame, translator: Translator
) -> MessageDocument:
    """Return the message. `frame.web_url` is the URL of the full report. Pure."""
    name = view.association.display_name(translator.language)
    strengths = describe_strengths(list_strengths(view, run.started_at), translator)
    strength_items = tuple(map(MessageListItem, strengths))
    step_items = tuple(_build_step_item(gap, translator) for gap in view.gaps[:MAX_DETAILED_GAPS])
    sections = (
        MessageSection(translator.label("ui", "strengths"), strength_items),
        MessageSection(translator.label("ui", "todo"), step_items),
    )
    return MessageDocument(
        title=name,
        intro=(
            translator.translate("On {date}", date=run.day),
            translator.label("ui", "not_judgement"),
        ),
        sections=tuple(section for section in sections if section.items),
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


def _build_step_item(gap: Gap, translator: Translator) -> MessageListItem:
    """Return a gap with its first step and the time that it takes."""
    text = translator.describe_gap(gap.code, gap.channel, gap.severity, gap.params)
    effort = translator.format_pair(translator.label("ui", "time"), text.effort)
    return MessageListItem(text.title, (*text.steps[:1], effort))
