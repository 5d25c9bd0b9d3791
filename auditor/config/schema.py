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
    PREFIX,
    laid_over,
    near,
    overrides_of,
    read,
    refuse_secrets,
    rooted,
    secret_in,
    told,
)
from auditor.config.notifications import Monitor, Notify
from auditor.core.errors import ConfigError
from auditor.reference.gap_catalogue import catalogue
from auditor.rules.account_status import Bands, Confirm
from auditor.rules.engine import Rule
from probes.http.fetcher import FetchOptions
from probes.links import channel_registry

MONTH = 62
"""The fewest days that messages are remembered: a monthly one must not go twice."""


class Backup(BaseModel):
    """Where copies of the database go, how many are kept, and whether a concluded night ends with one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path = Path("backups")
    keep: int = Field(default=7, ge=1)
    nightly: bool = True


class Keep(BaseModel):
    """For how many days what nothing rests on is kept, and what people left behind; 0 is for ever.

    What was found is always kept. `contacts` counts from the day an association left the sheet, `letters`
    from their end, `replies` from their answer, `subscriptions` from when they were ended.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bodies: int = Field(default=180, ge=0)
    exchanges: int = Field(default=400, ge=0)
    backups: int = Field(default=90, ge=0)
    contacts: int = Field(default=365, ge=0)
    letters: int = Field(default=180, ge=0)
    replies: int = Field(default=730, ge=0)
    follow_ups: int = Field(default=1095, ge=0)
    subscriptions: int = Field(default=365, ge=0)
    sent: int = Field(default=400, ge=MONTH)
    trail: int = Field(default=1095, ge=0)

    @model_validator(mode="after")
    def _bodies_go_first(self) -> Keep:
        if self.exchanges and (not self.bodies or self.exchanges < self.bodies):
            raise ValueError("bodies must go before the exchanges that brought them: bodies <= exchanges")
        return self


class Cluster(BaseModel):
    """Whether `auditor worker`s do the night, over PostgreSQL, and how they share it.

    A worker is at `jobs` jobs at once and is heard of every `heartbeat` seconds; what one is at that was not
    heard of for `stalled_after` seconds is given to another. `wave` jobs wait in the queue at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = False
    jobs: int = Field(default=10, ge=1, le=200)
    heartbeat: float = Field(default=10, gt=0, le=600)
    stalled_after: float = Field(default=60, gt=0, le=3600)
    wave: int = Field(default=2000, ge=1, le=10_000)

    @model_validator(mode="after")
    def _outlasts_the_heartbeat(self) -> Cluster:
        if self.stalled_after < 2 * self.heartbeat:
            told = {"near": "three times the heartbeat"}
            raise PydanticCustomError("nameless", "stalled_after is less than two heartbeats", told)
        return self


ADDRESS = re.compile(r"https?://[^/\s?#@]+/?", re.IGNORECASE)
SHORTEST_TOKEN = 16
"""Characters of a token that cannot be guessed over the network."""
HERE = Path(__file__).resolve().parents[1]

Language = Literal["ar", "fr", "en"]


class Table(BaseModel):
    """A TOML table: frozen, and refusing what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Network(Table):
    """Who is audited: the network's names, the language of its pages, its clock."""

    name: str = "Our network"
    name_ar: str | None = None
    name_fr: str | None = None
    language: Language = "ar"
    zone: str = "Africa/Casablanca"

    def shown(self, language: str) -> str:
        """Its name in a language, or the one we have."""
        return {"ar": self.name_ar, "fr": self.name_fr}.get(language) or self.name

    @field_validator("zone")
    @classmethod
    def _is_known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            told = {"zone": f'"{zone}"', "near": "a name such as Africa/Casablanca"}
            raise PydanticCustomError("nameless", "no time zone is called {zone}", told) from None
        return zone


