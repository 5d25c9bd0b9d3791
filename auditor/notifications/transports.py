"""Sends one message to one recipient by SMTP or Apprise and returns the result.

Failures are values, because a recipient that cannot be reached must not stop the others. A message
is sent again only if it was certainly not delivered. If the connection breaks after the text was
handed over, the result is `uncertain`.
"""

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
from pathlib import Path

from auditor.config.notifications import Recipient, SmtpSettings
from storage.errors import build_install_command

DELIVERY_ERRORS = (smtplib.SMTPException, OSError, ValueError)
MAX_ERROR_CHARS = 200
"""Characters of a mail server's reply, or of another error, that are stored with a message."""


class DeliveryStatus(StrEnum):
    """The result of sending a message."""

    SENT = "sent"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """The result of sending a message, with the reply of the server if it refused."""

    status: DeliveryStatus
    reason: str = ""


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
    is_handed_over = False
    try:
        email = build_email(message, sender, recipient_address, sender_name)
        with _connect_smtp(smtp) as connection:
            code, reply = connection.mail(email["From"].addresses[0].addr_spec)
            if code == 250:
                code, reply = connection.rcpt(email["To"].addresses[0].addr_spec)
            if code in {250, 251}:
                is_handed_over = True
                code, reply = connection.data(email.as_bytes())
    except (smtplib.SMTPAuthenticationError, smtplib.SMTPDataError) as refusal:
        return DeliveryResult(
            DeliveryStatus.REFUSED, _format_smtp_reply(refusal.smtp_code, refusal.smtp_error)
        )
    except DELIVERY_ERRORS as error:
        status = DeliveryStatus.UNCERTAIN if is_handed_over else DeliveryStatus.UNREACHABLE
        return DeliveryResult(status, f"{smtp.host}: {_describe_delivery_error(error)}")
    if code == 250:
        return DeliveryResult(DeliveryStatus.SENT)
    return DeliveryResult(DeliveryStatus.REFUSED, _format_smtp_reply(code, reply))


def _load_certificates(context: ssl.SSLContext, file: Path) -> None:
    """Trust the certificates of a file. Raises ValueError with its name, which ssl leaves out."""
    try:
        context.load_verify_locations(file)
    except OSError as error:
        raise ValueError(f"cannot use ca_file {file}: {error}") from error


@contextlib.contextmanager
def _connect_smtp(smtp: SmtpSettings) -> Iterator[smtplib.SMTP]:
    """Connect to the mail server, with TLS and login as configured."""
    context = ssl.create_default_context()
    if smtp.ca_file:
        _load_certificates(context, smtp.ca_file)
    if smtp.security == "tls":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(
            smtp.host, smtp.port, timeout=smtp.timeout_seconds, context=context
        )
    else:
        connection = smtplib.SMTP(smtp.host, smtp.port, timeout=smtp.timeout_seconds)
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

    Apprise reports only success or failure.
    """
    try:
        # An optional dependency, and slow to import.
        from apprise import Apprise, AppriseAsset, NotifyFormat  # noqa: PLC0415
    except ImportError:
        command = build_install_command("presence-auditor[chat]")
        reason = f"Apprise is not installed; try: {command}"
        return DeliveryResult(DeliveryStatus.REFUSED, reason)

    apprise = Apprise(
        asset=AppriseAsset(app_id="Presence auditor", app_desc="", app_url="", async_mode=False)
    )
    with _silence_logger("apprise"):
        if not apprise.add(recipient.to.get_secret_value()):
            return DeliveryResult(
                DeliveryStatus.REFUSED,
                "Apprise does not know this service, or its URL is incomplete",
            )
        is_sent = apprise.notify(
            body=message.text, title=message.subject, body_format=NotifyFormat.TEXT
        )
    if is_sent:
        return DeliveryResult(DeliveryStatus.SENT)
    return DeliveryResult(DeliveryStatus.UNREACHABLE, "the service did not accept the message")


@contextlib.contextmanager
def _silence_logger(logger_name: str) -> Iterator[None]:
    """Disable the logger of a library whose messages contain the URL, which is a secret."""
    logger = logging.getLogger(logger_name)
    was_disabled = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = was_disabled


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
        return DeliveryResult(
            DeliveryStatus.REFUSED, "no mail server is configured; try: set [notify.smtp] host"
        )
    return send_by_mail(message, smtp, sender, recipient.address, sender_name)


def _describe_delivery_error(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return _format_smtp_reply(error.smtp_code, error.smtp_error)
    return (str(error) or type(error).__name__)[:MAX_ERROR_CHARS]


def _format_smtp_reply(code: int, reply: bytes | str) -> str:
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else reply
    return f"{code} {' '.join(text.split())}"[:MAX_ERROR_CHARS]
