"""Classification of a website's page: the site itself, or a page that replaces it.

A fingerprint recognizes the page of a service word for word and is enough for a verdict. A
statement ("account suspended") is one signal and needs a second one, because associations write the
same words about bridges and schools. The page model, a linear model, is such a signal and decides
nothing alone. A page that only the model objects to is a suspicion, which needs a signal from
outside of the page. docs/explanations/verdicts.md describes the rules.
"""

import re
from dataclasses import dataclass

from probes.classify import interstitials, page_model, soft_404, spam
from probes.classify.fingerprints import ABSENCE_REASONS, find_fingerprint, load_fingerprint_index
from probes.classify.interstitials import MIN_NAVIGATION_LINKS
from probes.classify.page_model import (
    PagePrediction,
    Statement,
    find_statements,
    load_keyword_index,
)
from probes.models.finding import Reason
from probes.models.http import Page
from probes.parsing.html import Document

MIN_REPLACEMENT_PROBABILITIES = {"title": 0.25, "heading": 0.35, "text": 0.5}
"""The page model confirms a statement in this place from this probability on."""
MIN_GENERAL_PROBABILITY = 0.35
"""Below this probability, a sentence that associations also write is ignored."""
MIN_ABSENCE_PROBABILITY = 0.005
"""Below this probability, no fingerprint makes a page absent (decision 0024)."""
MIN_LIKELY_PROBABILITY = 0.5
MIN_SUSPICION_PROBABILITY = 0.8
"""An absence with this probability is a suspicion although the page does not state it."""
_PLACE_WEIGHTS = {"title": 0.3, "heading": 0.2, "text": 0.0}


@dataclass(frozen=True, slots=True)
class PageVerdict:
    """The reason why a page is not the site, and the text that shows it.

    `service` names the service whose page was recognized. `model_words` are the words that weighed
    most for the page model. `is_proof` is False if the page leaves open whether the site is there.
    """

    reason: Reason
    proof: str
    service: str = ""
    model_words: tuple[str, ...] = ()
    is_proof: bool = True

    @property
    def facts(self) -> dict[str, str]:
        """Return the facts `service` and `model_words` of a finding, unless they are empty."""
        facts = {"service": self.service, "model_words": ", ".join(self.model_words)}
        return {name: text for name, text in facts.items() if text}

    @property
    def is_absence(self) -> bool:
        """Return whether the page proves that the site is not there."""
        return self.is_proof and self.reason in ABSENCE_REASONS


def load_tables() -> None:
    """Load fingerprints, statements and weights, which takes a fifth of a second."""
    load_fingerprint_index()
    load_keyword_index()
    soft_404.load_sentences()
    page_model.load_weights()


def classify_page(
    document: Document, page: Page, prediction: PagePrediction, *, is_home_page: bool
) -> PageVerdict | None:
    """Return why the page is not the site that its link promises, or None.

    `prediction` is the page model's. On a home page an error heading alone proves less.
    """
    known = _find_known_page(document, page, prediction)
    stated = _find_confirmed_statement(document, prediction)
    is_suspended = stated is not None and stated.reason is Reason.SUSPENDED
    # Control panels also sign suspended pages, and some call them "Forbidden".
    if known and not (is_suspended and known.reason is Reason.DEFAULT_PAGE):
        return known
    if interstitials.mentions_region_restriction(document.text):
        return PageVerdict(Reason.BLOCKED, "not shown in this region")
    if is_suspended:
        return stated
    has_structure = has_site_navigation(document) or soft_404.is_dated_article(document)
    return (
        _find_wall_title(document)
        or stated
        or _find_missing_page(document, prediction, is_home_page=is_home_page)
        or _build_verdict(spam.detect_hijacked_page(document, has_navigation=has_structure))
        or _build_verdict(interstitials.detect_consent_or_paywall(document))
        or _find_page_without_text(document)
    )


def _build_verdict(finding: tuple[Reason, str] | None) -> PageVerdict | None:
    return PageVerdict(*finding) if finding else None


