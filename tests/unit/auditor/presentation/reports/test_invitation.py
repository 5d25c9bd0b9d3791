"""Texts for a report link: what is wrong, the first step and the link, in the right language."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from auditor.conclusions.association_view import AssociationView, UncheckedItem
from auditor.conclusions.network_view import load_association_view
from auditor.config.schema import Config
from auditor.core.i18n.translator import Translator
from auditor.core.reference.gap_catalogue import LANGUAGES, load_gap_catalogue
from auditor.core.rendering.templates import SIGNATURE_MARK
from auditor.presentation.reports.invitation import (
    MAX_TEXT_CHARACTERS,
    ReportLinkAddress,
    build_chat_text,
    build_invitation_text,
    build_reminder_text,
    choose_invitation_kind,
    describe_result_without_gaps,
    list_due_promises,
)
from auditor.rules.score import compute_score
from auditor.runs.run import execute_run
from probes.links.channel_registry import list_channels
from storage.models.audit import Association, Gap
from storage.models.users import FollowUpKind
from storage.tables.communication import FollowUp
from tests.support.mini_network import link, lived, night_of, register

NOW = datetime(2026, 11, 28, 9, tzinfo=UTC)
BEFORE = NOW - timedelta(days=20)
URL = "https://rapports.reseau-associations.example/r/" + "x" * 26
LONG = "جمعية النور للتنمية البشرية والعمل الاجتماعي والثقافي " * 8
CATALOGUE = load_gap_catalogue()
CONFIG = Config.model_validate(
    {
        "network": {
            "name": "the Associations Forum",
            "name_fr": "le Forum des associations",
            "name_ar": "منتدى الجمعيات",
        }
    }
)
AMAL = Association("amal", "Amal Association", name_fr="Association Amal", name_ar="جمعية أمل")
EXAMPLES = {
    ("website_domain_lost", "en"): """\
Hello Amal Association, this is the Associations Forum. One thing is urgent:
Your website’s domain name no longer exists. Anyone can buy the name and publish something else; \
your emails stop too.
First step: find the company where the name was registered: look for its invoices or renewal \
emails. For a name ending in .ma, the WHOIS search on registre.ma shows it.
If you need help, tell us.
Full report (private link, valid until 28 December 2026):
""",
    ("website_domain_lost", "fr"): """\
Bonjour Association Amal, ici le Forum des associations. Une chose est urgente\u00a0:
Le nom de domaine de votre site n’existe plus. N’importe qui peut acheter ce nom\u202f; vos \
e-mails cessent aussi de fonctionner.
Première étape\u00a0: retrouvez la société où le nom a été enregistré\u00a0: cherchez ses factures \
ou ses e-mails de renouvellement. Pour un nom en .ma, la recherche WHOIS de registre.ma l’indique.
Besoin d’aide\u202f? Dites-le-nous.
Rapport complet (lien privé, valable jusqu’au 28 décembre 2026)\u00a0:
""",
    ("website_domain_lost", "ar"): """\
السلام عليكم جمعية أمل، معكم فريق منتدى الجمعيات. هناك أمر عاجل:
لم يعد اسم نطاق موقعكم موجودًا. يمكن لأي كان شراء الاسم ونشر شيء آخر باسمكم، \
كما تتوقف عناوين البريد المرتبطة به.
الخطوة الأولى: ابحثوا عن الشركة التي سُجّل لديها الاسم: راجعوا فواتيرها أو رسائل التجديد. \
وإذا كان الاسم ينتهي بـ ‎.ma‎، فالبحث في registre.ma يبيّنها.
إذا احتجتم إلى مساعدة، فأخبرونا.
التقرير الكامل (رابط خاص، صالح إلى غاية 28 دجنبر 2026):
""",
    ("channel_stale", "en"): """\
Hello Amal Association, this is the Associations Forum.
Nothing has been posted on your Facebook page for a long time. People may think you have stopped.
First step: publish this week: a recent activity, a date, a place, a photo.
3 more things to improve are in the report.
Full report, where you can also reply (private link, valid until 28 December 2026):
""",
    ("channel_stale", "ar"): """\
