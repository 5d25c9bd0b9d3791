"""Subscribing to the monthly report of an association: the request, its mail, the confirmation.

Anyone with a report link can type any address. So the address gets one mail first, and nothing else
before its link is confirmed. The answer to a request does not reveal whether the address is
subscribed. The number of these mails is limited: otherwise a stranger could fill a mailbox.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from auditor.config.notifications import Recipient, is_mail_address, normalize_mail_address
from auditor.core.tokens import TOKEN_BYTES, hash_token
from auditor.i18n.translator import Translator
from auditor.notifications.delivery import UNDELIVERED_STATUSES, mask_address
from auditor.notifications.drafts import MONTHLY_KIND
from auditor.notifications.transports import OutgoingMessage, send_message
from auditor.protocols import EvaluationContext
from auditor.rendering.templates import (
    MessageDocument,
    MessageLink,
    render_message,
    shorten_subject,
)
from probes.log import EventLogger
from probes.urls.domains import is_top_level_domain
from probes.urls.normalize import parse_host
from storage.communication.messages import MAX_REQUEST_AGE
from storage.models.audit import Association
from storage.store import Store
from storage.tables.communication import ReportLink, SubscriptionRequest

logger = EventLogger(__name__)

MAX_SUBSCRIBERS_PER_ASSOCIATION = 5
"""Limit for each association: a person with its report link can subscribe any address."""
CONFIRMATION_DAYS = MAX_REQUEST_AGE.days
"""Days for which the link of a mail works. Then its unconfirmed address is deleted."""
MAX_REQUESTS_PER_ADDRESS = 2
"""Mails that an address gets in these days, for all associations, until it confirms one."""
MAX_REQUESTS_PER_ASSOCIATION = 10
"""Mails that are sent for an association in these days, until they are confirmed."""


class SubscriptionOutcome(StrEnum):
    """The answer to a request to subscribe."""

    REQUESTED = "requested"
    INVALID_ADDRESS = "invalid_address"
    TOO_MANY_SUBSCRIBERS = "too_many"
    TOO_MANY_REQUESTS = "too_many_requests"


@dataclass(frozen=True, slots=True)
class ConfirmationRequest:
    """An address that has to confirm the subscription, and the secret token of its link."""

    address: str
    association: str
    token: str


def request_subscription(
    store: Store, address: str, report_link: ReportLink, now: datetime
) -> tuple[SubscriptionOutcome, ConfirmationRequest | None]:
    """Store a request to subscribe. Return the answer, and what to send or None.

    The answer depends on the association alone, not on what is stored about the address. Nothing
    is stored if the report link was revoked in the meantime.
    """
    association = report_link.association
    bare = parse_public_address(address)
    if bare is None:
        return SubscriptionOutcome.INVALID_ADDRESS, None
    subscribers = _list_subscribers(store, association)
    if len(subscribers) >= MAX_SUBSCRIBERS_PER_ASSOCIATION:
        return SubscriptionOutcome.TOO_MANY_SUBSCRIBERS, None
    requests = store.subscription_requests.list_requests(association, now)
    if len(requests) >= MAX_REQUESTS_PER_ASSOCIATION:
        return SubscriptionOutcome.TOO_MANY_REQUESTS, None
    if bare in subscribers:
        return SubscriptionOutcome.REQUESTED, None
    assert report_link.id is not None
    token = secrets.token_urlsafe(TOKEN_BYTES)
    is_stored = store.subscription_requests.add(
        SubscriptionRequest(
            token_hash=hash_token(token),
            address=bare,
            kind=MONTHLY_KIND,
            association=association,
            requested_at=now,
        ),
        report_link_id=report_link.id,
        max_per_address=MAX_REQUESTS_PER_ADDRESS,
        max_per_association=MAX_REQUESTS_PER_ASSOCIATION,
    )
    request = ConfirmationRequest(bare, association, token) if is_stored else None
    return SubscriptionOutcome.REQUESTED, request


def parse_public_address(typed: str) -> str | None:
    """Return a typed mail address in the one form that is counted, or None if it is invalid.

    One domain has many spellings: with a final dot, in wide letters, in Punycode. A domain that
    only this machine or network knows is invalid: a stranger must not write to its local accounts.
    """
    address = normalize_mail_address(typed.strip().removeprefix("mailto:"))
    if not is_mail_address(address):
        return None
    local_part, _, domain = address.rpartition("@")
    host = parse_host(domain)
    if host is None or not is_top_level_domain(host.rpartition(".")[2]):
        return None
    return f"{local_part}@{host}"


def _list_subscribers(store: Store, association: str) -> set[str]:
    subscriptions = store.subscriptions.list_subscriptions(MONTHLY_KIND, association)
    return {subscription.address for subscription in subscriptions if subscription.is_wanted}


def find_requested_association(store: Store, token: str, now: datetime) -> Association | None:
    """Return the association of a link, or None if the link is wrong, used or expired."""
    request = store.subscription_requests.get(hash_token(token), now)
    return store.registry.get_association(request.association) if request else None


def confirm_subscription(store: Store, token: str, now: datetime) -> bool:
    """Subscribe the address that got the link with this token. A link works once.

    Return False if the link is wrong, used or expired, or the association has enough subscribers.
    """
    return store.subscription_requests.confirm(
        hash_token(token), now, max_subscribers=MAX_SUBSCRIBERS_PER_ASSOCIATION
    )


def send_confirmation_mail(
    context: EvaluationContext, request: ConfirmationRequest, language: str, now: datetime
) -> None:
    """Send the mail with the link. If it was not sent, the request is deleted and can be repeated.

    The reader has the answer already, because the time that sending takes would reveal that the
    address was not subscribed. So an error is only logged.
    """
    config, store = context.config, context.store
    association = store.registry.get_association(request.association)
    if association is None:
        return
    message = build_confirmation_mail(context, association, request, language, now)
    result = send_message(
        message,
        Recipient.model_validate({"to": request.address}),
        config.notify.smtp,
        config.notify.sender,
        config.network.display_name(language),
    )
    if result.status not in UNDELIVERED_STATUSES:
        return
    store.subscription_requests.remove(hash_token(request.token))
    logger.warning(
        "confirmation_delivery_failed",
        "confirmation of a subscription to {recipient} not delivered: {status}",
        recipient=mask_address(request.address),
        status=str(result.status),
    )


def build_confirmation_mail(
    context: EvaluationContext,
    association: Association,
    request: ConfirmationRequest,
    language: str,
    now: datetime,
) -> OutgoingMessage:
    """Return the mail that asks an address to confirm. Pure."""
    config = context.config
    url = f"{config.web.public_url}/{language}/subscriptions/{request.token}"
    name = association.display_name(language)
    network = config.network.display_name(language)

    def build_document(translator: Translator) -> MessageDocument:
        return _build_confirmation_document(name, network, url, translator)

    text, html = render_message(language, build_document)
    subject = Translator(language).translate(
        "Please confirm: monthly report of {association}", association=name
    )
    return OutgoingMessage(
        subject=shorten_subject(subject),
        text=text,
        html=html,
        language=language,
        message_id=f"confirmation.{now:%Y-%m-%d}.{hash_token(request.token)[:24]}",
        sent_at=now,
    )


def _build_confirmation_document(
    association: str, network: str, url: str, translator: Translator
) -> MessageDocument:
    intro = translator.translate(
        "Someone who opened the report of {association} asked {network} to email you this report "
        "once a month.",
        association=association,
        network=network,
    )
    return MessageDocument(
        title=translator.translate("Do you want the monthly report?"),
        intro=(intro,),
        links=(MessageLink(translator.translate("Yes, email me the report"), url),),
        footer=(
            translator.translate_plural(
                "If you did not ask for it, do nothing: you get no report, and we delete your "
                "address after {n} day.",
                "If you did not ask for it, do nothing: you get no report, and we delete your "
                "address after {n} days.",
                CONFIRMATION_DAYS,
            ),
        ),
    )
