"""The configuration: one TOML file, read whole and refused whole, that environment variables override.

Looked for as `--config`, `$AUDITOR_CONFIG`, `./config.toml`; without any, the packaged example is used.
A table in the file stands in place of the example's table of that name; a key left out of it has the
default of its model. `AUDITOR_FETCH__PROXY=…` overrides `[fetch] proxy`, and so on at any depth.
Secrets come from the environment or from files, never from the configuration file.

How long what is kept is kept: the tables `[backup]` and `[keep]` of the configuration.

How a night is done by many machines. `[cluster]` of the config.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import time
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from auditor.config.loader import (
    ENV_PREFIX,
    apply_overrides,
    build_config_error,
    read_env_overrides,
    read_secret_file,
    read_toml_tables,
    refuse_secrets,
    resolve_paths,
    suggest_nearest,
)
from auditor.config.notifications import MonitorSettings, NotifySettings
from auditor.core.errors import ConfigError
from auditor.reference.gap_catalogue import load_gap_catalogue
from auditor.rules.account_status import ActivityBands, ConfirmationThresholds
from auditor.rules.engine import AnyRule
from probes.http.fetcher import FetchOptions
from probes.links import channel_registry

MIN_MESSAGE_RETENTION_DAYS = 62
"""The fewest days that messages are remembered: a monthly one must not go twice."""


class BackupSettings(BaseModel):
    """Where copies of the database go, how many are kept, and whether a concluded night ends with one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path = Path("backups")
    max_count: int = Field(default=7, ge=1)
    after_run: bool = True


class RetentionSettings(BaseModel):
    """For how many days what nothing rests on is kept, and what people left behind; 0 is for ever.

    What was found is always kept. `contacts` counts from the day an association left the sheet, `letters`
    from their end, `replies` from their answer, `subscriptions` from when they were ended.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bodies: int = Field(default=180, ge=0)
    exchanges: int = Field(default=400, ge=0)
    backups: int = Field(default=90, ge=0)
    contacts: int = Field(default=365, ge=0)
    report_links: int = Field(default=180, ge=0)
    replies: int = Field(default=730, ge=0)
    follow_ups: int = Field(default=1095, ge=0)
    subscriptions: int = Field(default=365, ge=0)
    messages: int = Field(default=400, ge=MIN_MESSAGE_RETENTION_DAYS)
    audit_log: int = Field(default=1095, ge=0)

    @model_validator(mode="after")
    def _validate_order(self) -> RetentionSettings:
        if self.exchanges and (not self.bodies or self.exchanges < self.bodies):
            raise ValueError(
                "bodies must go before the exchanges that brought them: bodies <= exchanges"
            )
        return self


class ClusterSettings(BaseModel):
    """Whether `auditor worker`s do the night, over PostgreSQL, and how they share it.

    A worker is at `jobs` jobs at once and is heard of every `heartbeat` seconds; what one is at that was not
    heard of for `stalled_after` seconds is given to another. `wave` jobs wait in the queue at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = False
    concurrent_jobs: int = Field(default=10, ge=1, le=200)
    heartbeat_seconds: float = Field(default=10, gt=0, le=600)
    stalled_after_seconds: float = Field(default=60, gt=0, le=3600)
    max_queued_jobs: int = Field(default=2000, ge=1, le=10_000)

    @model_validator(mode="after")
    def _validate_stalled_after(self) -> ClusterSettings:
        if self.stalled_after_seconds < 2 * self.heartbeat_seconds:
            told = {"suggestion": "three times heartbeat_seconds"}
            raise PydanticCustomError(
                "setting_error", "stalled_after_seconds is less than twice heartbeat_seconds", told
            )
        return self


SITE_URL_PATTERN = re.compile(r"https?://[^/\s?#@]+/?", re.IGNORECASE)
MIN_TOKEN_CHARACTERS = 16
"""Characters of a token that cannot be guessed over the network."""
PACKAGE_FOLDER = Path(__file__).resolve().parents[1]

Language = Literal["ar", "fr", "en"]