السلام عليكم جمعية أمل، معكم فريق منتدى الجمعيات.
لم يُنشر شيء في صفحتكم على فيسبوك منذ مدة طويلة. قد يظن الناس أنكم توقفتم عن النشاط.
الخطوة الأولى: انشروا هذا الأسبوع: نشاط حديث وتاريخ ومكان وصورة.
وفي التقرير 3 أمور أخرى قابلة للتحسين.
التقرير الكامل، للقراءة والرد (رابط خاص، صالح إلى غاية 28 دجنبر 2026):
""",
}


def build_gap(code, channel="", **changes):
    channel = channel or ("facebook" if CATALOGUE[code].scope == "channel" else "website")
    severity = CATALOGUE[code].get_severity(channel)
    return replace(Gap("amal", channel, code, severity, BEFORE, 1, BEFORE), **changes)


def build_view(*gaps, fixed=(), association=AMAL, **changes):
    closed = tuple(replace(gap, closed_at=NOW) for gap in fixed)
    view = AssociationView(association, (), gaps, (*gaps, *closed), (), (), compute_score({}))
    return replace(view, **changes)


def build_texts(view, language, previous_link_at=None, url=URL, config=CONFIG):
    address = ReportLinkAddress(url, NOW + timedelta(days=30), previous_link_at)
    return build_invitation_text(view, config, address, language)


@pytest.mark.parametrize(("code", "language"), EXAMPLES)
def test_text_says_what_is_wrong_why_and_the_first_step(code, language):
    others = (build_gap("feed_missing"),) * 3
    others = () if code == "website_domain_lost" else others
    text = build_texts(build_view(build_gap(code), *others), language).short_text
    assert text == EXAMPLES[code, language] + URL


@pytest.mark.parametrize(("code", "language"), EXAMPLES)
def test_text_of_a_conversation_is_the_same_without_the_report(code, language):
    view = build_view(build_gap(code), build_gap("feed_missing"))
    lines = EXAMPLES[code, language].splitlines()
    has_others = code != "website_domain_lost"
    assert build_chat_text(view, CONFIG, language).splitlines() == (
        lines[:3] if has_others else lines[:-1]
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", [code for code in CATALOGUE.definitions if CATALOGUE[code].is_gap])
def test_longest_texts_have_less_than_600_characters(code, language):
    """The name has 50, the network 40 and the link 73 characters."""
    config = Config.model_validate({"network": {"name": "N" * 40}})
    channels = list_channels() if CATALOGUE[code].scope == "channel" else ["website"]
    for channel, fixed in product(channels, [(), (build_gap("channel_wrong_type"),)]):
        gaps = [build_gap(code, channel), *[build_gap("feed_missing")] * 12]
        view = build_view(*gaps, fixed=fixed, association=Association("amal", "A" * 50))
        texts = build_texts(view, language, BEFORE, config=config)
        assert len(texts.short_text) <= MAX_TEXT_CHARACTERS
        assert len(texts.body.partition(SIGNATURE_MARK)[0]) <= MAX_TEXT_CHARACTERS
        title = Translator(language).gap_title(code, channel, "association")
        assert (title[1:] in texts.short_text, len(texts.subject) <= 60) == (True, True)


def test_further_problems_are_left_out_of_a_text_that_is_too_long_but_not_the_link():
    gaps = [build_gap("website_down"), build_gap("feed_missing"), build_gap("website_slow")]
    more = Translator("en").message("more", n=2)
    texts = build_texts(build_view(*gaps), "en")
    assert texts.short_text.count(more) == texts.body.count(more) == 1
    for name, url in ((LONG, URL + "x" * 250), ("<b>" + "Nour " * 90, URL + "x" * 250)):
        view = build_view(*gaps, association=Association("a", name))
        texts = build_texts(view, "en", url=url)
        assert len(texts.short_text) <= MAX_TEXT_CHARACTERS
        assert texts.short_text.endswith(f"\n{url}")
        assert more not in texts.short_text + texts.body + texts.html
        assert "<b>" not in texts.html


@pytest.mark.parametrize(
    ("language", "count", "expected"),
    [
        ("en", 1, "One more thing to improve is in the report."),
        ("en", 2, "2 more things to improve are in the report."),
        ("fr", 1, "Un autre point à améliorer figure dans le rapport."),
        ("fr", 2, "2 autres points à améliorer figurent dans le rapport."),
        ("ar", 1, "وفي التقرير أمر آخر قابل للتحسين."),
        ("ar", 2, "وفي التقرير أمران آخران قابلان للتحسين."),
        ("ar", 3, "وفي التقرير 3 أمور أخرى قابلة للتحسين."),
        ("ar", 11, "وفي التقرير 11 أمرًا آخر قابلًا للتحسين."),
    ],
)
def test_more_problems_have_the_plural_form_of_the_language(language, count, expected):
    gaps = (build_gap("feed_missing"),) * (count + 1)
    assert expected in build_texts(build_view(*gaps), language).short_text.split("\n")


STALE, DOWN = build_gap("channel_stale"), build_gap("website_down")


@pytest.mark.parametrize(
    ("view", "previous_link_at", "kind"),
    [
        (build_view(build_gap("website_parked"), fixed=[STALE]), BEFORE, "urgent"),
        (build_view(DOWN, fixed=[STALE]), BEFORE, "progress"),
        (build_view(fixed=[STALE]), BEFORE, "progress"),
        (build_view(DOWN, fixed=[STALE]), NOW + timedelta(days=1), "problem"),
        (build_view(DOWN, fixed=[STALE]), None, "problem"),
        (build_view(), None, "not_checked"),
    ],
)
def test_most_important_text_is_chosen(view, previous_link_at, kind):
    assert choose_invitation_kind(view, previous_link_at) is kind


def test_good_news_comes_before_the_next_problem():
    texts = build_texts(build_view(STALE, fixed=[DOWN]), "en", BEFORE)
    assert texts.short_text.split("\n", 3)[1:3] == [
        "Good news: the website opens again. Well done!",
        (
            "Next: nothing has been posted on your Facebook page for a long time. "
            "Publish this week: a recent activity, a date, a place, a photo."
        ),
    ]
    fixed = [build_gap("channel_missing", "youtube")]
    fixed_all = build_texts(build_view(fixed=fixed), "en", BEFORE)
    assert "Good news: YouTube channel added. Well done!\nFull report" in fixed_all.short_text


@lived
async def app(small):
    """Nour has a page and a website, and Amal's page cannot be checked."""
    rows = [link("nour", channel, "nour") for channel in ("facebook", "website")]
    rows.append(link("amal", "facebook", "amal"))
    register(small, *rows)
    small.web.answers = {rows[2].typed_text: "wall"}
    for day in (0, 3, 6):
        await execute_run(small, night_of(day))


