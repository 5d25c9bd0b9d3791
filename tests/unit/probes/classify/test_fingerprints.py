"""Fingerprints: the fields of an entry, and the form of all entries of the tables."""

import re
from collections import Counter
from collections.abc import Iterator

import pytest

from probes.classify import fingerprints
from probes.classify.fingerprints import (
    Fingerprint,
    find_fingerprint,
    load_fingerprints,
    parse_service,
)
from probes.models.finding import Reason
from probes.models.http import Page
from probes.parsing.html import Document, parse_html

URL = "https://www.annour.example/"
ACCUSING_REASONS = {
    Reason.PARKED,
    Reason.SUSPENDED,
    Reason.DEFAULT_PAGE,
    Reason.NOT_FOUND,
    Reason.EMPTY,
    Reason.DIRECTORY_LISTING,
}
NEUTRAL_REASONS = {Reason.BLOCKED, Reason.LOGIN_WALL, Reason.SERVER_ERROR}
MIN_PATTERN_CHARS = 6
PAGE_TEXT = "Nos bénévoles donnent des cours du soir aux enfants du quartier. "


def build_page(markup: str, url: str = URL, **headers: str) -> tuple[Document, Page]:
    body = f"<html><body>{markup}</body></html>"
    page = Page(url, 200, {"content-type": "text/html", **headers}, body.encode())
    return parse_html(body, url), page


def find_with(
    monkeypatch: pytest.MonkeyPatch, page: tuple[Document, Page], **entry: object
) -> str | None:
    """Return the text that an entry matches on a page, or None."""
    index = fingerprints._FingerprintIndex(
        tuple(
            parse_service(
                {
                    "name": "Atlas Host",
                    "verdict": "parked",
                    "source": "a page",
                    "date": "2026-11-28",
                    "pages": [entry],
                }
            )
        )
    )
    monkeypatch.setattr(fingerprints, "load_fingerprint_index", lambda: index)
    match = find_fingerprint(*page)
    return match.matched_text if match else None


# --- Fields ---------------------------------------------------------------------------------------

FIELDS = [
    (
        "title",
        "parked at atlas",
        "<title>Parked at  ATLAS</title>",
        "<title>Parked at Atlas 2</title>",
    ),
    ("heading", "atlas default page", "<h1>Atlas default page</h1>", "<p>Atlas default page</p>"),
    ("text", "parked at atlas", "<p>Free, parked at Atlas.</p>", "<p>Parked at Atlasse</p>"),
    (
        "script",
        "cdn.atlas.example",
        "<script src='//cdn.atlas.example/p.js'></script>",
        "<script src='//cdn.example/p.js'></script>",
    ),
    (
        "form",
        "atlas.example/offer",
        "<form action='https://atlas.example/offer?d=1'></form>",
        "<form action='/offer'></form>",
    ),
    (
        "generator",
        "atlas builder",
        "<meta name=generator content='Atlas Builder 2'>",
        "<meta name=author content='Atlas Builder'>",
    ),
    (
        "markup",
        "window.atlas=",
        "<script>window.atlas=1</script>",
        f"<p>{PAGE_TEXT * 12}</p><script>window.atlas=1</script>",
    ),
    (
        "address",
        "*//parking.atlas.example/*",
        "<meta http-equiv=refresh content='0; url=https://parking.atlas.example/a'>",
        "<a href='https://parking.atlas.example/a'>a</a>",
    ),
]


@pytest.mark.parametrize(("field", "value", "matching", "other"), FIELDS)
def test_field_matches_its_place_and_no_other(monkeypatch, field, value, matching, other):
    assert find_with(monkeypatch, build_page(matching), **{field: value})
    assert find_with(monkeypatch, build_page(other), **{field: value}) is None


def test_header_matches_name_and_value(monkeypatch):
    page = build_page("<p>a</p>", server="Atlas Parking")
    assert find_with(monkeypatch, page, header="server: atlas") == "server: atlas"
    assert find_with(monkeypatch, page, header="via: atlas") is None


def test_final_address_matches(monkeypatch):
    page = build_page("<p>a</p>", "https://annour.example/cgi-sys/atlas.cgi")
    assert find_with(monkeypatch, page, address="*/cgi-sys/atlas.cgi")
    assert find_with(monkeypatch, page, address="*/atlas.cg") is None


def test_all_fields_must_match(monkeypatch):
    entry = {"title": "coming soon", "text": ["atlas host", "atlas.example"]}
    page = build_page("<title>Coming soon</title><p>Atlas Host</p>")
    assert find_with(monkeypatch, page, **entry) == "coming soon"
    assert find_with(monkeypatch, build_page("<title>Coming soon</title>"), **entry) is None
    assert find_with(monkeypatch, build_page("<p>Atlas Host</p>"), **entry) is None


