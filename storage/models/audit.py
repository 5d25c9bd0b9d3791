"""The nouns of remembering: plain, frozen, free of SQL. `Store` takes and gives these and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from probes.models.finding import (
    Activity,
    FactValue,
    Finding,
    FoundLink,
    Identity,
    Presence,
    Reason,
)

SEVERITIES = ("urgent", "high", "medium", "low", "info")
"""How grave a gap may be, the gravest first."""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A registered link: what was typed in which column, whom it names, and when the sheet listed it.

    `id` is None until stored. `withdrawn_at` is set when a re-import no longer lists it: it is kept
    and reported, and only `--prune` removes it.
    """

    association: str
    typed_text: str
    identity: Identity
    column: str = ""
    id: int | None = None
    added_at: datetime | None = None
    withdrawn_at: datetime | None = None

    @property
    def channel(self) -> str:
        """The channel that owns the link."""
        return self.identity.channel


@dataclass(frozen=True, slots=True)
class Association:
    """One organisation of the network. `id` is the coordinator's own key, stable over imports.

    `none_by_choice` lists the channels the association decided not to have; `language` is a code of the
    words (`ar`, `fr`, `en`); `name` is the one to show where its own language's is not given. `reached` tells
    by which of `REACHES` it can be reached, as far as the store was asked, and never the address or number.
    """

    id: str
    name: str
    name_ar: str | None = None
    name_fr: str | None = None
    region: str | None = None
    city: str | None = None
    language: str = "ar"
    tags: tuple[str, ...] = ()
    none_by_choice: tuple[str, ...] = ()
    contact_methods: frozenset[str] = field(default=frozenset(), compare=False)

    def display_name(self, language: str) -> str:
        """The name in a language, or the one we have."""
        return {"ar": self.name_ar, "fr": self.name_fr}.get(language) or self.name


CONTACT_METHODS = ("email", "phone")
"""The ways of a contact by which somebody is reached."""


@dataclass(frozen=True, slots=True)
class Contact:
    """How the people of an association are reached, who runs its channels, and what was noted of them.

    Kept apart from the association, read only where somebody is written to or called, and erased alone.
    """

    email: str | None = None
    phone: str | None = None
    media_officer: str | None = None
    note: str | None = None

    def __bool__(self) -> bool:
        return any(getattr(self, one.name) for one in fields(self))


EMPTY_CONTACT = Contact()
CONTACT_FIELDS = tuple(one.name for one in fields(Contact))
ASSOCIATION_FIELDS = tuple(
    one.name for one in fields(Association) if one.name not in {"id", "contact_methods"}
)
RegistryValue = str | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class AssociationEntry:
    """An association with its contact: its whole entry in the registry, as a sheet has it."""

    association: Association
    contact: Contact = EMPTY_CONTACT

    @property
    def id(self) -> str:
        """The association's."""
        return self.association.id

    @property
    def name(self) -> str:
        """The association's."""
        return self.association.name

    def get_value(self, field_name: str) -> RegistryValue:
        """What stands in a column of its entry."""
        fact: RegistryValue = getattr(
            self.contact if field_name in CONTACT_FIELDS else self.association, field_name
        )
        return fact

    def replace_values(self, values: Mapping[str, RegistryValue]) -> AssociationEntry:
        """The same entry with other facts, by their columns."""
        of_people: dict[str, Any] = {
            name: fact for name, fact in values.items() if name in CONTACT_FIELDS
        }
        others: dict[str, Any] = {
            name: fact for name, fact in values.items() if name not in of_people
        }
        return AssociationEntry(
            replace(self.association, **others), replace(self.contact, **of_people)
        )


class AuditRunState(StrEnum):
    """Where a night stands. `skipped`: we had no connectivity, nothing was concluded."""

    RUNNING = "running"
    DONE = "done"
    INCOMPLETE = "incomplete"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class AuditRun:
    """One look at every account. `day` (UTC) is its name and unique; `blind` lists distrusted channels."""

    day: date
    state: AuditRunState
    started_at: datetime
    finished_at: datetime | None = None
    unreliable_channels: tuple[str, ...] = ()
    receipt: Mapping[str, object] = field(default_factory=dict)
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """One exchange of a look: what was asked, what came, and its body's digest in the archive (if kept).

    `withheld` says that a body came and is not kept, for it shows private people.
    Of one that was `thinned` only the question, the answer's status and the digest are left.
    `registered` says that the registered link itself was asked for, `came` is the digest of the body as it
    came, where another one is kept. A `fleeting` one came from who writes each answer anew, as platforms do:
    its bytes tell no look from another.
    """

    url: str
    status: int | None
    final_url: str | None
    reason: Reason | None = None
    digest: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    hops: tuple[tuple[str, int], ...] = ()
    detail: str = ""
    truncated: bool = False
    insecure: bool = False
    elapsed_seconds: float = 0.0
    certificate_expires: date | None = None
    fetched_at: datetime | None = None
    is_withheld: bool = False
    is_pruned: bool = False
    is_registered_link: bool = False
    received_digest: str | None = None
    is_volatile: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """A finding with its account, night, moment, probe version and evidence. Append-only.

    `same_as` is the look that it repeats: what was found and what shows it, kept once for as long as it stays
    the same. The store gives it with every observation and finds it by itself for one that has none. An
    observation with one says "as before": its own finding and evidence are not read when it is recorded, so
    `replace(earlier, night_id=…, observed_at=…)` is all that a night needs of an account whose page is known
    to be the one of then. It must be a look at the same account; one may not say so where the finding was
    counted from the moment (a page that tells of "three hours ago"), because a rebuild plays the page of then
    as it was read when the look was first seen.

    `since` is when that was, `as_before` says that this observation only repeats it, and `times` which facts
    that differ each night it has of its own (`storage.observations.rows`). The store tells them, and
    keeps the last.
    """

    account_id: int
    run_id: int
    observed_at: datetime
    finding: Finding
    evidence: tuple[Evidence, ...] = ()
    probe_version: int = 1
    result_id: int | None = field(default=None, compare=False)
    first_observed_at: datetime | None = field(default=None, compare=False)
    is_repeat: bool = field(default=False, compare=False)
    per_run_values: str | None = field(default=None, compare=False)

    @property
    def key(self) -> tuple[int, int]:
        """What tells it from every other: its night and its account."""
        return self.run_id, self.account_id


