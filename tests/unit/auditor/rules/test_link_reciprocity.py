"""Link reciprocity: how an account and its association's site link to each other."""

from datetime import UTC, datetime

import pytest

from auditor.rules.association import build_rule_context
from auditor.rules.association_state import AssociationState, EvaluationTime
from auditor.rules.link_reciprocity import (
    classify_link_reciprocity,
    has_link_to_site,
    is_linked_from_site,
)
from probes.channels.website import UNREAD_CONTACT_FACT
from probes.models.finding import LINKS_CUT_FACT, Finding, FoundLink, Identity, LinkKind, Presence
from storage.models.audit import AccountRow, AccountState, AccountStatus, Association

NOW = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
NOUR = Association("nour", "Nour")


def build_link(channel, key, canonical=""):
    return FoundLink(channel, key, canonical, "footer", "https://nour.example/", "text")


OUR_LINK = build_link("youtube", "@nour")
OTHER_LINK = build_link("youtube", "@other")
LINK_BY_ID = build_link("youtube", "UC" + "a" * 22)
HOME_LINK = build_link("website", "nour.example/ar")
FOREIGN_LINK = build_link("website", "elsewhere.example/page")


def build_row(number, channel, key):
    return AccountRow("nour", "typed", Identity(channel, LinkKind.PAGE, key), channel, id=number)


def build_read_finding(links=(), **facts):
    return Finding(Presence.PRESENT, links=tuple(links), facts={"viewport": True, **facts})


def build_status(number, finding, state=None):
    return AccountStatus(
        number,
        state or (AccountState.PRESENT if finding else AccountState.UNKNOWN),
        last_known_finding=finding,
    )


def build_account_and_context(site, profile, *, owners=None, extra_accounts=()):
    """Return an account and its rule context; `site` and `profile` are last findings."""
    rows = [build_row(2, "youtube", "@nour")] + [extra_row for extra_row, _ in extra_accounts]
    statuses = {2: build_status(2, profile)} | {
        extra_row.id: context for extra_row, context in extra_accounts
    }
    if site is not None:
        rows.append(build_row(1, "website", "nour.example"))
        statuses[1] = build_status(1, site or None)
    context = build_rule_context(
        AssociationState(NOUR, tuple(rows), statuses), EvaluationTime(NOW, NOW), owners or {}
    )
    return context.accounts[0], context


def classify(*findings, **options):
    return classify_link_reciprocity(*build_account_and_context(*findings, **options))


@pytest.mark.parametrize(
    ("site", "profile", "level"),
    [
        ((OUR_LINK,), (HOME_LINK,), "reciprocal"),
        ((OUR_LINK,), (), "site_only"),
        ((), (HOME_LINK,), "profile_only"),
        ((), (), "registry_only"),
        ((OTHER_LINK,), (), "contradicted"),
        ((OTHER_LINK,), (HOME_LINK,), "profile_only"),
        ((OUR_LINK, OTHER_LINK), (), "site_only"),
    ],
)
def test_reciprocity_uses_links_in_both_directions(site, profile, level):
    assert classify(build_read_finding(site), build_read_finding(profile)) == level


def test_link_to_a_donor_or_old_address_is_no_contradiction():
    assert classify(build_read_finding(), build_read_finding([FOREIGN_LINK])) == "registry_only"


def test_link_to_another_associations_site_contradicts():
    owners = {("website", "elsewhere.example"): ("amal",)}
    assert (
        classify(build_read_finding(), build_read_finding([FOREIGN_LINK]), owners=owners)
        == "contradicted"
    )
    assert (
        classify(build_read_finding(), build_read_finding([FOREIGN_LINK, HOME_LINK]), owners=owners)
        == "profile_only"
    )


def test_branch_without_a_site_may_link_to_its_federation():
    owners = {("website", "elsewhere.example"): ("federation",)}
    assert classify(None, build_read_finding([FOREIGN_LINK]), owners=owners) == "registry_only"


def test_site_that_links_to_another_registered_account_contradicts_none():
    second = (build_row(3, "youtube", "@other"), build_status(3, build_read_finding()))
    assert (
        classify(build_read_finding([OTHER_LINK]), build_read_finding(), extra_accounts=[second])
        == "registry_only"
    )


def test_link_by_id_may_be_the_account_registered_by_handle():
    assert classify(build_read_finding([LINK_BY_ID]), build_read_finding()) == "registry_only"
    assert (
        is_linked_from_site(
            *build_account_and_context(build_read_finding([LINK_BY_ID]), build_read_finding())
        )
        is None
    )


def test_link_to_the_new_address_is_a_link_to_the_site():
    redirected = Finding(
        Presence.PRESENT, final_url="https://www.nouveau.example/", facts={"viewport": True}
    )
    assert (
        classify(redirected, build_read_finding([build_link("website", "nouveau.example")]))
        == "profile_only"
    )


def test_website_has_the_reciprocity_of_its_best_account():
    account, context = build_account_and_context(
        build_read_finding([OUR_LINK]), build_read_finding([HOME_LINK])
    )
    site = context.sites[0]
    assert (
        classify_link_reciprocity(site, context)
        == classify_link_reciprocity(account, context)
        == "reciprocal"
    )


@pytest.mark.parametrize(
    ("site", "is_linked"),
    [
        (build_read_finding([OUR_LINK]), True),
        (build_read_finding(), False),
        (build_read_finding([OTHER_LINK]), False),
        (Finding(Presence.PRESENT), None),  # no page was parsed
        (False, None),  # never checked
        (None, None),  # no site
        (build_read_finding(**{UNREAD_CONTACT_FACT: "https://nour.example/contact"}), None),
        (
            build_read_finding([OUR_LINK], **{UNREAD_CONTACT_FACT: "https://nour.example/contact"}),
            True,
        ),
    ],
)
def test_site_link_is_known_only_if_the_site_was_read(site, is_linked):
    assert is_linked_from_site(*build_account_and_context(site, build_read_finding())) is is_linked


def test_unread_second_site_makes_the_link_unknown():
    second = (build_row(3, "website", "nour2.example"), build_status(3, None))
    assert (
        is_linked_from_site(
            *build_account_and_context(
                build_read_finding(), build_read_finding(), extra_accounts=[second]
            )
        )
        is None
    )
    gone_site = (build_row(3, "website", "nour2.example"), build_status(3, None, AccountState.GONE))
    assert (
        is_linked_from_site(
            *build_account_and_context(
                build_read_finding(), build_read_finding(), extra_accounts=[gone_site]
            )
        )
        is False
    )


@pytest.mark.parametrize(
    ("profile", "is_linked"),
    [
        (build_read_finding([HOME_LINK]), True),
        (build_read_finding([FOREIGN_LINK]), False),
        (build_read_finding(), None),
        (None, None),
    ],
)
def test_profile_link_is_known_only_if_it_has_links(profile, is_linked):
    assert has_link_to_site(*build_account_and_context(build_read_finding(), profile)) is is_linked


def test_site_with_more_links_than_are_kept_proves_no_missing_link():
    site = build_read_finding([OTHER_LINK], **{LINKS_CUT_FACT: True})
    assert is_linked_from_site(*build_account_and_context(site, build_read_finding())) is None
    assert classify(site, build_read_finding()) == "registry_only"
