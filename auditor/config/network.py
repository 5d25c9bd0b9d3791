"""The table `[network]`: names, language and time zone, and how to reach the coordination team."""

import re
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import field_validator

from auditor.config.loader import SettingsTable, build_setting_error
from auditor.config.notifications import is_mail_address
from auditor.core.phone_numbers import build_whatsapp_url, normalize_phone

Language = Literal["ar", "fr", "en"]

LINE_BREAK_PATTERN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
INTERNATIONAL_NUMBER_PATTERN = re.compile(r"\+[1-9][0-9 ().-]*")


class NetworkSettings(SettingsTable):
    """Names, default language and time zone of the network, and the contact of its coordinators.

    The three contacts are shown to associations. An empty one is left out.
    """

    name: str = "Our network"
    name_ar: str | None = None
    name_fr: str | None = None
    language: Language = "ar"
    time_zone: str = "Africa/Casablanca"
    contact_phone: str = ""
    contact_whatsapp: str = ""
    contact_email: str = ""

    def display_name(self, language: str) -> str:
        """Return the name in a language, or the default name."""
        return {"ar": self.name_ar, "fr": self.name_fr}.get(language) or self.name

    @property
    def has_contact(self) -> bool:
        """Return True if associations can reach the coordination team in at least one way."""
        return bool(self.contact_phone or self.contact_whatsapp or self.contact_email)

    def build_contact_whatsapp_url(self, text: str = "") -> str:
        """Return the WhatsApp link to the coordination team, or "" without a number.

        `text` is what the message begins with.
        """
        return build_whatsapp_url(self.contact_whatsapp, text) or ""

    @field_validator("name", "name_ar", "name_fr")
    @classmethod
    def _validate_name(cls, name: str | None) -> str | None:
        if name and LINE_BREAK_PATTERN.search(name):  # no mail could have it as its sender
            message = "a name has no line breaks and control characters"
            raise build_setting_error(message, "one line of text")
        return name

    @field_validator("contact_phone", "contact_whatsapp")
    @classmethod
    def _validate_number(cls, number: str) -> str:
        has_country_code = INTERNATIONAL_NUMBER_PATTERN.fullmatch(number.strip())
        if number and not (has_country_code and normalize_phone(number)):
            message = "{value} is not a telephone number with its country code"
            raise build_setting_error(message, '"+212 537 00 00 00"', value=f'"{number}"')
        return number.strip()

    @field_validator("contact_email")
    @classmethod
    def _validate_email(cls, address: str) -> str:
        if address and not is_mail_address(address):
            message = "{value} is not a mail address"
            raise build_setting_error(message, '"coordination@example.org"', value=f'"{address}"')
        return address

    @field_validator("time_zone")
    @classmethod
    def _validate_time_zone(cls, time_zone: str) -> str:
        try:
            ZoneInfo(time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            message, remedy = "no time zone is called {zone}", "a name such as Africa/Casablanca"
            raise build_setting_error(message, remedy, zone=f'"{time_zone}"') from None
        return time_zone
