"""The configuration: one TOML file that environment variables override.

The file is `--config`, else `$AUDITOR_CONFIG`, else `./config.toml`, else the packaged example. A
table in the file replaces the table of that name in the example. A missing setting has the default
of its model. `AUDITOR_FETCH__PROXY=…` overrides `[fetch] proxy`. Secrets come from the environment
or from files of their own. Any error refuses the whole configuration.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from auditor.config.loader import (
    ENV_PREFIX,
    SettingsTable,
    apply_overrides,
    build_config_error,
    merge_tables,
    read_env_overrides,
    read_toml_tables,
    refuse_secrets,
    resolve_paths,
    suggest_nearest,
)
from auditor.config.notifications import MonitorSettings, NotifySettings
from auditor.config.validators import Host, IpNetwork, WebAddress, is_mail_address, require
from auditor.core.errors import ConfigError
from auditor.core.formatting import build_whatsapp_url, normalize_phone
from auditor.core.reference.gap_catalogue import load_gap_catalogue
from auditor.rules.account_status import MAX_DAYS, ActivityBands, ConfirmationThresholds
from auditor.rules.engine import AnyRule
from probes.http.settings import FetchOptions
from probes.links import channel_registry
from storage.models.audit import choose_name

MIN_MESSAGE_RETENTION_DAYS = 62
"""Minimum retention of sent messages, so that no monthly message is sent twice."""

Percentage = Annotated[float, Field(ge=0, le=100)]

SITE_URL_PATTERN = re.compile(r"https?://[^/\s?#@]+/?", re.IGNORECASE)
MIN_TOKEN_CHARACTERS = 16
"""Minimum length of a token that cannot be guessed over the network."""
PACKAGE_FOLDER = Path(__file__).resolve().parents[1]


Language = Literal["ar", "fr", "en"]
CONTROL_CHARACTER_PATTERN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
INTERNATIONAL_NUMBER_PATTERN = re.compile(r"\+[1-9][0-9 ().-]*")


def is_international_number(number: str) -> bool:
    """Return True for a telephone number with its country code."""
    has_country_code = INTERNATIONAL_NUMBER_PATTERN.fullmatch(number) is not None
    return has_country_code and normalize_phone(number) is not None


def is_time_zone(name: str) -> bool:
    """Return True for the name of a time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


NetworkName = Annotated[
    str,  # no mail could have another text as its sender
    require(
        lambda name: not CONTROL_CHARACTER_PATTERN.search(name),
        "a name has no line breaks and control characters",
        "one line of text",
    ),
]
PhoneNumber = Annotated[
    str,
    StringConstraints(strip_whitespace=True),
    require(
        is_international_number,
        "{value} is not a telephone number with its country code",
        '"+212 537 00 00 00"',
    ),
]
TimeZone = Annotated[
    str,
    Field(min_length=1),
    require(is_time_zone, "no time zone is called {value}", "a name such as Africa/Casablanca"),
]
SiteUrl = Annotated[
    str,
    require(
        SITE_URL_PATTERN.fullmatch,
        "{value} is not the address of a site",
        "https://reports.example.org",
    ),
    AfterValidator(lambda url: url.rstrip("/")),
]


class NetworkSettings(SettingsTable):
    """Names, default language and time zone of the network, and the contact of its coordinators.

    The three contacts are shown to associations. An empty one is left out.
    """

    name: NetworkName = "Our network"
    name_ar: NetworkName | None = None
    name_fr: NetworkName | None = None
    language: Language = "ar"
    time_zone: TimeZone = "Africa/Casablanca"
    contact_phone: PhoneNumber = ""
    contact_whatsapp: PhoneNumber = ""
    contact_email: Annotated[
        str, require(is_mail_address, "{value} is not a mail address", '"coordination@example.org"')
    ] = ""

    def display_name(self, language: str) -> str:
        """Return the name in a language, or the default name."""
        return choose_name(language, self.name, self.name_ar, self.name_fr)

    @property
    def has_contact(self) -> bool:
        """Return True if associations can reach the coordination team in at least one way."""
        return bool(self.contact_phone or self.contact_whatsapp or self.contact_email)

    def build_contact_whatsapp_url(self, text: str = "") -> str:
        """Return the WhatsApp link to the coordination team, or "" without a number.

        `text` is what the message begins with.
        """
        return build_whatsapp_url(self.contact_whatsapp, text) or ""


