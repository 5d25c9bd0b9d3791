"""Settings of messages: the tables `[notify]` and `[monitor]`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from auditor.config.loader import read_secret_file


def _fill_secret_from_file(values: Any, name: str) -> Any:
    """Set the setting `name` from the file in `name_file`, unless it is set."""
    if isinstance(values, dict) and values.get(f"{name}_file") and not values.get(name):
        return {**values, name: read_secret_file(values[f"{name}_file"])}
    return values


class NotificationSettingsTable(BaseModel):
    """Base of these tables: immutable, and unknown settings are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Recipient(NotificationSettingsTable):
    """A recipient of the digest: a mail address, or the secret URL of another service (Apprise).

    `regions` limits the digest to these regions; empty means all.
    """

    to: SecretStr
    to_file: Path | None = None
    language: Literal["ar", "fr", "en"] | None = None
    regions: frozenset[str] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _load_address_file(cls, values: Any) -> Any:
        return _fill_secret_from_file(values, "to")

    @field_validator("to")
    @classmethod
    def _validate_address(cls, to: SecretStr) -> SecretStr:
        if "://" not in to.get_secret_value() and not is_mail_address(_strip_mailto(to)):
            raise ValueError("neither a mail address nor the URL of a service")
        return to

    @property
    def address(self) -> str | None:
        """Return the mail address, or None for another service."""
        return None if "://" in self.to.get_secret_value() else _strip_mailto(self.to)

    @property
    def key(self) -> str:
        """Return a name without secrets for the database and messages.

        It is the mail address, or the kind of the service and a digest of its URL.
        """
        if self.address is not None:
            return normalize_mail_address(self.address)
        scheme, _, rest = self.to.get_secret_value().partition("://")
        return f"{scheme.lower()}:{hashlib.sha256(rest.encode()).hexdigest()[:16]}"


class SmtpSettings(NotificationSettingsTable):
    """The mail server. `tls` encrypts from the first byte; `starttls` before the login."""

    host: str = ""
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    timeout_seconds: float = Field(default=20.0, gt=0, le=300)

    @model_validator(mode="before")
    @classmethod
    def _load_password_file(cls, values: Any) -> Any:
        return _fill_secret_from_file(values, "password")

    @model_validator(mode="after")
    def _validate_credentials(self) -> SmtpSettings:
        if bool(self.user) != bool(self.password):
            raise ValueError("incomplete credentials; try: set both user and password_file")
        if self.password and self.security == "none":
            raise ValueError(
                "the password would be sent unencrypted; try: security = starttls or tls"
            )
        return self


class NotifySettings(NotificationSettingsTable):
    """Recipients and sender of the digest; `pages_url` is where recipients open our pages."""

    sender: str = Field(default="", alias="from")
    pages_url: str = ""
    smtp: SmtpSettings = SmtpSettings()
    recipients: tuple[Recipient, ...] = ()

    @model_validator(mode="after")
    def _validate_recipients(self) -> NotifySettings:
        if any(recipient.address for recipient in self.recipients) and not self.can_mail:
            raise ValueError("mail has no sender or server; try: set from and [notify.smtp] host")
        keys = [recipient.key for recipient in self.recipients]
        duplicate = next((key for key in keys if keys.count(key) > 1), None)
        if duplicate:
            raise ValueError(f"{duplicate} is listed twice; try: one table with all its regions")
        return self

    @field_validator("pages_url")
    @classmethod
    def _validate_pages_url(cls, url: str) -> str:
        if url and urlsplit(url).scheme not in {"http", "https"}:
            raise ValueError("not a web address; try: https://…")
        return url.rstrip("/")

    @property
    def can_mail(self) -> bool:
        """Return True if a mail server and a sender are set."""
        return bool(self.smtp.host) and is_mail_address(self.sender)


class MonitorSettings(NotificationSettingsTable):
    """The monitor that is pinged at the start and end of a run, and alerts if no ping arrives.

    `proxy` is for the ping only: `[fetch] proxy` is not used, because a monitor is often local.
    """

    ping_url: SecretStr | None = None
    ping_url_file: Path | None = None
    proxy: str = ""
    kind: Literal["healthchecks", "push"] = "healthchecks"

    @model_validator(mode="before")
    @classmethod
    def _load_ping_url_file(cls, values: Any) -> Any:
        return _fill_secret_from_file(values, "ping_url")

    @field_validator("ping_url")
    @classmethod
    def _validate_ping_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url and urlsplit(url.get_secret_value()).scheme not in {"http", "https"}:
            raise ValueError("not a web address; try: https://…")
        return url

    @field_validator("proxy")
    @classmethod
    def _validate_proxy(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise ValueError("not the address of a proxy; try: http://proxy.example:3128")
        return url


def is_mail_address(address: str) -> bool:
    """Return True if a text can be a mail address.

    It has one @ between two parts, an ASCII local part, and no spaces or separators.
    """
    local, at_sign, domain = address.rpartition("@")
    if not (local and at_sign and domain):
        return False
    has_separator = any(sign <= " " or sign in '<>,;"()' for sign in address)
    return local.isascii() and "@" not in local and not has_separator


def normalize_mail_address(address: str) -> str:
    """Return a mail address for comparison: in practice no mail system distinguishes case."""
    return address.casefold()


def _strip_mailto(address: SecretStr) -> str:
    return address.get_secret_value().removeprefix("mailto:")