def load_view(app, association, **changes):
    return replace(load_association_view(app.store, app.config, association), gaps=(), **changes)


def build_unknown(channel, cause, last_date=""):
    return UncheckedItem(channel, "channel_unknown", {"cause": cause, "last_date": last_date})


REFUSED = build_unknown("facebook", "login_wall")


@pytest.mark.parametrize(
    ("unchecked", "kind"),
    [
        ([REFUSED], "unknown_only"),
        ([build_unknown("website", "blocked")], "unknown_other"),
        ([REFUSED, build_unknown("youtube", "timeout")], "unknown_other"),
        ([build_unknown("facebook", "robots", "2026-11-20")], "no_problem"),
        ([UncheckedItem("youtube", "channel_waived")], "no_problem"),
    ],
)
def test_channel_that_could_not_be_checked_is_no_problem_and_no_success(app, unchecked, kind):
    view = load_view(app, "nour", unchecked=tuple(unchecked))
    assert choose_invitation_kind(view, None) is kind


def test_refusal_of_a_platform_does_not_count_against_an_association(app):
    texts = build_texts(load_view(app, "nour", unchecked=(REFUSED,)), "en")
    line = "We could not check Facebook: the platform refuses automatic checks."
    assert f"{line} This does not count against you.\n" in texts.short_text
    both = (REFUSED, build_unknown("linkedin", "robots"))
    texts = build_texts(load_view(app, "nour", unchecked=both), "fr")
    assert "Facebook, LinkedIn\u00a0: les plateformes refusent" in texts.short_text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_text_can_be_written(app, language):
    unchecked = (UncheckedItem("facebook", "channel_unknown"),)
    for view in (build_view(), load_view(app, "nour", unchecked=()), load_view(app, "nour")):
        changed = replace(view, unchecked=view.unchecked and unchecked)
        texts = build_texts(changed, language)
        name = view.association.display_name(language)
        assert name in texts.short_text.split("\n")[0] + texts.body.split("\n")[0]
        assert (f"\n{URL}\n\n-- \n" in texts.body, f'href="{URL}"' in texts.html) == (True, True)
        result = describe_result_without_gaps(changed, NOW, Translator(language))
        assert result == texts.body.split("\n")[2]


@pytest.mark.parametrize(
    ("view", "language", "subject"),
    [
        (build_view(DOWN), "en", "Your website does not open (Amal Association)"),
        (
            build_view(build_gap("website_domain_lost")),
            "en",
            "Urgent: your website’s domain name no longer exists",
        ),
        (build_view(), "fr", "Votre rapport\u00a0: Association Amal"),
    ],
)
def test_subject_names_the_problem_and_the_association_if_it_fits(view, language, subject):
    assert build_texts(view, language).subject == subject


def build_promise(due=0, **changes):
    values = {
        "association": "amal",
        "kind": FollowUpKind.PROMISED,
        "author": "Amina",
        "occurred_at": BEFORE,
        "due_date": (NOW + timedelta(days=due)).date(),
        "channel": "website",
        "code": "website_down",
    }
    return FollowUp(**(values | changes))


def test_reminder_names_the_day_and_the_problem():
    text = build_reminder_text(build_view(DOWN), CONFIG, URL, "en", build_promise())
    title = Translator("en").gap_title("website_down", "website", "association")
    positions = [text.index(part) for part in ("28 November 2026", f":\n{URL}")]
    assert (title in text, positions) == (True, sorted(positions))


@pytest.mark.parametrize(
    ("promise", "is_due"),
    [
        (build_promise(due=0), True),
        (build_promise(due=-60), True),
        (build_promise(due=1), False),
        (build_promise(due=-61), False),
        (build_promise(due_date=None), False),
        (build_promise(code="no_website"), False),
        (build_promise(kind=FollowUpKind.NOTE), False),
        (build_promise(code=None, channel="", text="A date"), True),
        (build_promise(code=None, channel=""), False),
    ],
)
def test_promise_about_an_open_gap_is_due_from_its_day_on(promise, is_due):
    view = build_view(build_gap("website_down"))
    assert list_due_promises(view, [promise], NOW.date()) == [promise] * is_due


def test_newer_promise_replaces_the_older_one():
    view, older = build_view(build_gap("website_down")), build_promise(due=-5)
    assert list_due_promises(view, [build_promise(due=9), older], NOW.date()) == []