class BackupSettings(SettingsTable):
    """Folder and number of the backups, and whether a finished run creates one."""

    folder: Path = Path("backups")
    max_count: int = Field(default=7, ge=1, le=10_000)
    after_run: bool = True


class RetentionSettings(SettingsTable):
    """Days for which data is kept; 0 keeps it for ever. Findings are never deleted.

    `contacts` counts from the day an association left the spreadsheet, `report_links` from their
    expiry, `replies` from their answer, `subscriptions` from their end.
    """

    bodies: int = Field(default=180, ge=0, le=MAX_DAYS)
    backups: int = Field(default=90, ge=0, le=MAX_DAYS)
    contacts: int = Field(default=365, ge=0, le=MAX_DAYS)
    report_links: int = Field(default=180, ge=0, le=MAX_DAYS)
    replies: int = Field(default=730, ge=0, le=MAX_DAYS)
    follow_ups: int = Field(default=1095, ge=0, le=MAX_DAYS)
    subscriptions: int = Field(default=365, ge=0, le=MAX_DAYS)
    messages: int = Field(default=400, ge=MIN_MESSAGE_RETENTION_DAYS, le=MAX_DAYS)
    audit_log: int = Field(default=1095, ge=0, le=MAX_DAYS)


class ClusterSettings(SettingsTable):
    """Runs on several machines, over PostgreSQL.

    A worker processes `concurrent_jobs` jobs at a time and reports every `heartbeat_seconds`.
    If it does not report for `stalled_after_seconds`, its jobs go to another worker.
    """

    enabled: bool = False
    concurrent_jobs: int = Field(default=10, ge=1, le=200)
    heartbeat_seconds: float = Field(default=10, ge=0.1, le=600)
    stalled_after_seconds: float = Field(default=60, ge=0.1, le=3600)

    @model_validator(mode="after")
    def _validate_stalled_after(self) -> ClusterSettings:
        if self.stalled_after_seconds < 2 * self.heartbeat_seconds:
            raise ValueError(
                "stalled_after_seconds is less than twice heartbeat_seconds; try: three times"
                " heartbeat_seconds"
            )
        return self