def _find_known_page(
    document: Document, page: Page, prediction: PagePrediction
) -> PageVerdict | None:
    """Return the verdict of the fingerprint that the page matches, or None.

    A fingerprint of an absence counts only if the page model does not exclude an absence, or if the
    page is at an address of the service. The title "Welcome to nginx!" can be a workshop's.
    """
    probability = prediction.replacement_probability
    is_doubtful = probability >= MIN_GENERAL_PROBABILITY
    match = find_fingerprint(document, page, with_general=is_doubtful)
    if match is None:
        return None
    fingerprint = match.fingerprint
    is_credible = probability >= MIN_ABSENCE_PROBABILITY or fingerprint.has_service_host
    if fingerprint.reason in ABSENCE_REASONS and not is_credible:
        return None
    return PageVerdict(fingerprint.reason, match.matched_text, fingerprint.service)


def predict_page_kind(document: Document, page: Page) -> PagePrediction:
    """Return the prediction of the page model."""
    has_password_field = interstitials.has_password_field(page)
    features = page_model.extract_features(document, has_password_field=has_password_field)
    return page_model.predict_kind(features)


def find_suspicion(document: Document, prediction: PagePrediction) -> PageVerdict | None:
    """Return the absence that the page model alone is sure of, or None. It proves nothing."""
    if soft_404.is_dated_article(document):
        return None
    reason = max(ABSENCE_REASONS, key=prediction.get_probability)
    if prediction.get_probability(reason) < MIN_SUSPICION_PROBABILITY:
        return None
    proof = f"reads like {reason}"
    return PageVerdict(reason, proof, model_words=prediction.top_words, is_proof=False)


def has_site_navigation(document: Document) -> bool:
    """Return whether the page links to other pages of its site. A suspended page does not."""
    return document.internal_link_count >= MIN_NAVIGATION_LINKS


def _find_wall_title(document: Document) -> PageVerdict | None:
    """Detect a wall by its title, because a wall in the site's design keeps the site's menu."""
    if len(document.main_text) > MIN_STORY_CHARS and has_site_navigation(document):
        return None  # a play can have the title "Forbidden"
    titles = (document.title, *soft_404.split_title(document.title))
    found = zip(map(interstitials.match_interstitial_title, titles), titles, strict=True)
    return next((PageVerdict(reason, title) for reason, title in found if reason), None)


MIN_STORY_CHARS = 200
"""A main part with more characters is no wall."""


def _find_confirmed_statement(document: Document, prediction: PagePrediction) -> PageVerdict | None:
    """Return the statement of the page that the page model confirms, the likeliest first.

    An absence also needs a model that predicts an absence. A page that states a suspension and
    reads like a sign-in page remains a sign-in page, if it also states that. "Hacked by" on a page
    without the navigation of a site needs no further words: the lost site is the second signal.
    """
    is_doubtful = prediction.replacement_probability >= min(MIN_REPLACEMENT_PROBABILITIES.values())
    if not is_doubtful or soft_404.is_dated_article(document):
        return None
    statements = [
        found for found in find_statements(document) if _can_count(found, document, prediction)
    ]
    walls = [found for found in statements if found.reason not in ABSENCE_REASONS]
    min_share = MIN_ABSENCE_SHARE if walls else MIN_ABSENCE_SHARE_WITHOUT_WALL
    absence_probability = sum(map(prediction.get_probability, ABSENCE_REASONS))
    is_absence = absence_probability >= min_share * prediction.replacement_probability
    if not is_absence:
        statements = walls
    if not statements:
        return None

    def rate_statement(statement: Statement) -> float:
        return prediction.get_probability(statement.reason) + _PLACE_WEIGHTS[statement.place]

    best = max(statements, key=rate_statement)
    has_lost_site = best.reason is Reason.HIJACKED and not has_site_navigation(document)
    is_alone = is_absence and not has_lost_site
    if is_alone and not _is_independent(prediction, statements, best):
        return None
    return PageVerdict(best.reason, best.text, model_words=prediction.top_words)


def _is_independent(
    prediction: PagePrediction, statements: list[Statement], best: Statement
) -> bool:
    """Return whether the page model does not only repeat the statement.

    It is sure of the page, or doubts it without the words of the statement, too. A poem with the
    title "404" has one signal.
    """
    if prediction.replacement_probability >= MIN_SURE_PROBABILITY:
        return True
    words: list[str] = []
    for statement in statements:
        if statement.reason is best.reason:
            words += page_model.list_words(statement.text)
    independent = prediction.without_words(words)
    return independent.replacement_probability >= MIN_INDEPENDENT_PROBABILITY


