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
    MAX_NAME_CHARACTERS,
    MAX_PROMISE_CHARACTERS,
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
from tests.support.mini_network import START, link, lived, night_of, register

NOW = datetime(2026, 11, 28, 9, tzinfo=UTC)
BEFORE = NOW - timedelta(days=20)
URL = "https://rapports.reseau-associations.example/r/" + "x" * 26
LONG = "جمعية النور للتنمية البشرية والعمل الاجتماعي والثقافي " * 8
BLAME = ("%", "score", "/100", "niveau", "المستوى")
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
First step: find the company where the name was registered: look for its invoices or its renewal \
e-mails.
If you need help, answer this message.
Full report (private link, valid until 28 December 2026):
""",
    ("website_domain_lost", "fr"): """\
Bonjour Association Amal, ici le Forum des associations. Une chose est urgente\u00a0:
Le nom de domaine de votre site n’existe plus. N’importe qui peut acheter ce nom\u202f; vos \
e-mails cessent aussi de fonctionner.
Première étape\u00a0: retrouvez la société où le nom a été enregistré\u00a0: cherchez ses factures \
ou ses e-mails de renouvellement.
Besoin d’aide\u202f? Répondez à ce message.
Rapport complet (lien personnel, valable jusqu’au 28 décembre 2026)\u00a0:
""",
    ("website_domain_lost", "ar"): """\
السلام عليكم جمعية أمل، معكم فريق منتدى الجمعيات. هناك أمر عاجل:
لم يعد اسم نطاق موقعكم موجودًا. يمكن لأي كان شراء الاسم ونشر شيء آخر باسمكم، كما يتوقف بريدكم.
الخطوة الأولى: ابحثوا عن الشركة التي سُجّل لديها الاسم: راجعوا فواتيرها أو رسائل التجديد.
إذا احتجتم إلى مساعدة، فأجيبوا عن هذه الرسالة.
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
def test_conversation_begins_with_a_greeting_if_nothing_is_known(app, language):
    [greeting] = build_chat_text(load_view(app, "amal"), CONFIG, language).splitlines()
    assert greeting.endswith(".")
    refused = UncheckedItem("facebook", "channel_unknown", {"cause": "robots"})
    view = load_view(app, "nour", unchecked=(refused,))
    assert len(build_chat_text(view, CONFIG, language).splitlines()) == 1


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "code", [code for code, definition in CATALOGUE.definitions.items() if definition.is_gap]
)
def test_longest_texts_have_less_than_600_characters(code, language):
    """The limits are a name of 50, a network of 40 and a link of 73 characters."""
    association = Association("amal", "A" * 50)
    config = Config.model_validate({"network": {"name": "N" * 40}})
    assert len(URL) == 73
    channels = list_channels() if CATALOGUE[code].scope == "channel" else ["website"]
    for channel, fixed in product(channels, [(), (build_gap("channel_wrong_type"),)]):
        gap = build_gap(code, channel)
        others = (build_gap("feed_missing"),) * 12
        view = build_view(gap, *others, fixed=fixed, association=association)
        texts = build_texts(view, language, BEFORE, config=config)
        translator = Translator(language)
        text = translator.describe_gap(code, channel, gap.severity, {}, "association")
        assert len(texts.short_text) <= MAX_TEXT_CHARACTERS
        assert text.title[1:] in texts.short_text
        assert text.steps[0][1:] in texts.short_text
        assert fixed or translator.message(f"why.{code}") in texts.short_text
        body = texts.body.partition(SIGNATURE_MARK)[0]
        assert len(body) <= MAX_TEXT_CHARACTERS
        assert body.index(text.title) < body.index(text.steps[0][1:]) < body.index(URL)


@pytest.mark.parametrize("language", LANGUAGES)
def test_further_problems_are_left_out_of_a_text_that_is_too_long(language):
    gaps = [build_gap("website_down"), build_gap("feed_missing"), build_gap("website_slow")]
    more = Translator(language).message("more", n=2)
    short_view, long_view = build_view(*gaps), build_view(*gaps, association=Association("a", LONG))
    long_url = URL + "x" * 250
    assert more in build_texts(short_view, language).short_text
    assert more in build_texts(short_view, language).body
    long_texts = build_texts(long_view, language, url=long_url)
    assert more not in long_texts.short_text
    assert len(long_texts.short_text) <= MAX_TEXT_CHARACTERS
    assert more not in long_texts.body
    assert more not in long_texts.html