class StorageSettings(SettingsTable):
    """The data folder and the database URL.

    If less than `min_free_bytes` is free on the disk of the folder, no run starts. One check of an
    account stores at most `max_check_bytes` of compressed pages.
    """

    secrets = ("url",)
    folder: Path = Path("data")
    url: str = ""
    url_file: Path | None = None
    min_free_bytes: int = Field(default=256 << 20, ge=0, le=1 << 50)
    max_check_bytes: int = Field(default=1 << 20, ge=0, le=1 << 30)

    @model_validator(mode="before")
    @classmethod
    def _fill_database_url(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("url") or values.get("url_file"):
            return values
        return {**values, "url": f"sqlite:///{values.get('folder', 'data')}/auditor.db"}

    @property
    def evidence_folder(self) -> Path:
        """The folder of the stored pages."""
        return self.folder / "archive"


class ChannelSettings(SettingsTable):
    """A channel: whether it is audited, its canaries, and the key and budget of its API.

    With a key, only the API is requested. `api_budget` is the maximum cost of a run, in the unit of
    the API; None means the default of the API.
    """

    secrets = ("api_key",)
    enabled: bool = True
    canaries: tuple[str, ...] = ()
    impossible_account: str | None = None
    api_key: SecretStr | None = None
    api_key_file: Path | None = None
    api_budget: float | None = Field(default=None, ge=0, le=10_000_000)


def drop_disabled_channels(
    channels: Mapping[str, ChannelSettings],
) -> Mapping[str, ChannelSettings]:
    """Return the channels that are audited."""
    return {name: channel for name, channel in channels.items() if channel.enabled}


class SurveySettings(SettingsTable):
    """Results of a survey in percent of associations, which pages show next to the coverage.

    Each page also says what the survey was, and that the two do not measure the same thing.
    """

    figures: Mapping[str, Percentage] = Field(default_factory=dict)


class ExampleSettings(SettingsTable):
    """An institution whose account on a channel is an example if no association has one."""

    channel: str
    name: str = Field(min_length=1, max_length=200)
    url: WebAddress

    def display_name(self, _language: str) -> str:
        """Return the name, which is the same in each language."""
        return self.name


class ScheduleSettings(SettingsTable):
    """The UTC time at which `auditor serve` starts a run, and how long it catches up a missed one.

    After `time_limit_hours` a run begins no further account; 0 means no limit. Checks in progress
    may take `shutdown_grace_seconds` when the service is stopped.
    """

    start_time: time = time(0, 30)
    catch_up_hours: float = Field(default=6, ge=0.01, le=24)
    time_limit_hours: float = Field(default=6, ge=0, le=24)
    shutdown_grace_seconds: float = Field(default=5, ge=0, le=600)


class DomainExpirySettings(SettingsTable):
    """Requests to registries about the expiry of domains: on or off, and how often."""

    enabled: bool = True
    check_every_days: int = Field(default=7, ge=1, le=21)


class ReportSettings(SettingsTable):
    """Folder and languages of the report pages."""

    folder: Path = Path("reports")
    languages: tuple[Language, ...] = ("ar", "fr", "en")


class LogSettings(SettingsTable):
    """Format and lowest level of the log on standard error."""

    format: Literal["line", "json"] = "line"
    level: Literal["debug", "info", "warning", "error"] = "warning"


class WebSettings(SettingsTable):
    """Address and host names of the pages, and the public address of the reports."""

    secrets = ("metrics_token",)
    host: Host = "127.0.0.1"
    port: int = Field(default=8321, ge=0, le=65535)
    allowed_hosts: tuple[Host, ...] = ()
    public_url: SiteUrl = ""
    trusted_proxies: tuple[IpNetwork, ...] = ()
    max_connections: int = Field(default=400, ge=16, le=10_000)
    metrics_token: SecretStr | None = None
    metrics_token_file: Path | None = None

    @field_validator("metrics_token")
    @classmethod
    def _validate_token_length(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and len(token.get_secret_value()) < MIN_TOKEN_CHARACTERS:
            raise ValueError(
                f"the token has fewer than {MIN_TOKEN_CHARACTERS} characters; try: openssl rand"
                " -hex 32"
            )
        return token


class ReportLinkSettings(SettingsTable):
    """Days for which a report link is valid."""

    valid_days: int = Field(default=90, ge=1, le=3660)


class Config(SettingsTable):
    """All settings. They are read once; each part of the program receives the tables it needs."""

    network: NetworkSettings = NetworkSettings()
    storage: StorageSettings = Field(default_factory=lambda: StorageSettings.model_validate({}))
    fetch: FetchOptions = FetchOptions()
    channels: Annotated[Mapping[str, ChannelSettings], AfterValidator(drop_disabled_channels)] = (
        Field(default_factory=dict)
    )
    confirm: ConfirmationThresholds = ConfirmationThresholds()
    activity: ActivityBands = ActivityBands()
    survey: SurveySettings = SurveySettings()
    examples: tuple[ExampleSettings, ...] = ()
    schedule: ScheduleSettings = ScheduleSettings()
    domain_expiry: DomainExpirySettings = DomainExpirySettings()
    report: ReportSettings = ReportSettings()
    log: LogSettings = LogSettings()
    web: WebSettings = WebSettings()
    report_links: ReportLinkSettings = ReportLinkSettings()
    notify: NotifySettings = NotifySettings()
    monitor: MonitorSettings = MonitorSettings()
    backup: BackupSettings = BackupSettings()
    retention: RetentionSettings = RetentionSettings()
    cluster: ClusterSettings = ClusterSettings()
    rules: tuple[AnyRule, ...] = ()

    @model_validator(mode="after")
    def _validate_cluster_database(self) -> Config:
        if self.cluster.enabled and not self.storage.url.startswith("postgresql"):
            raise ValueError(
                "a cluster needs a PostgreSQL database; try: [storage] url of a PostgreSQL server"
            )
        return self

    @property
    def unaudited_channels(self) -> list[str]:
        """The known channels that are not audited."""
        return [name for name in channel_registry.list_channel_names() if name not in self.channels]

    @property
    def unmixed_channels(self) -> tuple[str, ...]:
        """The channels whose activity is not in the score, because their API's terms forbid it."""
        with_key = (name for name, channel in self.channels.items() if channel.api_key is not None)
        apis = {name: channel_registry.get_channel_api(name) for name in with_key}
        return tuple(name for name, api in apis.items() if api and not api.allows_mixed_scores)


def load_config(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """Load the configuration of a file and the environment. Raises ConfigError, one line."""
    tables = read_toml_tables(find_packaged_config())
    origin, folder = "the packaged config.toml", Path()
    if file := find_config_file(path, environ):
        own_tables = read_toml_tables(file)
        origin, folder = str(file), file.parent
        refuse_secrets(own_tables, origin)
        own_tables["channels"] = merge_tables(tables["channels"], own_tables.get("channels", {}))
        tables |= own_tables
    resolve_paths(tables, folder)
    overrides = read_env_overrides(environ)
    try:
        tables = apply_overrides(tables, overrides)
        config = Config.model_validate(tables)
    except ValidationError as error:
        variables = {setting: ENV_PREFIX + "__".join(setting).upper() for setting in overrides}
        raise build_config_error(error, Config, origin, variables) from None
    _refuse_unknown_names(config, tables["channels"], origin)
    for name, channel in config.channels.items():
        if channel.api_key and channel_registry.get_channel_api(name) is None:
            place, remedy = f"channels.{name}.api_key", "remove the key, also from the environment"
            raise ConfigError(f"{origin}: {place}", "this channel has no API", remedy)
    return config


def _refuse_unknown_names(config: Config, channels: Iterable[str], origin: str) -> None:
    """Raise ConfigError if a table or rule names a channel or a gap that does not exist.

    `channels` are the names of all tables of channels, of those that are not enabled, too.
    """
    known_channels = channel_registry.list_channel_names()
    names_by_place = {"channels.{}": [*channels], "survey.figures.{}": [*config.survey.figures]}
    for number, example in enumerate(config.examples, 1):
        names_by_place[f"examples[{number}].channel"] = [example.channel]
    known_codes = load_gap_catalogue().definitions
    for number, rule in enumerate(config.rules, 1):
        if rule.code not in known_codes:
            remedy = suggest_nearest(rule.code, known_codes)
            reason = f'no gap is called "{rule.code}"'
            raise ConfigError(f"{origin}: rules[{number}]", reason, remedy)
        names_by_place[f"rules[{number}].channels"] = [*rule.channels]
    for place, names in names_by_place.items():
        for name in names:
            if name not in known_channels:
                remedy = suggest_nearest(
                    name, known_channels, f"one of {', '.join(known_channels)}"
                )
                reason = f'no channel is called "{name}"'
                raise ConfigError(f"{origin}: {place.format(name)}", reason, remedy)


def find_config_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the file to read, or None for the packaged example."""
    if named_path := path or environ.get("AUDITOR_CONFIG"):
        return Path(named_path)
    file = Path("config.toml")
    return file if file.exists() else None


def find_packaged_config() -> Path:
    """Return the documented example: in the wheel, or at the top of the source tree."""
    in_wheel = PACKAGE_FOLDER / "config.toml"
    return in_wheel if in_wheel.is_file() else PACKAGE_FOLDER.parent / "config.toml"


def find_unused_variables(environ: Mapping[str, str]) -> list[str]:
    """Return the AUDITOR_… variables that set nothing, which are probably misspelt."""
    other_variables = {"AUDITOR_CONFIG", "AUDITOR_DEBUG"}
    return sorted(
        name
        for name in environ
        if name.startswith(ENV_PREFIX) and "__" not in name and name not in other_variables
    )