MIN_ABSENCE_SHARE, MIN_ABSENCE_SHARE_WITHOUT_WALL = 0.5, 0.2
"""The least share of absences in the probability that the page is not the site."""
MIN_SURE_PROBABILITY = 0.9
MIN_INDEPENDENT_PROBABILITY = 0.2
"""The least probability without the statement's words for an absence."""


def _can_count(statement: Statement, document: Document, prediction: PagePrediction) -> bool:
    """Return whether a statement counts. In a text, a link "Log in" or a new address says else."""
    min_probability = MIN_REPLACEMENT_PROBABILITIES[statement.place]
    if prediction.replacement_probability < min_probability:
        return False
    is_refuted = {
        Reason.LOGIN_WALL: prediction.get_probability(Reason.LOGIN_WALL) < MIN_LIKELY_PROBABILITY,
        Reason.NOT_FOUND: has_site_navigation(document),
        Reason.SUSPENDED: mentions_new_site(document),
    }
    return statement.place != "text" or not is_refuted.get(statement.reason, False)


# A page with the site's new address.
_MOVED_SITE_PATTERN = re.compile(
    r"new (?:web ?)?(?:site|address|home)|has moved|moved to|nouvelle adresse|déménag|"
    r"neue (?:web|internet)?(?:seite|adresse|präsenz)|umgezogen|nuev[ao] (?:web|sitio|dirección)|"
    r"facebook|instagram|whatsapp|désormais sur|find us (?:at|on)|nuovo (?:sito|indirizzo)|"
    r"novo (?:site|endereço)|انتقل|الموقع الجديد|موقعنا الجديد",
    re.IGNORECASE,
)


def mentions_new_site(document: Document) -> bool:
    """Return whether a short page says where its site is now."""
    is_short = len(document.text) <= FORWARDING_PAGE_MAX_CHARS
    return is_short and _MOVED_SITE_PATTERN.search(document.text) is not None


FORWARDING_PAGE_MAX_CHARS = 600
"""A page with more characters gives more than a new address."""


def _find_missing_page(
    document: Document, prediction: PagePrediction, *, is_home_page: bool
) -> PageVerdict | None:
    """Return the verdict of a soft 404, or None.

    "Not found: an exhibition about missing persons" is the title of a page like any other. Such a
    title counts only if the page model doubts the page, too.
    """
    missing = soft_404.detect_soft_404(document, is_home_page=is_home_page)
    if missing is None:
        return None
    reason, proof = missing
    is_likely = prediction.replacement_probability >= MIN_REPLACEMENT_PROBABILITIES["title"]
    if not is_likely and document.title.startswith(f"{proof}: "):
        return None
    return PageVerdict(reason, proof)


def _find_page_without_text(document: Document) -> PageVerdict | None:
    """Detect a page with only frames, only scripts, or nothing at all."""
    if document.frames and len(document.text) < soft_404.TINY_PAGE_MAX_CHARS:
        return PageVerdict(Reason.UNREADABLE, "frames only")
    text_length = len(document.text)
    if text_length >= 60 or document.image_count > 2 or len(document.anchors) > 3:
        return None
    if document.script_count or document.form_actions:
        return PageVerdict(Reason.SCRIPT_ONLY, "no text without scripts")
    if text_length >= 20 or document.image_count:
        return None
    return PageVerdict(Reason.EMPTY, "no text", is_proof=False)


def may_be_soft_404(document: Document, prediction: PagePrediction) -> bool:
    """Return whether a decoy request is justified: the page mentions a missing one.

    The page model spares most pages the search for such a mention, which is slow.
    """
    is_short = len(document.text) < 5 * soft_404.SHORT_PAGE_MAX_CHARS
    is_doubtful = prediction.get_probability(Reason.NOT_FOUND) >= MIN_DECOY_PROBABILITY
    return is_short and is_doubtful and soft_404.mentions_missing_page(document.text)


MIN_DECOY_PROBABILITY = 0.005
"""From this probability of a missing page on, a request for a decoy is justified."""