def test_more_problems_have_the_plural_form_of_the_language():
    forms = {
        ("en", 1): "One more thing to improve is in the report.",
        ("en", 2): "2 more things to improve are in the report.",
        ("fr", 1): "Un autre point à améliorer figure dans le rapport.",
        ("fr", 2): "2 autres points à améliorer figurent dans le rapport.",
        ("ar", 1): "وفي التقرير أمر آخر قابل للتحسين.",
        ("ar", 2): "وفي التقرير أمران آخران قابلان للتحسين.",
        ("ar", 3): "وفي التقرير 3 أمور أخرى قابلة للتحسين.",
        ("ar", 11): "وفي التقرير 11 أمرًا آخر قابلًا للتحسين.",
    }
    for (language, count), expected in forms.items():
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


def test_gap_that_a_new_one_hides_is_no_good_news():
    view = build_view(DOWN, fixed=[build_gap("website_slow")])
    assert choose_invitation_kind(view, BEFORE) == "problem"


def test_good_news_comes_before_the_next_problem():
    texts = build_texts(build_view(STALE, fixed=[DOWN]), "en", BEFORE)
    good_news, next_problem = texts.short_text.split("\n")[1:3]
    assert good_news == "Good news: the website opens again. Well done!"
    assert next_problem == (
        "Next: nothing has been posted on your Facebook page for a long time. "
        "Publish this week: a recent activity, a date, a place, a photo."
    )
    assert "Good news: the website opens again. Well done!\n" in texts.body
    fixed_all = build_texts(
        build_view(fixed=[build_gap("channel_missing", "youtube")]), "en", BEFORE
    )
    assert "Good news: YouTube channel added. Well done!\nFull report" in fixed_all.short_text
    assert "—" not in fixed_all.short_text + fixed_all.body


@lived
async def app(small):
    """Nour has a page and a website, Amal's page cannot be checked, Rif waits for a run."""
    rows = [
        link("nour", "facebook", "nour"),
        link("nour", "website", "nour"),
        link("amal", "facebook", "amal"),
    ]
    register(small, *rows)
    small.web.answers = {rows[2].typed_text: "wall"}
    for day in (0, 3, 6):
        await execute_run(small, night_of(day))


def load_view(app, association, **changes):
    return replace(load_association_view(app.store, app.config, association), gaps=(), **changes)


@pytest.mark.parametrize("language", LANGUAGES)
def test_association_without_problems_reads_so_and_a_strength(app, language):
    view = load_view(app, "nour", unchecked=())
    texts = build_texts(view, language)
    assert choose_invitation_kind(view, None) == "no_problem"
    strength = Translator(language).label("strength", "website_ok")
    assert strength in texts.short_text.split("\n")
    assert strength in texts.body
    assert texts.short_text.endswith(f"\n{URL}")