class SettingsTable(BaseModel):
    """A TOML table: frozen, and refusing what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NetworkSettings(SettingsTable):
    """Who is audited: the network's names, the language of its pages, its clock."""

    name: str = "Our network"
    name_ar: str | None = None
    name_fr: str | None = None
    language: Language = "ar"
    time_zone: str = "Africa/Casablanca"

    def display_name(self, language: str) -> str:
        """Its name in a language, or the one we have."""
        return {"ar": self.name_ar, "fr": self.name_fr}.get(language) or self.name

    @field_validator("time_zone")
    @classmethod
    def _validate_time_zone(cls, time_zone: str) -> str:
        try:
            ZoneInfo(time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            told = {"zone": f'"{time_zone}"', "suggestion": "a name such as Africa/Casablanca"}
            raise PydanticCustomError(
                "setting_error", "no time zone is called {zone}", told
            ) from None
        return time_zone


class StorageSettings(SettingsTable):
    """Where everything is remembered: a folder for the archive and the lock, a database by URL.

    With fewer than `min_free` bytes free there no night begins.
    """

    folder: Path = Path("data")
    url: str = ""
    url_file: Path | None = None
    min_free_bytes: int = Field(default=256 << 20, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _fill_database_url(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("url"):
            return values
        if values.get("url_file"):
            return {**values, "url": read_secret_file(values["url_file"])}
        return {**values, "url": f"sqlite:///{values.get('folder', 'data')}/auditor.db"}


class ChannelSettings(SettingsTable):
    """An audited channel: two accounts known to exist, one that cannot, and the key of its interface if any.

    With a key the interface alone is asked. `budget` is what a night of it may cost, in the interface's
    own unit (probes/<channel>_api.py); None leaves it at what the interface gives.
    """

    canaries: tuple[str, ...] = ()
    impossible_account: str | None = None
    api_key: SecretStr | None = None
    api_key_file: Path | None = None
    api_budget: float | None = Field(default=None, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _load_api_key_file(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("api_key_file") and not values.get("api_key"):
            return {**values, "api_key": read_secret_file(values["api_key_file"])}
        return values


class SurveySettings(SettingsTable):
    """What people said when asked, in percent of associations: the figures coverage stands beside.

    What the survey was, and that the two do not measure the same, is said beside the figures on every page.
    """

    figures: Mapping[str, float] = Field(default_factory=dict)


class ScheduleSettings(SettingsTable):
    """When `auditor serve` begins the night (UTC), and for how many hours a missed one is still begun.

    `window_hours` after its beginning a night begins no other account (0: it looks at everybody, however long
    that takes); `drain_seconds` is what looks under way may still take when told to stop.
    """

    start_time: time = time(0, 30)
    catch_up_hours: float = Field(default=6, gt=0, le=24)
    time_limit_hours: float = Field(default=6, ge=0, le=24)
    shutdown_grace_seconds: float = Field(default=5, ge=0, le=600)


class ReportSettings(SettingsTable):
    """Where the pages go and in which languages."""

    folder: Path = Path("reports")
    languages: tuple[Language, ...] = ("ar", "fr", "en")


class LogSettings(SettingsTable):
    """How events are told on standard error: lines for a person or JSON, and from which level up."""

    format: Literal["line", "json"] = "line"
    level: Literal["debug", "info", "warning", "error"] = "warning"


class WebSettings(SettingsTable):
    """Where `auditor serve` shows its pages, under which names, and the address that letters carry."""

    host: str = "127.0.0.1"
    port: int = Field(default=8321, ge=0, le=65535)
    allowed_hosts: tuple[str, ...] = ()
    public_url: str = ""
    trusted_proxies: tuple[str, ...] = ()

    @field_validator("trusted_proxies")
    @classmethod
    def _validate_trusted_proxies(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for one in networks:
            try:
                ip_network(one)
            except ValueError:
                told = {"given": f'"{one}"', "suggestion": "127.0.0.1 or 10.0.0.0/8"}
                raise PydanticCustomError(
                    "setting_error", "{given} is no address or network", told
                ) from None
        return networks

    metrics_token: SecretStr | None = None
    metrics_token_file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _load_metrics_token_file(cls, values: Any) -> Any:
        if (
            isinstance(values, dict)
            and values.get("metrics_token_file")
            and not values.get("metrics_token")
        ):
            return {**values, "metrics_token": read_secret_file(values["metrics_token_file"])}
        return values

    @field_validator("metrics_token")
    @classmethod
    def _validate_token_length(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and len(token.get_secret_value()) < MIN_TOKEN_CHARACTERS:
            told = {"least": MIN_TOKEN_CHARACTERS, "suggestion": "openssl rand -hex 32"}
            raise PydanticCustomError(
                "setting_error", "a token has {least} characters at least", told
            )
        return token

    @field_validator("public_url")
    @classmethod
    def _validate_public_url(cls, url: str) -> str:
        if url and not SITE_URL_PATTERN.fullmatch(url):
            told = {"given": f'"{url}"', "suggestion": "https://reports.example.org"}
            raise PydanticCustomError("setting_error", "{given} is not the address of a site", told)
        return url.rstrip("/")


class ReportLinkSettings(SettingsTable):
    """For how many days an association's link to its report holds."""

    valid_days: int = Field(default=90, ge=1, le=3660)


class Config(SettingsTable):
    """Everything that can be set. It is read once and handed down in parts."""

    network: NetworkSettings = NetworkSettings()
    storage: StorageSettings = Field(default_factory=lambda: StorageSettings.model_validate({}))
    fetch: FetchOptions = FetchOptions()
    channels: Mapping[str, ChannelSettings] = Field(default_factory=dict)
    confirm: ConfirmationThresholds = ConfirmationThresholds()
    activity: ActivityBands = ActivityBands()
    survey: SurveySettings = SurveySettings()
    schedule: ScheduleSettings = ScheduleSettings()
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
            near = "[storage] url with that of a PostgreSQL server"
            raise PydanticCustomError(
                "setting_error", "many machines need a database they share", {"suggestion": near}
            )
        return self

    @field_validator("rules")
    @classmethod
    def _validate_rule_codes(cls, rules: tuple[AnyRule, ...]) -> tuple[AnyRule, ...]:
        known = load_gap_catalogue().definitions
        for number, rule in enumerate(rules, 1):
            if rule.code not in known:
                raise PydanticCustomError(
                    "setting_error",
                    "no gap is called {code}",
                    {
                        "code": f'"{rule.code}"',
                        "number": number,
                        "suggestion": suggest_nearest(rule.code, known),
                    },
                )
        return rules


def load_config(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """Read the configuration. Raises ConfigError, one line of file, place, cause and remedy."""
    environ = os.environ if environ is None else environ
    found = find_config_file(path, environ)
    own = read_toml_tables(found) if found else {}
    origin = str(found) if found else "the packaged config.toml"
    refuse_secrets(own, origin)
    tables = resolve_paths(
        {**read_toml_tables(find_packaged_config()), **own}, found.parent if found else Path()
    )
    from_environment = read_env_overrides(environ)
    try:
        config = Config.model_validate(apply_overrides(tables, from_environment))
    except ValidationError as problem:
        variables = {place: ENV_PREFIX + "__".join(place).upper() for place in from_environment}
        raise build_config_error(problem, Config, origin, variables) from None
    _refuse_unknown_channels(config, origin)
    _refuse_unsupported_api_keys(config, origin)
    return config


def _refuse_unknown_channels(config: Config, origin: str) -> None:
    """Raise ConfigError for a channel that is none: such a table or rule would silently do nothing."""
    named = [(f"channels.{name}", name) for name in config.channels]
    named += [(f"survey.figures.{name}", name) for name in config.survey.figures]
    named += [
        (f"rules[{at}].channels", name)
        for at, rule in enumerate(config.rules, 1)
        for name in rule.channels
    ]
    known = sorted(channel_registry.list_channels())
    for place, name in named:
        if name not in known:
            remedy = suggest_nearest(name, known, f"one of {', '.join(known)}")
            raise ConfigError(f"{origin}: {place}", f'no channel is called "{name}"', remedy)


def _refuse_unsupported_api_keys(config: Config, origin: str) -> None:
    """Raise ConfigError for a key that no interface takes: it would silently do nothing."""
    for name, channel in config.channels.items():
        if channel.api_key and channel_registry.get_channel_api(name) is None:
            why = "there is no official interface that takes a key"
            raise ConfigError(
                f"{origin}: channels.{name}.api_key", why, "take it away, from the environment too"
            )


def find_config_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read, or None where there is none and the packaged one serves. Raises ConfigError."""
    if path is None and environ.get("AUDITOR_CONFIG"):
        path = Path(environ["AUDITOR_CONFIG"])
    if path is not None:
        if not path.is_file():
            raise ConfigError(f"{path}", "there is no such file", "`auditor init` writes one")
        return path
    here = Path("config.toml")
    return here if here.is_file() else None


def find_packaged_config() -> Path:
    """The documented example that comes with the auditor: in the wheel, or at the top of the source tree."""
    inside = PACKAGE_FOLDER / "config.toml"
    return inside if inside.is_file() else PACKAGE_FOLDER.parent / "config.toml"


def find_unused_variables(environ: Mapping[str, str]) -> list[str]:
    """The AUDITOR_… variables that set nothing, for `doctor`: a misspelt one is otherwise silent."""
    spoken = {"AUDITOR_CONFIG", "AUDITOR_DEBUG"}
    return sorted(
        name
        for name in environ
        if name.startswith(ENV_PREFIX) and "__" not in name and name not in spoken
    )
