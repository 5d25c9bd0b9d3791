"""Sends one message to one recipient by SMTP or Apprise and returns the result.

Failures are values, because a recipient that cannot be reached must not stop the others. A message
is sent again only if it was certainly not delivered. If the connection breaks after the text was
handed over, the result is `uncertain`.
"""

import contextlib
import logging
import re
import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from enum import StrEnum
from typing import NamedTuple

from auditor.config.notifications import Recipient, SmtpSettings
from storage.errors import build_install_command

DELIVERY_ERRORS = (smtplib.SMTPException, OSError, ValueError)
MAX_ERROR_CHARS = 200
"""Characters of a mail server's reply, or of another error, that are stored with a message."""


class DeliveryStatus(StrEnum):
    """The outcome of a message: the result of sending it, or why it was not sent.

    `failed` is a message that could not be built: by a bug, or for an invalid address.
    """

    SENT = "sent"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    UNCERTAIN = "uncertain"
    FAILED = "failed"
    NOTHING_NEW = "nothing_new"
    ALREADY_SENT = "already_sent"
    UNSUBSCRIBED = "unsubscribed"
    WOULD_SEND = "would_send"


UNDELIVERED_STATUSES = frozenset({DeliveryStatus.REFUSED, DeliveryStatus.UNREACHABLE})
"""Statuses of messages that were certainly not delivered."""


class DeliveryResult(NamedTuple):
    """The result of sending a message, with the reply of the server if it refused."""

    status: DeliveryStatus
    reason: str = ""