def test_channel_that_could_not_be_checked_is_no_problem_and_no_success(app):
    def build_unknown(channel, cause, last_date=""):
        params = {"cause": cause, "last_date": last_date}
        return UncheckedItem(channel, "channel_unknown", params)

    refused = build_unknown("facebook", "login_wall")
    kinds = (
        ([refused], "unknown_only"),
        ([build_unknown("website", "blocked")], "unknown_other"),
        ([refused, build_unknown("youtube", "timeout")], "unknown_other"),
        ([build_unknown("facebook", "robots", "2026-11-20")], "no_problem"),
        ([UncheckedItem("youtube", "channel_waived")], "no_problem"),
    )
    for unchecked, kind in kinds:
        view = load_view(app, "nour", unchecked=tuple(unchecked))
        assert choose_invitation_kind(view, None) is kind
    texts = build_texts(load_view(app, "nour", unchecked=(refused,)), "en")
    line = "We could not check Facebook: the platform refuses automatic checks."
    assert f"{line} This does not count against you.\n" in texts.short_text
    assert line in texts.body
    both = (refused, build_unknown("linkedin", "robots"))
    texts = build_texts(load_view(app, "nour", unchecked=both), "fr")
    assert "Facebook, LinkedIn\u00a0: les plateformes refusent" in texts.short_text


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_of_a_network_have_no_score_and_no_gap_in_a_sentence(app, language):
    for association, previous_link_at in product(["nour", "amal"], [None, START]):
        view = load_association_view(app.store, app.config, association)
        texts = build_texts(view, language, previous_link_at)
        text = texts.short_text + texts.subject + texts.body
        assert not [word for word in (*BLAME, "—", "{", "}", "[[", "]]") if word in text]
        assert texts.short_text.endswith(f"\n{URL}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_of_text_can_be_written(app, language):
    checked = load_view(app, "nour")
    views = [
        build_view(),
        replace(checked, unchecked=()),
        replace(checked, unchecked=(UncheckedItem("facebook", "channel_unknown"),)),
    ]
    for view in views:
        texts = build_texts(view, language)
        name = AMAL.display_name(language) if view.association is AMAL else "Nour"
        assert name in texts.short_text.split("\n")[0]
        assert name in texts.body.split("\n")[0]
        assert f"\n{URL}\n\n-- \n" in texts.body
        assert f'href="{URL}"' in texts.html
        assert "—" not in texts.short_text + texts.body
        result = describe_result_without_gaps(view, NOW, Translator(language))
        assert result == texts.body.split("\n")[2]
        assert URL not in result


@pytest.mark.parametrize("language", LANGUAGES)
def test_long_name_and_url_do_not_truncate_the_link(language):
    association = Association("nour", LONG, name_fr="<b>" + "Nour " * 90)
    url = "https://" + "reports." * 25 + "example.org/r/" + "x" * 43
    texts = build_texts(build_view(DOWN, association=association), language, url=url)
    assert len(texts.short_text) <= MAX_TEXT_CHARACTERS
    assert texts.short_text.endswith(f"\n{url}")
    assert Translator(language).gap_title("website_down", "", "association") in texts.short_text
    assert "<b>" not in texts.html


def test_subject_names_the_problem_and_the_association_if_it_fits():
    subjects = {
        "website_down": "Your website does not open (Amal Association)",
        "website_domain_lost": "Urgent: your website’s domain name no longer exists",
    }
    for code, subject in subjects.items():
        assert build_texts(build_view(build_gap(code)), "en").subject == subject
    for code, language in product(CATALOGUE.definitions, LANGUAGES):
        if CATALOGUE[code].is_gap:
            assert len(build_texts(build_view(build_gap(code)), language).subject) <= 60
    assert build_texts(build_view(), "fr").subject == "Votre rapport\u00a0: Association Amal"


def test_mail_has_the_effort_and_says_that_the_link_is_private():
    texts = build_texts(build_view(DOWN, STALE), "fr")
    assert "\nDurée\u00a0: " in texts.body
    assert "Toute personne qui a ce lien peut lire le rapport" in texts.body
    assert "\nle Forum des associations\n" in texts.body


@pytest.mark.parametrize("language", LANGUAGES)
def test_text_of_a_new_link_says_that_the_older_one_has_ended(language):
    view = build_view(build_gap("website_down"), association=Association("amal", "A" * 50))
    day = NOW + timedelta(days=30)
    assert build_texts(view, language).new_link_text == ""
    address = ReportLinkAddress(URL, day, BEFORE, ends_older_links=True)
    text = build_invitation_text(view, CONFIG, address, language).new_link_text
    assert text.endswith(f":\n{URL}")
    assert Translator(language).format_date(day) in text


def build_promise(code="website_down", channel="website", due=0, **changes):
    due_date = (NOW + timedelta(days=due)).date()
    values = {
        "association": "amal",
        "kind": FollowUpKind.PROMISED,
        "author": "Amina",
        "occurred_at": BEFORE,
        "due_date": due_date,
        "channel": channel,
        "code": code,
    }
    return FollowUp(**(values | changes))


@pytest.mark.parametrize("language", LANGUAGES)
def test_reminder_names_the_day_and_the_problem(language):
    view = build_view(build_gap("website_down"))
    text = build_reminder_text(view, CONFIG, URL, language, build_promise())
    translator = Translator(language)
    assert translator.gap_title("website_down", "website", "association") in text
    assert translator.format_date(NOW) in text
    assert text.endswith(f":\n{URL}")


def test_reminder_of_a_promise_in_own_words_is_short():
    promise = build_promise(code=None, channel="", text="We will call the host. " * 90)
    view = build_view(association=Association("amal", LONG))
    text = build_reminder_text(view, CONFIG, URL, "fr", promise)
    assert len(text) <= MAX_TEXT_CHARACTERS
    assert "We will call the host." in text


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


STEPS = [-1, 0, 1]


@pytest.mark.parametrize("step", STEPS)
def test_longer_text_says_less(step):
    view = build_view(DOWN, STALE)
    spare_count = MAX_TEXT_CHARACTERS - len(build_texts(view, "en").short_text)
    url = URL + "x" * (spare_count + step)
    text = build_texts(view, "en", url=url).short_text
    more = Translator("en").message("more", n=1)
    assert (len(text) == MAX_TEXT_CHARACTERS + step, more in text) == (step <= 0, step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_long_name_is_cut_and_marked(step):
    name = "A" * (MAX_NAME_CHARACTERS + step)
    view = build_view(association=Association("amal", name))
    text = build_reminder_text(view, CONFIG, URL, "en", build_promise())
    assert (name if step <= 0 else f"{name[:-2]}…") in text


@pytest.mark.parametrize("step", STEPS)
def test_long_promise_is_cut_and_marked(step):
    promised = "w" * (MAX_PROMISE_CHARACTERS + step)
    promise = build_promise(code=None, channel="", text=promised)
    text = build_reminder_text(build_view(), CONFIG, URL, "en", promise)
    assert (promised if step <= 0 else f"{promised[:-2]}…") in text