class PreviousObservation(NamedTuple):
    """An earlier look that a night may repeat: its number, when it was first seen, its pages' digests."""

    result_id: int
    first_observed_at: datetime
    body_digests: tuple[str, ...]


class LastObservation(NamedTuple):
    """An earlier look, and the day of the night that it belongs to: it may have come after midnight."""

    run_day: date
    observation: Observation


class AccountState(StrEnum):
    """What we hold true of an account, folded from observations and decisions."""

    UNKNOWN = "unknown"
    PRESENT = "present"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Streak:
    """Decided nights in a row that said the same: the cause, since when, the last one, how many."""

    cause: str
    since: datetime
    latest_at: datetime
    run_count: int = 1


class CheckTimes(NamedTuple):
    """When an account was last looked at, and when that last decided: what each night moves in a standing."""

    account_id: int
    checked_at: datetime | None
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """What is held true of one account.

    `state` moves only as `[confirm]` says. `reason` and `since` belong to `state`. `known` is the last
    decided finding (never an unknown one), `latest` the newest presence and reason. `doubt` is the
    run of contrary decided nights not yet confirmed; `trouble` the run of failures with one cause to
    reach it (health, not absence). `platform_id` is the first one ever seen and never another; `other` is the
    run of nights on which another account answered under the registered name, its cause that one's id.
    """

    account_id: int
    state: AccountState = AccountState.UNKNOWN
    reason: Reason | None = None
    since: datetime | None = None
    checked_at: datetime | None = None
    decided_at: datetime | None = None
    latest_presence: Presence | None = None
    latest_reason: Reason | None = None
    last_known_finding: Finding | None = None
    last_activity: Activity | None = None
    platform_id: str | None = None
    unconfirmed_streak: Streak | None = None
    failure_streak: Streak | None = None
    other_account_streak: Streak | None = None

    @property
    def check_times(self) -> CheckTimes:
        """What each night moves in it."""
        return CheckTimes(self.account_id, self.checked_at, self.decided_at)


class DecisionKind(StrEnum):
    """What a person may decide of an account or channel."""

    CONFIRM = "confirm"
    NONE_BY_CHOICE = "none_by_choice"
    CLAIM = "claim"
    DISOWN = "disown"
    MOVED = "moved"
    WAIVE = "waive"


@dataclass(frozen=True, slots=True)
class DecisionWithdrawal:
    """The end of a decision before its time: who took it back, why, and when."""

    author: str
    reason: str
    withdrawn_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's word, with who, why, since when and until when. `code` names the gap that `waive` covers.

    `until` is the moment from which it no longer holds, None for never: the end it was given, or its
    withdrawal. `channel` is empty for the whole association. `value` is what the kind needs besides: the day
    of the last publication a person saw (`attest`), the key of an account nobody registered (`not_ours`), the
    address it moved to (`moved`), the account whose gap is waived (`waive`).
    """

    association: str
    channel: str
    kind: DecisionKind
    author: str
    reason: str
    decided_at: datetime
    expires_at: datetime | None = None
    account_id: int | None = None
    code: str | None = None
    value: str | None = None
    withdrawal: DecisionWithdrawal | None = None
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """An account seen on an association's own site that nobody registered. Proposes, never edits."""

    association: str
    link: FoundLink
    first_seen: datetime
    last_seen: datetime
    run_count: int = 1
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """A rule that holds for a standing, from the first night it held.

    `channel` is empty for a gap of the whole association; `subject` tells two accounts of one channel
    apart (a key, or empty). `nights` counts the decided nights it has held; `opened_at` is None until
    that confirms it; `closed_at` is when it stopped holding. `params` are facts for the sentence, never
    a sentence.
    """

    association: str
    channel: str
    code: str
    severity: str
    first_seen: datetime
    run_count: int = 1
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    subject: str = ""
    params: Mapping[str, FactValue] = field(default_factory=dict)
    evidence: Mapping[str, FactValue] = field(default_factory=dict)
    id: int | None = None
