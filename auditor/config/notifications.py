"""Who is told, and how: the tables `[notify]`, `[monitor]` and `[web]` of the configuration."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from auditor.config.loader import read_secret_file


def _fill_secret_from_file(values: Any, name: str) -> Any:
    if isinstance(values, dict) and values.get(f"{name}_file") and not values.get(name):
        return {**values, name: read_secret_file(values[f"{name}_file"])}
    return values


class NotificationSettingsTable(BaseModel):
    """A table of this module: frozen, and refusing what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Recipient(NotificationSettingsTable):
    """Who gets the digest: a mail address, or the URL of another service (Apprise), which is a secret.

    `regions` are those it hears of; empty for all.
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
            raise ValueError("this is neither a mail address nor a service's URL")
        return to

    @property
    def address(self) -> str | None:
        """The mail address; None for another service."""
        return None if "://" in self.to.get_secret_value() else _strip_mailto(self.to)

    @property
    def key(self) -> str:
        """What it is called in the store and in messages: the address, or the service and a digest."""
        if self.address is not None:
            return normalize_mail_address(self.address)
        scheme, _, rest = self.to.get_secret_value().partition("://")
        return f"{scheme.lower()}:{hashlib.sha256(rest.encode()).hexdigest()[:16]}"


class SmtpSettings(NotificationSettingsTable):
    """The mail server. `tls` makes the line secure from the start, `starttls` before anything is told."""

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
            raise ValueError("a user and a password go together")
        if self.password and self.security == "none":
            raise ValueError(
                "a password is not sent over an open line: security should be starttls or tls"
            )
        return self


class NotifySettings(NotificationSettingsTable):
    """Who gets the digest, from which address; `pages_url` is where its readers reach our pages."""

    sender: str = Field(default="", alias="from")
    pages_url: str = ""
    smtp: SmtpSettings = SmtpSettings()
    recipients: tuple[Recipient, ...] = ()

    @model_validator(mode="after")
    def _validate_recipients(self) -> NotifySettings:
        if any(recipient.address for recipient in self.recipients) and not self.can_mail:
            raise ValueError("mail needs a sender (from) and the host of [notify.smtp]")
        keys = [recipient.key for recipient in self.recipients]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise ValueError(f"{twice} is listed twice: one table holds all its regions")
        return self

    @field_validator("pages_url")
    @classmethod
    def _validate_pages_url(cls, url: str) -> str:
        if url and urlsplit(url).scheme not in {"http", "https"}:
            raise ValueError("pages have an address that begins with https:// or http://")
        return url.rstrip("/")

    @property
    def can_mail(self) -> bool:
        """Whether there is a mail server and an address to write from."""
        return bool(self.smtp.host) and is_mail_address(self.sender)


class MonitorSettings(NotificationSettingsTable):
    """Who is told that the night began and how it ended, and rings when it hears nothing.

    `proxy` is the way there; that of `[fetch]` is not taken, as a monitor is often near.
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
            raise ValueError("a ping goes to an address that begins with https:// or http://")
        return url

    @field_validator("proxy")
    @classmethod
    def _validate_proxy(cls, url: str) -> str:
        if url and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
            raise ValueError("a proxy has an address such as http://proxy.example:3128")
        return url


def is_mail_address(address: str) -> bool:
    """Whether this can be a mail address: one @ between two parts, the first in plain letters, no spaces."""
    local, at, domain = address.rpartition("@")
    odd = any(sign <= " " or sign in '<>,;"()' for sign in address)
    return bool(local and at and domain) and local.isascii() and "@" not in local and not odd


def normalize_mail_address(address: str) -> str:
    """A mail address as it is compared: no mail system of today tells capital letters apart."""
    return address.casefold()


def _strip_mailto(address: SecretStr) -> str:
    return address.get_secret_value().removeprefix("mailto:")
