"""Decides that a check found nothing new, so that its observation repeats a stored result.

These are the reasons, in the order in which they are tried. The first ones cost least:

1. The server confirms that its page is not modified (304), or fails as before.
2. The body is equal.
3. The body is equal except for tokens (`probes/parsing/volatile_tokens.py`).
4. The result is equal: finding and evidence have the same fingerprint
   (`storage/observations/comparison.py`).

The first three are tried for each page of a website, before it is parsed
(`probes.runner.run.revalidate`). `UnchangedResults` selects the result to compare with. The fourth
is tried for all other checks. Pages of platforms differ in each response and are stored only for a
new result, so it is asked for theirs before they are stored. For all other results the store
compares while it records them. See docs/decisions/0047.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256

from auditor.evidence import rebuild_answer
from probes.channels import website
from probes.links import channel_registry
from probes.models.finding import Presence
from probes.models.http import Page, PageRequest
from probes.runner.run import CachedExchange, PreviousResult
from storage.errors import DamagedEvidenceError, MissingEvidenceError
from storage.files.body_store import BodyStore
from storage.models.audit import AccountRow, Evidence, LastObservation, Observation
from storage.observations.observations import ObservationRepository

FULL_CHECK_EVERY_DAYS = 28
"""A site is checked completely after this number of runs, even if nothing changed.

Pages of platforms are stored again then, so that removed content does not stay for ever.
"""

EMPTY_BODY_DIGEST = sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class UnchangedResults:
    """Finds the stored results that the checks of a day may repeat."""

    observations: ObservationRepository
    body_store: BodyStore
    day: date

    def find_previous_result(
        self, row: AccountRow, last_observation: LastObservation | None, probe_version: int
    ) -> PreviousResult | None:
        """Return the previous result of an account if its pages can be compared today, or None.

        `probe_version` is the current version of the probe.
        """
        if last_observation is None:
            return None
        observation = last_observation.observation
        if observation.probe_version != probe_version or not can_be_revalidated(row, self.day):
            return None
        if not is_recent_enough(row, last_observation.run_day, self.day):
            return None
        if not _is_complete(observation.evidence) or not _is_still_valid(observation, self.day):
            return None
        if not _matches_registered_link(row, observation):
            return None
        exchanges = tuple(map(_to_cached_exchange, observation.evidence))
        return PreviousResult(observation.finding, exchanges, self._read_body)

    def find_equal_result_id(self, row: AccountRow, observation: Observation) -> int | None:
        """Return the id of the result that equals an observation of a platform, or None.

        Its bodies must still be stored, and have been so for less than four weeks.
        """
        previous = self.observations.find_equal_result(observation)
        if previous is None:
            return None
        first_day = previous.first_observed_at.date()
        if previous.body_digests and not is_recent_enough(row, first_day, self.day):
            return None
        has_bodies = all(map(self.body_store.__contains__, previous.body_digests))
        return previous.result_id if has_bodies else None

    def _read_body(self, digest: str) -> bytes | None:
        try:
            return self.body_store.get(digest)
        except (MissingEvidenceError, DamagedEvidenceError):
            return None


def can_be_revalidated(row: AccountRow, day: date) -> bool:
    """Return True if it is a website and today is not the day of its complete check."""
    return row.channel == channel_registry.WEBSITE_CHANNEL and _days_since_full_check(row, day) > 0


def is_recent_enough(row: AccountRow, since: date, day: date) -> bool:
    """Return True if no complete check was due for an account since a day."""
    return _days_since_full_check(row, day) >= (day - since).days


def _days_since_full_check(row: AccountRow, day: date) -> int:
    return ((row.id or 0) + day.toordinal()) % FULL_CHECK_EVERY_DAYS


def _matches_registered_link(row: AccountRow, observation: Observation) -> bool:
    """Return True if the result is of the link as it is registered now.

    A link may be corrected and still name the same site. Before a page is called gone, the link is
    requested exactly as registered.
    """
    if observation.evidence[0].url != website.get_registered_url(row.identity, row.typed_text):
        return False
    finding = observation.finding
    if finding.presence is Presence.PRESENT and "redirected_home" not in finding.facts:
        return True
    requested_urls: set[str | None] = set()
    for exchange in observation.evidence:
        if exchange.is_registered_link:
            requested_urls |= {exchange.url, exchange.final_url}
    return website.build_uncleaned_url(row.typed_text, requested_urls=requested_urls) is None


def _is_still_valid(observation: Observation, day: date) -> bool:
    """Return True if a result means the same today and its pages are its own.

    The monthly decoy test (`decoy_tested_on`) and announced future dates are valid on their own
    days only.
    """
    finding = observation.finding
    if finding.presence is Presence.UNKNOWN or "decoy_tested_on" in finding.facts:
        return False
    valid_until = finding.facts.get("valid_until")
    return not isinstance(valid_until, str) or day < date.fromisoformat(valid_until)


def _is_complete(evidence: Sequence[Evidence]) -> bool:
    """Return True if all requests and responses of the result are stored."""
    if not evidence or not evidence[0].is_registered_link:
        return False
    return not any(exchange.is_pruned or exchange.is_cut for exchange in evidence)


def _to_cached_exchange(evidence: Evidence) -> CachedExchange:
    request = PageRequest(
        evidence.url, is_registered_link=evidence.is_registered_link, insecure=evidence.insecure
    )
    digest_without_body = "" if evidence.is_withheld else EMPTY_BODY_DIGEST
    digest = evidence.received_digest or evidence.digest or digest_without_body
    outcome = rebuild_answer(evidence, digest=digest)
    is_body_stored = evidence.received_digest is None and bool(evidence.digest)
    return CachedExchange(request, outcome, has_body=isinstance(outcome, Page) and is_body_stored)