class Storage(Table):
    """Where everything is remembered: a folder for the archive and the lock, a database by URL.

    With fewer than `min_free` bytes free there no night begins.
    """

    folder: Path = Path("data")
    url: str = ""
    url_file: Path | None = None
    min_free: int = Field(default=256 << 20, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _name_the_database(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("url"):
            return given
        if given.get("url_file"):
            return {**given, "url": secret_in(given["url_file"])}
        return {**given, "url": f"sqlite:///{given.get('folder', 'data')}/auditor.db"}


class ChannelConfig(Table):
    """An audited channel: two accounts known to exist, one that cannot, and the key of its interface if any.

    With a key the interface alone is asked. `budget` is what a night of it may cost, in the interface's
    own unit (probes/<channel>_api.py); None leaves it at what the interface gives.
    """

    canaries: tuple[str, ...] = ()
    impossible: str | None = None
    key: SecretStr | None = None
    key_file: Path | None = None
    budget: float | None = Field(default=None, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _read_the_key(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("key_file") and not given.get("key"):
            return {**given, "key": secret_in(given["key_file"])}
        return given


class Survey(Table):
    """What people said when asked, in percent of associations: the figures coverage stands beside.

    What the survey was, and that the two do not measure the same, is said beside the figures on every page.
    """

    figures: Mapping[str, float] = Field(default_factory=dict)


class Schedule(Table):
    """When `auditor serve` begins the night (UTC), and for how many hours a missed one is still begun.

    `window_hours` after its beginning a night begins no other account (0: it looks at everybody, however long
    that takes); `drain_seconds` is what looks under way may still take when told to stop.
    """

    at: time = time(0, 30)
    grace_hours: float = Field(default=6, gt=0, le=24)
    window_hours: float = Field(default=6, ge=0, le=24)
    drain_seconds: float = Field(default=5, ge=0, le=600)


class Report(Table):
    """Where the pages go and in which languages."""

    folder: Path = Path("reports")
    languages: tuple[Language, ...] = ("ar", "fr", "en")


class Log(Table):
    """How events are told on standard error: lines for a person or JSON, and from which level up."""

    format: Literal["line", "json"] = "line"
    level: Literal["debug", "info", "warning", "error"] = "warning"


class Web(Table):
    """Where `auditor serve` shows its pages, under which names, and the address that letters carry."""

    host: str = "127.0.0.1"
    port: int = Field(default=8321, ge=0, le=65535)
    hosts: tuple[str, ...] = ()
    public_url: str = ""
    trusted_proxies: tuple[str, ...] = ()

    @field_validator("trusted_proxies")
    @classmethod
    def _are_addresses(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for one in given:
            try:
                ip_network(one)
            except ValueError:
                told = {"given": f'"{one}"', "near": "127.0.0.1 or 10.0.0.0/8"}
                raise PydanticCustomError("nameless", "{given} is no address or network", told) from None
        return given

    metrics_token: SecretStr | None = None
    metrics_token_file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_the_token(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("metrics_token_file") and not given.get("metrics_token"):
            return {**given, "metrics_token": secret_in(given["metrics_token_file"])}
        return given

    @field_validator("metrics_token")
    @classmethod
    def _is_long(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and len(token.get_secret_value()) < SHORTEST_TOKEN:
            told = {"least": SHORTEST_TOKEN, "near": "openssl rand -hex 32"}
            raise PydanticCustomError("nameless", "a token has {least} characters at least", told)
        return token

    @field_validator("public_url")
    @classmethod
    def _is_an_address(cls, given: str) -> str:
        if given and not ADDRESS.fullmatch(given):
            told = {"given": f'"{given}"', "near": "https://reports.example.org"}
            raise PydanticCustomError("nameless", "{given} is not the address of a site", told)
        return given.rstrip("/")


class Letters(Table):
    """For how many days an association's link to its report holds."""

    days: int = Field(default=90, ge=1, le=3660)


class Config(Table):
    """Everything that can be set. It is read once and handed down in parts."""

    network: Network = Network()
    storage: Storage = Field(default_factory=lambda: Storage.model_validate({}))
    fetch: FetchOptions = FetchOptions()
    channels: Mapping[str, ChannelConfig] = Field(default_factory=dict)
    confirm: Confirm = Confirm()
    activity: Bands = Bands()
    survey: Survey = Survey()
    schedule: Schedule = Schedule()
    report: Report = Report()
    log: Log = Log()
    web: Web = Web()
    letters: Letters = Letters()
    notify: Notify = Notify()
    monitor: Monitor = Monitor()
    backup: Backup = Backup()
    keep: Keep = Keep()
    cluster: Cluster = Cluster()
    rules: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _share_a_database(self) -> Config:
        if self.cluster.enabled and not self.storage.url.startswith("postgresql"):
            near = "[storage] url with that of a PostgreSQL server"
            raise PydanticCustomError("nameless", "many machines need a database they share", {"near": near})
        return self

    @field_validator("rules")
    @classmethod
    def _have_words(cls, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        known = catalogue().entries
        for number, rule in enumerate(rules, 1):
            if rule.code not in known:
                raise PydanticCustomError(
                    "nameless",
                    "no gap is called {code}",
                    {"code": f'"{rule.code}"', "at": number, "near": near(rule.code, known)},
                )
        return rules


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """Read the configuration. Raises ConfigError, one line of file, place, cause and remedy."""
    environ = os.environ if environ is None else environ
    found = find(path, environ)
    own = read(found) if found else {}
    origin = str(found) if found else "the packaged config.toml"
    refuse_secrets(own, origin)
    tables = rooted({**read(packaged()), **own}, found.parent if found else Path())
    from_environment = overrides_of(environ)
    try:
        config = Config.model_validate(laid_over(tables, from_environment))
    except ValidationError as problem:
        variables = {place: PREFIX + "__".join(place).upper() for place in from_environment}
        raise told(problem, Config, origin, variables) from None
    _refuse_nobody(config, origin)
    _refuse_keys(config, origin)
    return config


def _refuse_nobody(config: Config, origin: str) -> None:
    """Raise ConfigError for a channel that is none: such a table or rule would silently do nothing."""
    named = [(f"channels.{name}", name) for name in config.channels]
    named += [(f"survey.figures.{name}", name) for name in config.survey.figures]
    named += [
        (f"rules[{at}].channels", name) for at, rule in enumerate(config.rules, 1) for name in rule.channels
    ]
    known = sorted(channel_registry.channels())
    for place, name in named:
        if name not in known:
            remedy = near(name, known, f"one of {', '.join(known)}")
            raise ConfigError(f"{origin}: {place}", f'no channel is called "{name}"', remedy)


def _refuse_keys(config: Config, origin: str) -> None:
    """Raise ConfigError for a key that no interface takes: it would silently do nothing."""
    for name, channel in config.channels.items():
        if channel.key and channel_registry.interface(name) is None:
            why = "there is no official interface that takes a key"
            raise ConfigError(f"{origin}: channels.{name}.key", why, "take it away, from the environment too")


def find(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read, or None where there is none and the packaged one serves. Raises ConfigError."""
    if path is None and environ.get("AUDITOR_CONFIG"):
        path = Path(environ["AUDITOR_CONFIG"])
    if path is not None:
        if not path.is_file():
            raise ConfigError(f"{path}", "there is no such file", "`auditor init` writes one")
        return path
    here = Path("config.toml")
    return here if here.is_file() else None


def packaged() -> Path:
    """The documented example that comes with the auditor: in the wheel, or at the top of the source tree."""
    inside = HERE / "config.toml"
    return inside if inside.is_file() else HERE.parent / "config.toml"


def unused(environ: Mapping[str, str]) -> list[str]:
    """The AUDITOR_… variables that set nothing, for `doctor`: a misspelt one is otherwise silent."""
    spoken = {"AUDITOR_CONFIG", "AUDITOR_DEBUG"}
    return sorted(
        name for name in environ if name.startswith(PREFIX) and "__" not in name and name not in spoken
    )