def mask_address(recipient: str) -> str:
    """Return a mail address as `a…@example.org`: recognizable for the operator, useless for others.

    Recipients of other services are identified by a hash already and are returned unchanged.
    """
    return re.sub(r"^(.)[^@]*@", r"\1…@", recipient)


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to send.

    `message_id` identifies it by run and recipient and stays the same when it is built again.
    `unsubscribe_url` ends the subscription with one click; it is empty if there is none.
    """

    subject: str
    text: str
    html: str
    language: str
    message_id: str
    sent_at: datetime
    unsubscribe_url: str = ""


def build_email(
    message: OutgoingMessage, sender: str, recipient_address: str, sender_name: str = ""
) -> EmailMessage:
    """Return the mail as plain text and HTML. Raises ValueError for an invalid address.

    The same message always gives the same bytes.
    """
    # The default line length would break long addresses.
    email = EmailMessage(policy=SMTP.clone(max_line_length=900))
    email["From"] = _parse_mail_address(sender, sender_name)
    email["To"] = _parse_mail_address(recipient_address)
    email["Subject"] = message.subject
    email["Date"] = format_datetime(message.sent_at)
    email["Message-ID"] = f"<{message.message_id}@{sender.rpartition('@')[2]}>"
    email["Auto-Submitted"] = "auto-generated"
    if message.unsubscribe_url:
        email["List-Unsubscribe"] = f"<{message.unsubscribe_url}>"
        if message.unsubscribe_url.startswith("https:"):  # RFC 8058 requires HTTPS
            email["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    email.set_content(message.text, cte="base64")
    email.add_alternative(message.html, subtype="html", cte="base64")
    # Set last: add_alternative moves earlier content headers into the first part.
    email["Content-Language"] = message.language
    email.set_boundary(f"part.{message.message_id}")
    return email


def _parse_mail_address(text: str, display_name: str = "") -> Address:
    local, _, domain = text.rpartition("@")
    try:
        ascii_domain = domain.encode("idna").decode("ascii")
        return Address(" ".join(display_name.split()), local, ascii_domain)
    except (UnicodeError, HeaderParseError) as error:
        raise ValueError(f"{text} is not a mail address") from error


def send_by_mail(
    message: OutgoingMessage,
    smtp: SmtpSettings,
    sender: str,
    recipient_address: str,
    sender_name: str = "",
) -> DeliveryResult:
    """Send a mail through the mail server. Errors of network and server become the result."""
    status = DeliveryStatus.UNREACHABLE
    try:
        email = build_email(message, sender, recipient_address, sender_name)
        with _connect_smtp(smtp) as connection:
            code, reply = connection.mail(email["From"].addresses[0].addr_spec)
            if code == 250:
                code, reply = connection.rcpt(email["To"].addresses[0].addr_spec)
            if code in {250, 251}:
                status = DeliveryStatus.UNCERTAIN  # the text is handed over
                code, reply = connection.data(email.as_bytes())
    except (smtplib.SMTPAuthenticationError, smtplib.SMTPDataError) as refusal:
        code, reply = refusal.smtp_code, _to_bytes(refusal.smtp_error)
    except DELIVERY_ERRORS as error:
        reason = str(error) or type(error).__name__
        if isinstance(error, smtplib.SMTPResponseException):
            reason = _format_smtp_reply(error.smtp_code, _to_bytes(error.smtp_error))
        return DeliveryResult(status, f"{smtp.host}: {reason[:MAX_ERROR_CHARS]}")
    if code == 250:
        return DeliveryResult(DeliveryStatus.SENT)
    return DeliveryResult(DeliveryStatus.REFUSED, _format_smtp_reply(code, reply))


def _to_bytes(reply: bytes | str) -> bytes:
    return reply.encode() if isinstance(reply, str) else reply


def _format_smtp_reply(code: int, reply: bytes) -> str:
    return f"{code} {' '.join(reply.decode(errors='replace').split())}"[:MAX_ERROR_CHARS]


@contextlib.contextmanager
def _connect_smtp(smtp: SmtpSettings) -> Iterator[smtplib.SMTP]:
    """Connect to the mail server, with TLS and login as configured."""
    context = ssl.create_default_context()
    if smtp.ca_file:
        try:
            context.load_verify_locations(smtp.ca_file)
        except OSError as error:  # its text leaves out the name of the file
            raise ValueError(f"cannot use ca_file {smtp.ca_file}: {error}") from error
    address, timeout = (smtp.host, smtp.port), smtp.timeout_seconds
    if smtp.security == "tls":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(*address, timeout=timeout, context=context)
    else:
        connection = smtplib.SMTP(*address, timeout=timeout)
    try:
        connection.ehlo_or_helo_if_needed()
        if smtp.security == "starttls":
            connection.starttls(context=context)
        if smtp.user and smtp.password:
            connection.login(smtp.user, smtp.password.get_secret_value())
        yield connection
    finally:
        with contextlib.suppress(*DELIVERY_ERRORS):
            connection.quit()
        connection.close()


def send_by_apprise(message: OutgoingMessage, recipient: Recipient) -> DeliveryResult:
    """Send a message by Apprise to the service that the recipient's URL names.

    Apprise reports only success or failure. Its logger is silenced, because its messages contain
    the URL, which is a secret.
    """
    try:
        # An optional dependency, and slow to import.
        from apprise import Apprise, AppriseAsset, NotifyFormat  # noqa: PLC0415
    except ImportError:
        command = build_install_command("presence-auditor[chat]")
        return DeliveryResult(DeliveryStatus.REFUSED, f"Apprise is not installed; try: {command}")

    logging.getLogger("apprise").disabled = True
    apprise = Apprise(
        asset=AppriseAsset(app_id="Presence auditor", app_desc="", app_url="", async_mode=False)
    )
    if not apprise.add(recipient.to.get_secret_value()):
        reason = "Apprise does not know this service, or its URL is incomplete"
        return DeliveryResult(DeliveryStatus.REFUSED, reason)
    if apprise.notify(body=message.text, title=message.subject, body_format=NotifyFormat.TEXT):
        return DeliveryResult(DeliveryStatus.SENT)
    return DeliveryResult(DeliveryStatus.UNREACHABLE, "the service did not accept the message")


def send_message(
    message: OutgoingMessage,
    recipient: Recipient,
    smtp: SmtpSettings,
    sender: str,
    sender_name: str = "",
) -> DeliveryResult:
    """Send a message by mail, or by Apprise if the recipient is not a mail address.

    Mail programs show `sender_name` before the sender's address.
    """
    if recipient.address is None:
        return send_by_apprise(message, recipient)
    if not smtp.host:
        reason = "no mail server is configured; try: set [notify.smtp] host"
        return DeliveryResult(DeliveryStatus.REFUSED, reason)
    return send_by_mail(message, smtp, sender, recipient.address, sender_name)
