"""The classifier reads a page up to each limit, and thresholds count the limit as inside."""

import pytest

from probes.classify import classifier, fingerprints, interstitials, page_model, spam
from probes.classify.fingerprints import find_fingerprint, parse_service
from probes.models.finding import Reason
from probes.models.http import Page
from probes.parsing.html import Document
from probes.parsing.html_walker import TextNode

STEPS = (-1, 0, 1)
URL = "https://www.annour.example/"
PASSWORD_FIELD = b"<input type=password"


def build_page(body):
    return Page(URL, 200, {"content-type": "text/html"}, body)


def find_entry(monkeypatch, document, body=b"", **entry):
    """Return whether an entry matches a page."""
    service = {"name": "A", "verdict": "parked", "source": "a", "date": "2026-11-28"}
    index = fingerprints._FingerprintIndex(tuple(parse_service({**service, "pages": [entry]})))
    monkeypatch.setattr(fingerprints, "load_fingerprint_index", lambda: index)
    return find_fingerprint(document, build_page(body)) is not None


def list_features(**fields):
    return page_model.extract_features(Document(URL, **fields), has_password_field=False)


def number_words(count):
    """Return words without digits, because numbers are replaced."""
    letters = "abcdefghij"
    return ["w" + "".join(letters[int(digit)] for digit in str(number)) for number in range(count)]


# --- Fingerprints ---------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_first_headings_are_compared_with_fingerprints(monkeypatch, step):
    headings = ("Annour",) * (fingerprints.MAX_HEADINGS + step - 1) + ("Parked here",)
    document = Document(URL, headings=headings)
    assert find_entry(monkeypatch, document, heading="parked here") is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_sentence_counts_on_a_page_of_limited_length(monkeypatch, step):
    text = "Parked here ".ljust(fingerprints.SENTENCE_PAGE_MAX_CHARS + step, "x")
    document = Document(URL, text=text)
    assert find_entry(monkeypatch, document, text="parked here") is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_page_with_a_menu_may_have_little_text_besides_a_sentence(monkeypatch, step):
    sentence = "parked here"
    main_text = sentence + "." * (fingerprints.OTHER_TEXT_MAX_CHARS + step)
    document = Document(URL, text=sentence, main_text=main_text, internal_link_count=9)
    assert find_entry(monkeypatch, document, text=sentence) is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_wildcard_matches_a_gap_of_limited_length(monkeypatch, step):
    text = f"parked{'.' * (fingerprints.WILDCARD_MAX_CHARS + step)}here"
    document = Document(URL, text=text)
    assert find_entry(monkeypatch, document, text="parked*here") is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_script_counts_on_a_page_with_little_text(monkeypatch, step):
    main_text = "x" * (fingerprints.SERVICE_PAGE_MAX_CHARS + step)
    document = Document(URL, main_text=main_text, script_sources=("//cdn.atlas.example/",))
    assert find_entry(monkeypatch, document, script="cdn.atlas.example") is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_beginning_of_the_markup_is_compared_with_fingerprints(monkeypatch, step):
    mark = b"window.atlas="
    body = mark.rjust(interstitials.MAX_HEAD_BYTES + step)
    found = find_entry(monkeypatch, Document(URL), body, markup=mark.decode())
    assert found is (step <= 0)


# --- Statements -----------------------------------------------------------------------------------

STATEMENT = "This account has been suspended"


@pytest.mark.parametrize("step", STEPS)
def test_first_headings_are_compared_with_statements(step):
    headings = ("Annour",) * (page_model.MAX_STATEMENT_HEADINGS + step - 1) + (STATEMENT,)
    found = page_model.find_statements(Document(URL, headings=headings))
    assert bool(found) is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_beginning_of_a_text_is_compared_with_statements(step):
    text = STATEMENT.rjust(page_model.MAX_STATEMENT_TEXT_CHARS + step)
    assert bool(page_model.find_statements(Document(URL, text=text))) is (step <= 0)


# --- Page model -----------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_heaviest_words_explain_a_prediction(monkeypatch, step):
    words = number_words(page_model.MAX_REASON_WORDS + step)
    features = [f"title:{word}" for word in words]
    weights = dict.fromkeys(features, (0.0, 1.0))
    model = page_model.ModelWeights((page_model.PRESENT, "parked"), weights)
    monkeypatch.setattr(page_model, "load_weights", lambda: model)
    prediction = page_model.PagePrediction({"parked": 1.0}, frozenset(features))
    assert len(prediction.top_words) == min(page_model.MAX_REASON_WORDS, len(words))


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("field", "place", "limit"),
    [
        ("title", "title", page_model.MAX_TITLE_WORDS),
        ("headings", "head", page_model.MAX_HEADING_WORDS),
        ("text", "text", page_model.MAX_TEXT_WORDS),
    ],
)
def test_model_reads_the_first_words_of_a_place(field, place, limit, step):
    words = number_words(limit + step)
    text = " ".join(words)
    features = list_features(**{field: (text,) if field == "headings" else text})
    assert f"{place}:{words[limit - 2]}" in features
    assert (f"{place}:{words[-1]}" in features) is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_model_reads_the_first_headings(step):
    words = number_words(page_model.MAX_HEADINGS + step)
    features = list_features(headings=tuple(words))
    assert (f"head:{words[-1]}" in features) is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_model_reads_the_beginning_of_a_text(step):
    text = "annour".rjust(page_model.MAX_TEXT_CHARS + step)
    assert ("text:annour" in list_features(text=text)) is (step <= 0)


