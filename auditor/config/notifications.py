"""Settings of messages: the tables `[notify]` and `[monitor]`."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from auditor.config.loader import SettingsTable
from auditor.config.validators import (
    WebAddress,
    is_mail_address,
    is_web_address,
    require,
    validate_host,
)


class Recipient(SettingsTable):
    """A recipient of the digest: a mail address, or the secret URL of another service (Apprise).

    `regions` limits the digest to these regions; empty means all.
    """

    secrets = ("to",)
    to: SecretStr
    to_file: Path | None = None
    language: Literal["ar", "fr", "en"] | None = None
    regions: frozenset[str] = frozenset()

    @field_validator("to")
    @classmethod
    def _validate_address(cls, to: SecretStr) -> SecretStr:
        text = to.get_secret_value()
        if "://" not in text and not is_mail_address(text.removeprefix("mailto:")):
            raise ValueError("neither a mail address nor the URL of a service")
        return to

    @property
    def address(self) -> str | None:
        """Return the mail address, or None for another service."""
        text = self.to.get_secret_value()
        return None if "://" in text else text.removeprefix("mailto:")

    @property
    def key(self) -> str:
        """Return a name without secrets for the database and messages.

        It is the mail address, or the kind of the service and a digest of its URL.
        """
        if self.address is not None:
            return normalize_mail_address(self.address)
        scheme, _, rest = self.to.get_secret_value().partition("://")
        return f"{scheme.lower()}:{hashlib.sha256(rest.encode()).hexdigest()[:16]}"


class SmtpSettings(SettingsTable):
    """The mail server. `tls` encrypts from the first byte; `starttls` before the login."""

    secrets = ("password",)
    host: Annotated[str, AfterValidator(lambda host: host and validate_host(host))] = ""
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    timeout_seconds: float = Field(default=20.0, ge=0.1, le=300)

    @model_validator(mode="after")
    def _validate_credentials(self) -> SmtpSettings:
        if bool(self.user) != bool(self.password):
            raise ValueError("incomplete credentials; try: set both user and password_file")
        if self.password and self.security == "none":
            raise ValueError(
                "the password would be sent unencrypted; try: security = starttls or tls"
            )
        return self


class NotifySettings(SettingsTable):
    """Recipients and sender of the digest; `pages_url` is where recipients open our pages."""

    sender: str = Field(default="", alias="from")
    pages_url: WebAddress = ""
    smtp: SmtpSettings = SmtpSettings()
    recipients: tuple[Recipient, ...] = ()

    @model_validator(mode="after")
    def _validate_recipients(self) -> NotifySettings:
        if any(recipient.address for recipient in self.recipients) and not self.can_mail:
            raise ValueError("mail has no sender or server; try: set from and [notify.smtp] host")
        for key, count in Counter(recipient.key for recipient in self.recipients).items():
            if count > 1:
                raise ValueError(f"{key} is listed twice; try: one table with all its regions")
        return self

    @property
    def can_mail(self) -> bool:
        """Return True if a mail server and a sender are set."""
        return bool(self.smtp.host) and is_mail_address(self.sender)


class MonitorSettings(SettingsTable):
    """The monitor that is pinged at the start and end of a run, and alerts if no ping arrives.

    `proxy` is for the ping only: `[fetch] proxy` is not used, because a monitor is often local.
    """

    secrets = ("ping_url",)
    ping_url: SecretStr | None = None
    ping_url_file: Path | None = None
    proxy: Annotated[
        str,
        require(
            lambda url: is_web_address(url) and urlsplit(url).hostname,
            "not the address of a proxy",
            "http://proxy.example:3128",
        ),
    ] = ""
    kind: Literal["healthchecks", "push"] = "healthchecks"

    @field_validator("ping_url")
    @classmethod
    def _validate_ping_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not is_web_address(url.get_secret_value()):
            raise ValueError("not a web address; try: https://…")
        return url


def normalize_mail_address(address: str) -> str:
    """Return a mail address for comparison: in practice no mail system distinguishes case."""
    return address.casefold()
