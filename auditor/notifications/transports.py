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

from auditor.config.notifications import Recipient, Smtp

TROUBLES = (smtplib.SMTPException, OSError, ValueError)


class Fate(StrEnum):
    """What became of a message."""

    SENT = "sent"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message, and the other side's words where there are some."""

    fate: Fate
    why: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message in words: `mark` tells it from every other (a night and a recipient), the same each time.

    `stop` is the address that ends the subscription with one click, empty where there is none.
    """

    subject: str
    text: str
    html: str
    language: str
    mark: str
    at: datetime
    stop: str = ""


def mail(message: Message, sender: str, to: str, name: str = "") -> EmailMessage:
    """The mail: plain text and HTML, the same bytes each time it is made. Raises ValueError."""
    made = EmailMessage(
        policy=SMTP.clone(max_line_length=900)
    )  # shorter ones would be broken within an address
    made["From"] = _address(sender, name)
    made["To"] = _address(to)
    made["Subject"] = message.subject
    made["Date"] = format_datetime(message.at)
    made["Message-ID"] = f"<{message.mark}@{sender.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"
    if message.stop:
        made["List-Unsubscribe"] = f"<{message.stop}>"
        if message.stop.startswith("https:"):  # RFC 8058 has no other
            made["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    made.set_content(message.text, cte="base64")
    made.add_alternative(message.html, subtype="html", cte="base64")
    made["Content-Language"] = message.language  # before, it would have gone into the first part
    made.set_boundary(f"part.{message.mark}")
    return made


def _address(text: str, name: str = "") -> Address:
    local, _, domain = text.rpartition("@")
    try:
        ascii_domain = domain.encode("idna").decode("ascii")
        return Address(" ".join(name.split()), local, ascii_domain)
    except (UnicodeError, HeaderParseError) as trouble:
        raise ValueError(f"{text} is no mail address") from trouble


def by_mail(message: Message, smtp: Smtp, sender: str, to: str, name: str = "") -> Outcome:
    """Hand a mail to the mail server. Raises nothing that the network or the server does."""
    handed = False
    try:
        made = mail(message, sender, to, name)
        with _line(smtp) as line:
            code, said = line.mail(made["From"].addresses[0].addr_spec)
            if code == 250:
                code, said = line.rcpt(made["To"].addresses[0].addr_spec)
            if code in {250, 251}:
                handed = True
                code, said = line.data(made.as_bytes())
    except (smtplib.SMTPAuthenticationError, smtplib.SMTPDataError) as refusal:
        return Outcome(Fate.REFUSED, _said(refusal.smtp_code, refusal.smtp_error))
    except TROUBLES as trouble:
        return Outcome(Fate.UNSURE if handed else Fate.UNREACHABLE, f"{smtp.host}: {_cause(trouble)}")
    return Outcome(Fate.SENT) if code == 250 else Outcome(Fate.REFUSED, _said(code, said))


@contextlib.contextmanager
def _line(smtp: Smtp) -> Iterator[smtplib.SMTP]:
    """A line to the mail server, secure and signed in as configured."""
    context = ssl.create_default_context()
    if smtp.ca_file:
        context.load_verify_locations(smtp.ca_file)
    if smtp.security == "tls":
        line: smtplib.SMTP = smtplib.SMTP_SSL(smtp.host, smtp.port, timeout=smtp.timeout, context=context)
    else:
        line = smtplib.SMTP(smtp.host, smtp.port, timeout=smtp.timeout)
    try:
        line.ehlo_or_helo_if_needed()
        if smtp.security == "starttls":
            line.starttls(context=context)
        if smtp.user and smtp.password:
            line.login(smtp.user, smtp.password.get_secret_value())
        yield line
    finally:
        with contextlib.suppress(*TROUBLES):
            line.quit()
        line.close()


def by_apprise(message: Message, recipient: Recipient) -> Outcome:
    """Send a message by Apprise to the service that the recipient's URL names.

    Apprise reports only success or failure.
    """
    try:
        from apprise import Apprise, AppriseAsset, NotifyFormat  # noqa: PLC0415  # an extra, and slow to load
    except ImportError:
        return Outcome(Fate.REFUSED, "Apprise is not installed; try: pip install 'presence-auditor[chat]'")

    post = Apprise(asset=AppriseAsset(app_id="Presence auditor", app_desc="", app_url="", async_mode=False))
    with _silent("apprise"):
        if not post.add(recipient.to.get_secret_value()):
            return Outcome(Fate.REFUSED, "Apprise knows no such service, or its URL is not whole")
        done = post.notify(body=message.text, title=message.subject, body_format=NotifyFormat.TEXT)
    return Outcome(Fate.SENT) if done else Outcome(Fate.UNREACHABLE, "the service did not take it")


@contextlib.contextmanager
def _silent(name: str) -> Iterator[None]:
    """Keep a library's own log lines out of ours: they name the URL, which is a secret."""
    logger = logging.getLogger(name)
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


def send(message: Message, recipient: Recipient, smtp: Smtp, sender: str, name: str = "") -> Outcome:
    """Send a message the way its recipient's address says. `name` is shown beside the sender's address."""
    if recipient.address is None:
        return by_apprise(message, recipient)
    if not smtp.host:
        return Outcome(Fate.REFUSED, "no mail server is configured; see [notify.smtp]")
    return by_mail(message, smtp, sender, recipient.address, name)


def _cause(trouble: Exception) -> str:
    if isinstance(trouble, smtplib.SMTPResponseException):
        return _said(trouble.smtp_code, trouble.smtp_error)
    return str(trouble) or type(trouble).__name__


def _said(code: int, words: bytes | str) -> str:
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    return f"{code} {' '.join(text.split())}"[:200]
