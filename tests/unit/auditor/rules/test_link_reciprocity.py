"""Link reciprocity: how an account and its association's site link to each other."""

from datetime import UTC, datetime

import pytest

from auditor.rules.association import AssociationState, EvaluationTime, build_rule_context
from auditor.rules.link_reciprocity import (
    classify_link_reciprocity,
    has_link_to_site,
    is_linked_from_site,
)
from probes.channels.website import UNREAD_CONTACT_FACT
from probes.models.finding import Finding, FoundLink, Identity, LinkKind, Presence
from storage.models.audit import AccountRow, AccountState, AccountStatus, Association

NOW = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
NOUR = Association("nour", "Nour")


def link(channel, key, canonical=""):
    return FoundLink(channel, key, canonical, "footer", "https://nour.example/", "words")


OURS = link("youtube", "@nour")
OTHER = link("youtube", "@other")
BY_ID = link("youtube", "UC" + "a" * 22)
HOME = link("website", "nour.example/ar")
STRANGE = link("website", "elsewhere.example/page")


def row(number, channel, key):
    return AccountRow("nour", "typed", Identity(channel, LinkKind.PAGE, key), channel, id=number)


def read(links=(), **facts):
    return Finding(Presence.PRESENT, links=tuple(links), facts={"viewport": True, **facts})


def standing(number, known, state=None):
    return AccountStatus(
        number,
        state or (AccountState.PRESENT if known else AccountState.UNKNOWN),
        last_known_finding=known,
    )


def placed(site, profile, *, owners=None, more=()):
    """Return an account and its rule context; `site` and `profile` are last findings."""
    rows = [row(2, "youtube", "@nour")] + [one for one, _ in more]
    standings = {2: standing(2, profile)} | {one.id: known for one, known in more}
    if site is not None:
        rows.append(row(1, "website", "nour.example"))
        standings[1] = standing(1, site or None)
    known = build_rule_context(
        AssociationState(NOUR, tuple(rows), standings), EvaluationTime(NOW, NOW), owners or {}
    )
    return known.accounts[0], known


def stands(*placing, **more):
    return classify_link_reciprocity(*placed(*placing, **more))


@pytest.mark.parametrize(
    ("site", "profile", "word"),
    [
        ((OURS,), (HOME,), "reciprocal"),
        ((OURS,), (), "site_only"),
        ((), (HOME,), "profile_only"),
        ((), (), "registry_only"),
        ((OTHER,), (), "contradicted"),
        ((OTHER,), (HOME,), "profile_only"),
        ((OURS, OTHER), (), "site_only"),
    ],
)
def test_reciprocity_uses_links_in_both_directions(site, profile, word):
    assert stands(read(site), read(profile)) == word


def test_link_to_a_donor_or_old_address_is_no_contradiction():
    assert stands(read(), read([STRANGE])) == "registry_only"


def test_link_to_another_associations_site_contradicts():
    owned = {("website", "elsewhere.example"): ("amal",)}
    assert stands(read(), read([STRANGE]), owners=owned) == "contradicted"
    assert stands(read(), read([STRANGE, HOME]), owners=owned) == "profile_only"


def test_branch_without_a_site_may_link_to_its_federation():
    owned = {("website", "elsewhere.example"): ("federation",)}
    assert stands(None, read([STRANGE]), owners=owned) == "registry_only"


def test_site_that_links_to_another_registered_account_contradicts_none():
    second = (row(3, "youtube", "@other"), standing(3, read()))
    assert stands(read([OTHER]), read(), more=[second]) == "registry_only"


def test_link_by_id_may_be_the_account_registered_by_handle():
    assert stands(read([BY_ID]), read()) == "registry_only"
    assert is_linked_from_site(*placed(read([BY_ID]), read())) is None


def test_link_to_the_new_address_is_a_link_to_the_site():
    moved = Finding(
        Presence.PRESENT, final_url="https://www.nouveau.example/", facts={"viewport": True}
    )
    assert stands(moved, read([link("website", "nouveau.example")])) == "profile_only"


def test_website_has_the_reciprocity_of_its_best_account():
    held, known = placed(read([OURS]), read([HOME]))
    site = next(known.accounts_on("website"))
    assert (
        classify_link_reciprocity(site, known)
        == classify_link_reciprocity(held, known)
        == "reciprocal"
    )


@pytest.mark.parametrize(
    ("site", "leads"),
    [
        (read([OURS]), True),
        (read(), False),
        (read([OTHER]), False),
        (Finding(Presence.PRESENT), None),  # behind a wall: nothing was read
        (False, None),  # never seen
        (None, None),  # no site at all
        (read(**{UNREAD_CONTACT_FACT: "https://nour.example/contact"}), None),
        (read([OURS], **{UNREAD_CONTACT_FACT: "https://nour.example/contact"}), True),
    ],
)
def test_site_link_is_known_only_if_the_site_was_read(site, leads):
    assert is_linked_from_site(*placed(site, read())) is leads


def test_unread_second_site_makes_the_link_unknown():
    second = (row(3, "website", "nour2.example"), standing(3, None))
    assert is_linked_from_site(*placed(read(), read(), more=[second])) is None
    gone = (row(3, "website", "nour2.example"), standing(3, None, AccountState.GONE))
    assert is_linked_from_site(*placed(read(), read(), more=[gone])) is False


@pytest.mark.parametrize(
    ("profile", "leads"),
    [(read([HOME]), True), (read([STRANGE]), False), (read(), None), (None, None)],
)
def test_profile_link_is_known_only_if_it_has_links(profile, leads):
    assert has_link_to_site(*placed(read(), profile)) is leads