def test_star_is_a_short_gap_in_a_text(monkeypatch):
    near, far = (f"<p>This domain {'x' * length} Atlas</p>" for length in (60, 100))
    assert find_with(monkeypatch, build_page(near), text="this domain*atlas")
    assert find_with(monkeypatch, build_page(far), text="this domain*atlas") is None
    reverse = build_page("<p>Atlas: this domain</p>")
    assert find_with(monkeypatch, reverse, text="this domain*atlas") is None


def test_star_is_any_text_in_a_title(monkeypatch):
    page = build_page(f"<title>Atlas {'x' * 100} parking</title>")
    assert find_with(monkeypatch, page, title="atlas*parking")
    assert find_with(monkeypatch, page, title="atlas*parkings") is None
    assert find_with(monkeypatch, build_page("<title>ab</title>"), title="ab*b") is None


def test_own_is_the_host_without_www(monkeypatch):
    sold, other = (
        build_page(f"<title>{host} is for sale</title>") for host in ("annour.example", "b.example")
    )
    assert find_with(monkeypatch, sold, title="<own> is for sale")
    assert find_with(monkeypatch, other, title="<own> is for sale") is None


def test_typographic_apostrophe_is_straight(monkeypatch):
    page = build_page("<p>Ce domaine n’est pas relié à Atlas</p>")
    assert find_with(monkeypatch, page, text="ce domaine n'est pas relié")


def test_page_with_a_menu_and_own_text_does_not_match(monkeypatch):
    menu = "".join(f"<a href='/{name}'>{name}</a>" for name in ("a", "b", "c", "d"))
    sentence = "<p>Parked at Atlas</p>"
    empty = build_page(f"<nav>{menu}</nav>{sentence}")
    full = build_page(f"<nav>{menu}</nav><main>{sentence}<p>{PAGE_TEXT * 8}</p></main>")
    assert find_with(monkeypatch, empty, text="parked at atlas")
    assert find_with(monkeypatch, full, text="parked at atlas") is None


def test_long_page_does_not_match_by_a_sentence_or_a_script(monkeypatch):
    story = "".join(f"<p>{number}. {PAGE_TEXT}</p>" for number in range(60))
    page = build_page(f"<p>Parked at Atlas</p>{story}<script src='//cdn.atlas.example'></script>")
    assert find_with(monkeypatch, page, text="parked at atlas") is None
    assert find_with(monkeypatch, page, script="cdn.atlas.example") is None


@pytest.mark.parametrize(
    ("entry", "is_match"),
    [
        ({"text": "signed by atlas"}, False),
        ({"text": "signed by atlas", "verdict": "blocked"}, True),
        ({"title": "default page", "text": "signed by atlas"}, True),
        ({"text": "signed by atlas", "title": "default page"}, True),
    ],
    ids=["an absence", "a wall", "after a title", "before a title"],
)
def test_only_an_absence_by_a_sentence_needs_it_at_the_beginning(monkeypatch, entry, is_match):
    """Other sentences are no quotation: a wall accuses no site, and a title is evidence."""
    early, late = (
        build_page(f"<title>Default page</title><p>{text}</p><p>Signed by Atlas</p>")
        for text in ("", PAGE_TEXT * 12)
    )
    assert find_with(monkeypatch, early, **entry)
    assert bool(find_with(monkeypatch, late, **entry)) is is_match


def test_wall_of_cloudflare_with_a_long_text_is_recognized():
    match = find_fingerprint(
        *build_page(f"<p>{PAGE_TEXT * 12}</p><p>Performance & security by Cloudflare</p>")
    )
    assert match is not None
    assert match.fingerprint.reason is Reason.BLOCKED


def test_name_inside_a_word_is_no_name(monkeypatch):
    page = build_page("<p>This domain is parked. Contact the administrator.</p>")
    assert find_with(monkeypatch, page, text="this domain*strato") is None
    page = build_page("<p>Parked (strato). Parked by STRATO, Berlin</p>")
    assert find_with(monkeypatch, page, text="by strato")


