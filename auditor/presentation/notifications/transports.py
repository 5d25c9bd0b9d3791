"""Sends one message to one recipient by SMTP or Apprise, and pings the monitor of the runs.

Failures are values, because a recipient that cannot be reached must not stop the others. A message
is sent again only if it was certainly not delivered. If the connection breaks after the text was
handed over, the result is `uncertain`.
"""

import contextlib
import logging
import re
import smtplib
import ssl
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Literal
from urllib.parse import quote, urlsplit

import httpx
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from auditor.config.notifications import MonitorSettings, Recipient, SmtpSettings
from auditor.core.formatting import to_single_line
from probes.log import EventLogger
from storage.errors import build_install_command

logger = EventLogger(__name__)

DELIVERY_ERRORS = (smtplib.SMTPException, OSError, ValueError)
MAX_ERROR_CHARS = 200
"""Characters of a mail server's reply, or of another error, that are stored with a message."""


DeliveryStatus = Literal[
    "sent",
    "refused",
    "unreachable",
    "uncertain",
    "failed",
    "nothing_new",
    "already_sent",
    "unsubscribed",
    "would_send",
]
"""The outcome of a message: the result of sending it, or why it was not sent.

`failed` is a message that could not be built: by a bug, or for an invalid address.
"""


UNDELIVERED_STATUSES = frozenset({"refused", "unreachable"})
"""Statuses of messages that were certainly not delivered."""


DeliveryResult = tuple[DeliveryStatus, str]
"""The result of sending a message, with the reply of the server if it refused."""


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


SMTP_OK, SMTP_WILL_FORWARD = 250, 251
"""The server takes the mail; or it takes it for an address that it forwards to."""


def send_by_mail(
    message: OutgoingMessage,
    smtp: SmtpSettings,
    sender: str,
    recipient_address: str,
    sender_name: str = "",
) -> DeliveryResult:
    """Send a mail through the mail server. Errors of network and server become the result."""
    status: DeliveryStatus = "unreachable"
    reply: bytes | str
    try:
        email = build_email(message, sender, recipient_address, sender_name)
        with _connect_smtp(smtp) as connection:
            code, reply = connection.mail(email["From"].addresses[0].addr_spec)
            if code == SMTP_OK:
                code, reply = connection.rcpt(email["To"].addresses[0].addr_spec)
            if code in {SMTP_OK, SMTP_WILL_FORWARD}:
                status = "uncertain"  # the text is handed over
                code, reply = connection.data(email.as_bytes())
    except (smtplib.SMTPAuthenticationError, smtplib.SMTPDataError) as refusal:
        code, reply = refusal.smtp_code, refusal.smtp_error
    except DELIVERY_ERRORS as error:
        return status, _format_smtp_error(smtp, error)
    if code == SMTP_OK:
        return "sent", ""
    return "refused", _format_smtp_reply(code, reply)


def check_mail_server(smtp: SmtpSettings) -> str:
    """Connect and log in to the mail server. Return what failed, or an empty text."""
    try:
        with _connect_smtp(smtp):
            return ""
    except DELIVERY_ERRORS as error:
        return _format_smtp_error(smtp, error)


def _format_smtp_error(smtp: SmtpSettings, error: Exception) -> str:
    reason = str(error) or type(error).__name__
    if isinstance(error, smtplib.SMTPResponseException):
        reason = _format_smtp_reply(error.smtp_code, error.smtp_error)
    return f"{smtp.host}: {reason[:MAX_ERROR_CHARS]}"


def _format_smtp_reply(code: int, reply: bytes | str) -> str:
    text = reply if isinstance(reply, str) else reply.decode(errors="replace")
    return f"{code} {' '.join(text.split())}"[:MAX_ERROR_CHARS]


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
            connection.ehlo()  # after STARTTLS both sides begin anew (RFC 3207)
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
        return "refused", f"Apprise is not installed; try: {command}"

    logging.getLogger("apprise").disabled = True
    apprise = Apprise(
        asset=AppriseAsset(app_id="Presence auditor", app_desc="", app_url="", async_mode=False)
    )
    if not apprise.add(recipient.to.get_secret_value()):
        reason = "Apprise does not know this service, or its URL is incomplete"
        return "refused", reason
    if apprise.notify(body=message.text, title=message.subject, body_format=NotifyFormat.TEXT):
        return "sent", ""
    return "unreachable", "the service did not accept the message"


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
        return "refused", reason
    return send_by_mail(message, smtp, sender, recipient.address, sender_name)


