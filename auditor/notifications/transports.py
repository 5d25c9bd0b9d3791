"""The post: one message to one recipient, by SMTP or by Apprise, and what became of it.

What became of it is a value: a recipient that cannot be reached must not stop the others. Only a message
that surely did not go may be tried again; where the line broke after the text had been handed over, it is
`unsure`.
"""

from __future__ import annotations

import contextlib
import logging
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

from auditor.config.notifications import Recipient, SmtpSettings

DELIVERY_ERRORS = (smtplib.SMTPException, OSError, ValueError)


class DeliveryStatus(StrEnum):
    """What became of a message."""

    SENT = "sent"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    UNCERTAIN = "unsure"


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """What became of a message, and the other side's words where there are some."""

    status: DeliveryStatus
    reason: str = ""


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message in words: `mark` tells it from every other (a night and a recipient), the same each time.

    `stop` is the address that ends the subscription with one click, empty where there is none.
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
    """The mail: plain text and HTML, the same bytes each time it is made. Raises ValueError."""
    made = EmailMessage(
        policy=SMTP.clone(max_line_length=900)
    )  # shorter ones would be broken within an address
    made["From"] = _parse_mail_address(sender, sender_name)
    made["To"] = _parse_mail_address(recipient_address)
    made["Subject"] = message.subject
    made["Date"] = format_datetime(message.sent_at)
    made["Message-ID"] = f"<{message.message_id}@{sender.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"
    if message.unsubscribe_url:
        made["List-Unsubscribe"] = f"<{message.unsubscribe_url}>"
        if message.unsubscribe_url.startswith("https:"):  # RFC 8058 has no other
            made["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    made.set_content(message.text, cte="base64")
    made.add_alternative(message.html, subtype="html", cte="base64")
    made["Content-Language"] = message.language  # before, it would have gone into the first part
    made.set_boundary(f"part.{message.message_id}")
    return made


def _parse_mail_address(text: str, display_name: str = "") -> Address:
    local, _, domain = text.rpartition("@")
    try:
        ascii_domain = domain.encode("idna").decode("ascii")
        return Address(" ".join(display_name.split()), local, ascii_domain)
    except (UnicodeError, HeaderParseError) as trouble:
        raise ValueError(f"{text} is no mail address") from trouble


def send_by_mail(
    message: OutgoingMessage,
    smtp: SmtpSettings,
    sender: str,
    recipient_address: str,
    sender_name: str = "",
) -> DeliveryResult:
    """Hand a mail to the mail server. Raises nothing that the network or the server does."""
    handed = False
    try:
        made = build_email(message, sender, recipient_address, sender_name)
        with _connect_smtp(smtp) as line:
            code, said = line.mail(made["From"].addresses[0].addr_spec)
            if code == 250:
                code, said = line.rcpt(made["To"].addresses[0].addr_spec)
            if code in {250, 251}:
                handed = True
                code, said = line.data(made.as_bytes())
    except (smtplib.SMTPAuthenticationError, smtplib.SMTPDataError) as refusal:
        return DeliveryResult(
            DeliveryStatus.REFUSED, _format_smtp_reply(refusal.smtp_code, refusal.smtp_error)
        )
    except DELIVERY_ERRORS as trouble:
        return DeliveryResult(
            DeliveryStatus.UNCERTAIN if handed else DeliveryStatus.UNREACHABLE,
            f"{smtp.host}: {_describe_delivery_error(trouble)}",
        )
    return (
        DeliveryResult(DeliveryStatus.SENT)
        if code == 250
        else DeliveryResult(DeliveryStatus.REFUSED, _format_smtp_reply(code, said))
    )


@contextlib.contextmanager
def _connect_smtp(smtp: SmtpSettings) -> Iterator[smtplib.SMTP]:
    """A line to the mail server, secure and signed in as configured."""
    context = ssl.create_default_context()
    if smtp.ca_file:
        context.load_verify_locations(smtp.ca_file)
    if smtp.security == "tls":
        line: smtplib.SMTP = smtplib.SMTP_SSL(
            smtp.host, smtp.port, timeout=smtp.timeout_seconds, context=context
        )
    else:
        line = smtplib.SMTP(smtp.host, smtp.port, timeout=smtp.timeout_seconds)
    try:
        line.ehlo_or_helo_if_needed()
        if smtp.security == "starttls":
            line.starttls(context=context)
        if smtp.user and smtp.password:
            line.login(smtp.user, smtp.password.get_secret_value())
        yield line
    finally:
        with contextlib.suppress(*DELIVERY_ERRORS):
            line.quit()
        line.close()


def send_by_apprise(message: OutgoingMessage, recipient: Recipient) -> DeliveryResult:
    """Send a message by Apprise to the service that the recipient's URL names.

    Apprise reports only success or failure.
    """
    try:
        from apprise import Apprise, AppriseAsset, NotifyFormat  # noqa: PLC0415  # an extra, and slow to load
    except ImportError:
        return DeliveryResult(
            DeliveryStatus.REFUSED,
            "Apprise is not installed; try: pip install 'presence-auditor[chat]'",
        )

    post = Apprise(
        asset=AppriseAsset(app_id="Presence auditor", app_desc="", app_url="", async_mode=False)
    )
    with _silence_logger("apprise"):
        if not post.add(recipient.to.get_secret_value()):
            return DeliveryResult(
                DeliveryStatus.REFUSED, "Apprise knows no such service, or its URL is not whole"
            )
        done = post.notify(body=message.text, title=message.subject, body_format=NotifyFormat.TEXT)
    return (
        DeliveryResult(DeliveryStatus.SENT)
        if done
        else DeliveryResult(DeliveryStatus.UNREACHABLE, "the service did not take it")
    )


@contextlib.contextmanager
def _silence_logger(logger_name: str) -> Iterator[None]:
    """Keep a library's own log lines out of ours: they name the URL, which is a secret."""
    logger = logging.getLogger(logger_name)
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


def send_message(
    message: OutgoingMessage,
    recipient: Recipient,
    smtp: SmtpSettings,
    sender: str,
    sender_name: str = "",
) -> DeliveryResult:
    """Send a message the way its recipient's address says. `name` is shown beside the sender's address."""
    if recipient.address is None:
        return send_by_apprise(message, recipient)
    if not smtp.host:
        return DeliveryResult(
            DeliveryStatus.REFUSED, "no mail server is configured; see [notify.smtp]"
        )
    return send_by_mail(message, smtp, sender, recipient.address, sender_name)


def _describe_delivery_error(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return _format_smtp_reply(error.smtp_code, error.smtp_error)
    return str(error) or type(error).__name__


def _format_smtp_reply(code: int, reply: bytes | str) -> str:
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else reply
    return f"{code} {' '.join(text.split())}"[:200]