EMPTY_PAGE = Page(URL, 200)


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_sentence_counts_on_a_page_of_limited_length(monkeypatch, step):
    text = "Parked here ".ljust(fingerprints.SENTENCE_PAGE_MAX_CHARS + step, "x")
    assert bool(
        find_with(monkeypatch, (Document(URL, text=text), EMPTY_PAGE), text="parked here")
    ) is (step <= 0)


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_page_with_a_menu_may_have_little_text_besides_a_sentence(monkeypatch, step):
    sentence = "parked here"
    main_text = sentence + "." * (fingerprints.OTHER_TEXT_MAX_CHARS + step)
    document = Document(URL, text=sentence, main_text=main_text, internal_link_count=9)
    assert bool(find_with(monkeypatch, (document, EMPTY_PAGE), text=sentence)) is (step <= 0)


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_script_counts_on_a_page_with_little_text(monkeypatch, step):
    main_text = "x" * (fingerprints.SERVICE_PAGE_MAX_CHARS + step)
    document = Document(URL, main_text=main_text, script_sources=("//cdn.atlas.example/",))
    assert bool(find_with(monkeypatch, (document, EMPTY_PAGE), script="cdn.atlas.example")) is (
        step <= 0
    )


# --- Tables ---------------------------------------------------------------------------------------


def list_problems(fingerprint: Fingerprint) -> Iterator[str]:
    """Yield what is wrong with the form of an entry."""
    name = fingerprint.service
    if fingerprint.reason not in ACCUSING_REASONS | NEUTRAL_REASONS:
        yield f"{name}: a page cannot show {fingerprint.reason}"
    if not all(re.fullmatch("[a-z]{2}", code) for code in fingerprint.languages):
        yield f"{name}: {fingerprint.languages} are no ISO 639-1 codes"
    if len(fingerprint.source) < 6 or not re.fullmatch(r"\d{4}-\d\d-\d\d", fingerprint.date):
        yield f"{name}: no source or date"
    for field, alternatives in fingerprint.patterns.items():
        if not alternatives:
            yield f"{name}: no value for {field}"
        if len(fingerprint.patterns) == 1:
            texts = ["".join(parts) for parts in alternatives]
            short = [text for text in texts if len(text) < MIN_PATTERN_CHARS and text.isascii()]
            yield from (f"{name}: {text!r} is too short" for text in short)


def test_every_entry_is_well_formed():
    assert [problem for one in load_fingerprints() for problem in list_problems(one)] == []


def test_no_entry_is_listed_twice():
    patterns = [(one.reason, tuple(sorted(one.patterns.items()))) for one in load_fingerprints()]
    assert [key for key, count in Counter(patterns).items() if count > 1] == []


def test_each_fingerprint_is_a_candidate_for_its_own_pattern():
    index = fingerprints.load_fingerprint_index()
    for fingerprint in load_fingerprints():
        first_pattern = next(iter(fingerprint.patterns.values()))[0]
        candidates = [candidate for candidate, _ in index.find_candidates("".join(first_pattern))]
        assert fingerprint in candidates


@pytest.mark.parametrize(
    ("markup", "service", "reason"),
    [
        ("<title>Parked at Loopia</title>", "Loopia", Reason.PARKED),
        ("<title>Welcome to nginx!</title>", "nginx", Reason.DEFAULT_PAGE),
        ("<p>The Tengine web server is successfully installed</p>", "Tengine", Reason.DEFAULT_PAGE),
        ("<p>There isn't a GitHub Pages site here.</p>", "GitHub Pages", Reason.NOT_FOUND),
        ("<title>Dein Browser wird geprüft!</title>", "Anubis", Reason.BLOCKED),
        ("<p>Powered by MikroTik RouterOS</p>", "Wi-Fi hotspots", Reason.LOGIN_WALL),
    ],
)
def test_page_of_a_service_is_recognized(markup, service, reason):
    match = find_fingerprint(*build_page(markup))
    assert match is not None
    assert (match.fingerprint.service, match.fingerprint.reason) == (service, reason)


@pytest.mark.parametrize(
    "text",
    [
        "Site suspendu",
        "Coming soon",
        "Le nom de domaine annour.example est enregistré chez OVH. Hébergeur : OVH SAS.",
        "Le pont est suspendu depuis lundi. Notre site est en construction à Fès.",
        "Site hébergé par Genious Communications",
        "Bienvenue sur notre nouveau site",
    ],
)
def test_general_sentence_is_no_fingerprint(text):
    assert find_fingerprint(*build_page(f"<h1>Annour</h1><p>{text}</p><p>{PAGE_TEXT}</p>")) is None


def test_sale_of_the_own_domain_needs_another_signal():
    page = build_page("<title>annour.example is for sale</title>")
    assert find_fingerprint(*page).fingerprint.is_general
    assert find_fingerprint(*page, with_general=False) is None