PING_ERRORS = (httpx.HTTPError, httpx.InvalidURL, ValueError)
MAX_LOG_BYTES = 10_000
"""How many bytes of the log are sent with a failure."""


class HealthcheckPing:
    """The pings of one run. `run_id` pairs start and end for the monitor.

    `healthchecks` is the protocol of Healthchecks.io: `/start`, the plain URL on success, `/fail`
    with the last lines of the log, paired by `rid`. `push` is the protocol of Uptime Kuma:
    `?status=up|down&msg=`, and nothing at the start.

    The operator chooses the URL, and it may be in a private network. So it is requested by a plain
    HTTP client with an optional proxy, not by the fetcher with its SSRF guard, which is for links
    that other people typed. The URL is a secret and never shown: with it, one can silence the
    alarm. A failed ping does not stop the run.
    """

    def __init__(self, monitor: MonitorSettings, run_id: str) -> None:
        self._monitor = monitor
        self._run_id = run_id

    def report_start(self) -> None:
        """Report that the run has started. A push monitor has no such ping."""
        if self._monitor.kind != "push":
            self._send("start", "/start")

    def report_success(self, message: str) -> None:
        """Report that the run has finished."""
        self._send("success", "", message)

    def report_failure(self, log_lines: list[str]) -> None:
        """Report that the run did not finish, with the last lines of the log."""
        log_tail = "\n".join(log_lines).encode()[-MAX_LOG_BYTES:].decode(errors="ignore")
        self._send("failure", "/fail", log_tail)

    def _send(self, outcome: str, path_suffix: str, message: str = "") -> None:
        if self._monitor.ping_url is None:
            return
        url, query = self._monitor.ping_url.get_secret_value(), f"rid={self._run_id}"
        if self._monitor.kind == "push":
            # how long the message of a push monitor may be
            last_line = message.rpartition("\n")[2][-200:]
            status = "up" if outcome == "success" else "down"
            path_suffix, query = "", f"status={status}&msg={quote(last_line)}"
        try:
            # Uptime Kuma shows a URL with `status` and `msg`, so those of the setting are removed.
            parts = urlsplit(url)
            params = filter(None, parts.query.split("&"))
            kept = [param for param in params if param.partition("=")[0] not in {"status", "msg"}]
            path, query = parts.path.rstrip("/") + path_suffix, "&".join([*kept, query])
            self._send_request(
                parts._replace(path=path, query=query, fragment="").geturl(), message
            )
        except PING_ERRORS as error:
            # Without the URL, which messages of httpx contain.
            reason = "its URL is invalid" if isinstance(error, ValueError) else type(error).__name__
            if isinstance(error, httpx.HTTPStatusError):
                reason = f"it responded with status {error.response.status_code}"
            logger.warning(
                "healthcheck_ping_failed",
                "cannot report the {outcome} of the run to the monitor: {reason}",
                outcome=outcome,
                reason=reason,
            )

    @retry(
        # attempts to reach the monitor
        stop=stop_after_attempt(2),
        retry=retry_if_exception_type(PING_ERRORS),
        reraise=True,
    )
    def _send_request(self, url: str, message: str) -> None:
        proxy = self._monitor.proxy or None
        with httpx.Client(timeout=10.0, trust_env=False, proxy=proxy) as client:
            if self._monitor.kind == "push":
                response = client.get(url)
            else:
                response = client.post(url, content=message.encode())
            response.raise_for_status()


class RecentWarningsHandler(logging.Handler):
    """Collects the last warnings that are logged, the oldest first."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        # lines of the log that are sent to the monitor
        self.lines: deque[str] = deque(maxlen=100)

    def emit(self, record: logging.LogRecord) -> None:
        """Store the record as one line."""
        self.lines.append(to_single_line(f"{record.levelname}: {record.getMessage()}"))


@contextlib.contextmanager
def capture_recent_warnings() -> Iterator[RecentWarningsHandler]:
    """Collect the last warnings that are logged inside the `with` block."""
    handler = RecentWarningsHandler()
    logging.getLogger().addHandler(handler)
    try:
        yield handler
    finally:
        logging.getLogger().removeHandler(handler)
