"""Decides that a check found nothing new, so that its observation repeats a stored result.

1. A website sends the same bytes on every page, or says so (304): nothing is parsed
   (`probes.runner.run.revalidate`). `UnchangedResults` selects the result to compare with.
2. A page was read and its finding is equal, so its new bytes are not stored
   (`storage/observations/comparison.py`).

Once in four weeks each account is checked completely and its pages are stored again, so that
removed content does not stay for ever. See docs/decisions/0025-observations-as-narrow-rows.md.
"""

from dataclasses import dataclass
from datetime import date
from operator import attrgetter

from auditor.checking.evidence import rebuild_answer
from probes.channels import website
from probes.links import channel_registry
from probes.models.finding import Presence
from probes.models.http import CacheValidators, Page, PageRequest
from probes.models.probe import HttpExchange
from probes.runner.run import EMPTY_BODY_DIGEST, PreviousResult
from storage.errors import DamagedEvidenceError, MissingEvidenceError
from storage.files.body_store import BodyStore
from storage.models.audit import AccountRow, Evidence, LastObservation, Observation
from storage.observations.observations import ObservationRepository

FULL_CHECK_EVERY_DAYS = 28
"""An account is checked completely after this number of days, even if nothing changed."""


@dataclass(frozen=True, slots=True)
class UnchangedResults:
    """Finds the stored results that the checks of a day may repeat."""

    observations: ObservationRepository
    body_store: BodyStore
    day: date

    def find_previous_result(
        self, row: AccountRow, last_observation: LastObservation | None, probe_version: int
    ) -> PreviousResult | None:
        """Return the previous result of a website if its pages can be compared today, or None.

        `probe_version` is the current version of the probe. A finding that depends on the day, such
        as that of the monthly decoy test, is not repeated.
        """
        if last_observation is None or row.channel != channel_registry.WEBSITE_CHANNEL:
            return None
        run_day, observation = last_observation
        finding, evidence = observation.finding, observation.evidence
        can_repeat = (
            observation.probe_version == probe_version
            and finding.presence is not Presence.UNKNOWN
            and finding.facts.keys().isdisjoint({"depends_on_day", "decoy_tested_on"})
            # no full check is due today, and none was since that run
            and days_since_full_check(row, self.day) >= max(1, (self.day - run_day).days)
            and evidence
            and not any(map(attrgetter("is_cut"), evidence))
            and _matches_registered_link(row, observation)
        )
        if not can_repeat:
            return None
        return PreviousResult(finding, tuple(map(_to_exchange, evidence)), self._read_body)

    def find_equal_result_id(self, row: AccountRow, observation: Observation) -> int | None:
        """Return the id of the result that equals an observation, or None.

        Its bodies must still be stored, and have been so for less than four weeks.
        """
        previous = self.observations.find_equal_result(observation)
        if previous is None:
            return None
        result_id, first_observed_at, digests = previous
        age = (self.day - first_observed_at.date()).days
        if digests and days_since_full_check(row, self.day) < age:
            return None
        return result_id if all(digest in self.body_store for digest in digests) else None

    def _read_body(self, digest: str) -> bytes | None:
        try:
            return self.body_store.get(digest)
        except (MissingEvidenceError, DamagedEvidenceError):
            return None


def days_since_full_check(row: AccountRow, day: date) -> int:
    """Return the days since the last complete check of an account was due; 0 on its day."""
    return (row.id + day.toordinal()) % FULL_CHECK_EVERY_DAYS


def _matches_registered_link(row: AccountRow, observation: Observation) -> bool:
    """Return True if the result is of the link as it is registered now.

    A link may be corrected and still name the same site. Before a page is called gone, the link is
    requested exactly as registered.
    """
    first = observation.evidence[0]
    registered_url = website.get_registered_url(row.identity, row.typed_text)
    if not first.is_registered_link or first.url != registered_url:
        return False
    finding = observation.finding
    if finding.presence is Presence.PRESENT and "redirected_home" not in finding.facts:
        return True
    requested_urls: set[str | None] = set()
    for exchange in observation.evidence:
        if exchange.is_registered_link:
            requested_urls |= {exchange.url, exchange.final_url}
    return website.build_uncleaned_url(row.typed_text, requested_urls=requested_urls) is None


def _to_exchange(evidence: Evidence) -> HttpExchange:
    """Return the request of an evidence, which is conditional if its page is stored."""
    digest_without_body = "" if evidence.is_withheld else EMPTY_BODY_DIGEST
    digest = evidence.received_digest or evidence.digest or digest_without_body
    outcome, validators = rebuild_answer(evidence, digest=digest), None
    # a 304 means that a GET would give 200 (RFC 9110 §15.4.5)
    if isinstance(outcome, Page) and outcome.status == 200 and digest == evidence.digest:
        etag = outcome.headers.get("etag", "")
        last_modified = outcome.headers.get("last-modified", "")
        if etag or last_modified:
            validators = CacheValidators(outcome.url, etag, last_modified)
    request = PageRequest(
        evidence.url,
        is_registered_link=evidence.is_registered_link,
        insecure=evidence.insecure,
        validators=validators,
    )
    return HttpExchange(request, outcome)
