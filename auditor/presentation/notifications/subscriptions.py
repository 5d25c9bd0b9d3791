"""Subscriptions to digests and monthly reports: by the operator, or by a person with a report link.

A stranger with a report link can type any address. So the address gets one mail first, nothing else
before its link is confirmed. The answer to a request does not reveal whether the address is
subscribed. The number of these mails is limited: otherwise a stranger could fill a mailbox.

An unsubscribe link in an old mail must still work, so the token of a subscription never changes. It
is computed from a key in the data folder, and the database stores only its hash. If the key is
lost, old links no longer work.
"""

import contextlib
import hmac
import os
import secrets
from base64 import urlsafe_b64encode
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal

from auditor.app import App
from auditor.config.notifications import Recipient, normalize_mail_address
from auditor.config.schema import Config
from auditor.config.validators import is_mail_address
from auditor.core.errors import ConfigError, InputError
from auditor.core.formatting import TOKEN_BYTES, hash_token
from auditor.core.i18n.translator import Translator
from auditor.core.rendering.templates import MessageDocument, render_message, shorten_subject
from auditor.presentation.notifications.digest import DIGEST_KIND, MONTHLY_KIND
from auditor.presentation.notifications.transports import (
    UNDELIVERED_STATUSES,
    OutgoingMessage,
    mask_address,
    send_message,
)
from probes.links.domains import is_top_level_domain
from probes.links.normalize import parse_host
from probes.log import EventLogger
from storage.errors import explain_file_error
from storage.models.audit import Association
from storage.models.users import MAX_SUBSCRIPTION_REQUEST_AGE
from storage.store import Store
from storage.tables.communication import ReportLink, Subscription, SubscriptionRequest

logger = EventLogger(__name__)

MAX_SUBSCRIBERS_PER_ASSOCIATION = 5
"""Limit for each association: a person with its report link can subscribe any address."""
CONFIRMATION_DAYS = MAX_SUBSCRIPTION_REQUEST_AGE.days
"""Days for which the link of a mail works. Then its unconfirmed address is deleted."""
MAX_REQUESTS_PER_ADDRESS = 2
"""Mails that an address gets in these days, for all associations, until it confirms one."""
MAX_REQUESTS_PER_ASSOCIATION = 10
"""Mails that are sent for an association in these days, until they are confirmed."""
UNSUBSCRIBE_KEY_FILE = "unsubscribe.key"


SubscriptionOutcome = Literal["requested", "invalid_address", "too_many", "too_many_requests"]
"""The answer to a request to subscribe."""


def save_subscription(
    store: Store, config: Config, address: str, association: str, *, wanted: bool, now: datetime
) -> None:
    """Store whether an address wants the digest, or the monthly report of an association.

    Raises InputError if the address is invalid, the association does not exist, or the address
    would get a digest but is not in the configuration, which alone decides who gets one.
    """
    bare = normalize_mail_address(address.removeprefix("mailto:"))
    if not is_mail_address(bare):
        raise InputError(address, "this is not a mail address", "name@example.org")
    if association and store.registry.get_association(association) is None:
        raise InputError(association, "no association has this id", "`auditor report` lists them")
    recipient_keys = {recipient.key for recipient in config.notify.recipients}
    if wanted and not association and bare not in recipient_keys:
        remedy = "add it to [[notify.recipients]], or name an --association"
        raise InputError(address, "the configuration does not list it for the digest", remedy)
    kind = MONTHLY_KIND if association else DIGEST_KIND
    existing = store.subscriptions.get(bare, kind, association)
    store.subscriptions.save(
        Subscription(
            address=bare,
            kind=kind,
            is_wanted=wanted,
            changed_at=now,
            association=association,
            token_hash=existing.token_hash if existing else None,
        )
    )