# --- Walls and consent pages ----------------------------------------------------------------------


def build_consent_page(text, headings):
    return Document(URL, text=text, text_nodes=(TextNode(text, "p", "", ""),), headings=headings)


@pytest.mark.parametrize("step", STEPS)
def test_wall_is_searched_at_the_beginning_of_a_page(step):
    title = b"<title>just a moment...</title>"
    page = build_page(title.rjust(interstitials.MAX_HEAD_BYTES + step))
    found = interstitials.detect_walls(page)[1]
    assert found is (Reason.BLOCKED if step <= 0 else None)


@pytest.mark.parametrize("step", STEPS)
def test_password_field_is_searched_up_to_the_limit(step):
    body = b"<form>" + PASSWORD_FIELD.rjust(interstitials.MAX_TEXT_BYTES + step - 6)
    assert interstitials.has_password_field(build_page(body)) is (step <= 0)
    assert interstitials.has_password_form(build_page(body)) is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_notice_about_regions_is_searched_at_the_beginning_of_a_text(step):
    notice = "not available in your country"
    text = notice.rjust(interstitials.MAX_REGION_NOTICE_CHARS + step)
    assert interstitials.mentions_region_restriction(text) is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_first_headings_must_be_about_consent(step):
    headings = ("Cookies",) * (interstitials.MAX_CONSENT_HEADINGS + step - 1) + ("Annour",)
    document = build_consent_page("Accept cookies", headings)
    verdict = interstitials.detect_consent_or_paywall(document)
    assert (verdict is not None) is (step > 0)


@pytest.mark.parametrize("step", STEPS)
def test_beginning_of_a_consent_heading_is_the_proof(step):
    heading = "Cookies".ljust(interstitials.MAX_PROOF_CHARS + step, ".")
    document = build_consent_page("Accept cookies", (heading,))
    proof = heading[: interstitials.MAX_PROOF_CHARS]
    assert interstitials.detect_consent_or_paywall(document) == (Reason.CONSENT, proof)


@pytest.mark.parametrize("step", STEPS)
def test_consent_page_has_limited_text(step):
    text = "Accept cookies".ljust(interstitials.CONSENT_PAGE_MAX_CHARS + step, ",")
    document = build_consent_page(text, ("Cookies",))
    verdict = interstitials.detect_consent_or_paywall(document)
    assert (verdict is not None) is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_page_that_forwards_has_less_text(step):
    text = "Has moved".ljust(classifier.FORWARDING_PAGE_MAX_CHARS + step)
    assert classifier.mentions_new_site(Document(URL, text=text)) is (step <= 0)


# --- Spam and hidden links -----------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_spam_words_are_counted_at_the_beginning_of_a_text(step):
    words = " viagra cialis" * (spam.MIN_DENSE_SPAM_WORDS // 2)
    text = words.rjust(spam.MAX_DENSE_TEXT_CHARS + step)
    document = Document(URL, title="viagra cialis", text=text)
    verdict = spam.detect_hijacked_page(document, has_navigation=False)
    assert (verdict is not None) is (step <= 0)


HIDDEN = "<div style='display:none'>"
LINKS = "".join(f"<a href=https://jeux-{number}.example/>x</a>" for number in range(20))


@pytest.mark.parametrize("step", STEPS)
def test_first_hidden_blocks_are_searched_for_links(step):
    empty = f"{HIDDEN}</div>" * (spam.MAX_HIDDEN_BLOCKS + step - 1)
    assert spam.has_hidden_link_block(f"{empty}{HIDDEN}{LINKS}", URL) is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_beginning_of_a_hidden_block_is_searched_for_links(step):
    """Only the first character of the last host is at the limit."""
    hosts = [f"https://jeux-{number}.example" for number in range(spam.MIN_HIDDEN_LINKS - 1)]
    first = "'>" + "".join(f"<a href={host}>x</a>" for host in hosts)
    last = "<a href=https://j".rjust(spam.MAX_HIDDEN_BLOCK_CHARS + step - len(first))
    markup = f"<div style='display:none{first}{last}"
    assert spam.has_hidden_link_block(markup, URL) is (step <= 0)