def load_unsubscribe_key(folder: Path) -> bytes:
    """Return the key. Create it first if there is none. Raises ConfigError.

    The file is created atomically and is readable by its owner only. If two processes create it at
    the same time, the key of the first is used.
    """
    path = folder / UNSUBSCRIBE_KEY_FILE
    try:
        if not path.exists():
            new_file = path.with_name(f"{UNSUBSCRIBE_KEY_FILE}.{secrets.token_hex(4)}")
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(new_file, flags, 0o600), "wb") as file:
                file.write(secrets.token_bytes(32))
            with contextlib.suppress(FileExistsError):
                os.link(new_file, path)
            new_file.unlink()
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot use the key file {path}", *explain_file_error(error)) from None


def ensure_unsubscribe_token(store: Store, key: bytes, subscription: Subscription) -> str:
    """Return the token of a subscription and store its hash. A new subscription is stored, too."""
    identity = subscription.address, subscription.kind, subscription.association
    digest = hmac.digest(key, "\n".join(identity).encode(), "sha256")
    token = urlsafe_b64encode(digest[:24]).decode()
    subscription.token_hash = hash_token(token)
    store.subscriptions.save_token_hash(subscription)
    return token


def request_subscription(
    store: Store, address: str, report_link: ReportLink, now: datetime
) -> tuple[SubscriptionOutcome, str]:
    """Store a request to subscribe. Return the answer, and the token to send by mail, or "".

    The answer depends on the association alone, not on what is stored about the address. Nothing
    is stored if the report link was revoked in the meantime.
    """
    association = report_link.association
    bare = parse_public_address(address)
    if bare is None:
        return "invalid_address", ""
    subscriptions = store.subscriptions.list_subscriptions(MONTHLY_KIND, association)
    subscribers = {item.address for item in subscriptions if item.is_wanted}
    if len(subscribers) >= MAX_SUBSCRIBERS_PER_ASSOCIATION:
        return "too_many", ""
    requests = store.subscription_requests.list_requests(association, now)
    if len(requests) >= MAX_REQUESTS_PER_ASSOCIATION:
        return "too_many_requests", ""
    if bare in subscribers:
        return "requested", ""
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
    return "requested", token if is_stored else ""


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


def send_confirmation_mail(context: App, token: str, language: str, now: datetime) -> None:
    """Send the mail with the link. If it was not sent, the request is deleted and can be repeated.

    The reader has the answer already, because the time that sending takes would reveal that the
    address was not subscribed. So an error is only logged.
    """
    config, requests = context.config, context.store.subscription_requests
    association = find_requested_association(context.store, token, now)
    request = requests.get(hash_token(token), now)
    if association is None or request is None:  # erased or revoked in the meantime
        return
    status, _ = send_message(
        build_confirmation_mail(context, association, token, language, now),
        Recipient.model_validate({"to": request.address}),
        config.notify.smtp,
        config.notify.sender,
        config.network.display_name(language),
    )
    if status in UNDELIVERED_STATUSES:
        requests.remove(request.token_hash)
        logger.warning(
            "confirmation_delivery_failed",
            "confirmation of a subscription to {recipient} not delivered: {status}",
            recipient=mask_address(request.address),
            status=str(status),
        )


def build_confirmation_mail(
    context: App, association: Association, token: str, language: str, now: datetime
) -> OutgoingMessage:
    """Return the mail that asks an address to confirm. Pure."""
    config = context.config
    url = f"{config.web.public_url}/{language}/subscriptions/{token}"
    name = association.display_name(language)
    network = config.network.display_name(language)
    text, html = render_message(language, partial(_build_confirmation_document, name, network, url))
    subject = Translator(language).translate(
        "Please confirm: monthly report of {association}", association=name
    )
    return OutgoingMessage(
        subject=shorten_subject(subject),
        text=text,
        html=html,
        language=language,
        message_id=f"confirmation.{now:%Y-%m-%d}.{hash_token(token)[:24]}",
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
        links=((translator.translate("Yes, email me the report"), url),),
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
