"""In the demo, sites embed own posts and posts of a partner. Only the own ones count."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from auditor.conclusions.association_view import AccountView, build_association_view
from auditor.conclusions.run_results import build_evaluation_policy
from auditor.config.schema import load_config
from auditor.demo.associations import DemoAssociation, load_demo_associations
from auditor.demo.fake_web import LINKEDIN_PARTNER_ID, TWITTER_PARTNER_ID, FakeWeb
from auditor.demo.model import FakeRequest
from auditor.demo.play import schedule_demo_runs
from auditor.rules.association import evaluate_association
from auditor.rules.association_state import AssociationState, EvaluationTime
from probes.channels import website
from probes.links import post_numbers
from probes.links.identify import identify_link
from probes.models.finding import Account, Finding
from probes.models.http import Page
from probes.models.probe import run_offline
from storage.models.audit import AccountRow, Association, Observation

CONFIG = load_config(None, {})
LAST_RUN = schedule_demo_runs(14, datetime(2026, 11, 28, 0, 30, tzinfo=UTC))[-1]
FAKE_WEB = FakeWeb()
ASSOCIATIONS = {association.id: association for association in load_demo_associations()}


def probe_site(association: DemoAssociation) -> Finding:
    def respond(request):
        parts = urlsplit(request.url)
        target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        response = FAKE_WEB.respond(
            FakeRequest(parts.scheme, parts.hostname or "", target), LAST_RUN
        )
        headers = {**response.headers, "content-type": response.content_type}
        return Page(request.url, response.status, headers, response.body, LAST_RUN.started_at)

    url = association.site_url
    account = Account(association.id, url, identify_link(url, "website"))
    return run_offline(website.probe(account), respond).finding


def view_accounts(association: DemoAssociation) -> dict[str, AccountView]:
    """Return the accounts after a run in which only the site was checked."""
    urls = {"website": association.site_url, **association.get_profile_urls()}
    rows = tuple(
        AccountRow(association.id, url, identify_link(url, channel), channel, id=number)
        for number, (channel, url) in enumerate(urls.items(), 1)
    )
    state = AssociationState(Association(association.id, association.name), rows)
    time = EvaluationTime(LAST_RUN.started_at, LAST_RUN.started_at)
    if association.website:
        site = Observation(1, 1, LAST_RUN.started_at, probe_site(association))
        state = evaluate_association(state, {1: site}, time, build_evaluation_policy(CONFIG), {})
    view = build_association_view(state, CONFIG, time, {})
    return {account.channel: account for account in view.accounts}


@pytest.mark.parametrize(
    ("association_id", "channel", "partner_id"),
    [("a100", "twitter", TWITTER_PARTNER_ID), ("a094", "linkedin", LINKEDIN_PARTNER_ID)],
)
def test_only_the_own_one_of_two_linked_posts_is_credited(
    association_id: str, channel: str, partner_id: str
) -> None:
    site = probe_site(ASSOCIATIONS[association_id])
    posts = post_numbers.parse_linked_posts(str(site.facts[post_numbers.LINKED_POSTS_FACT]))
    keys = {
        identify_link(ASSOCIATIONS[owner].get_profile_url(channel)).key
        for owner in (association_id, partner_id)
    }
    assert {(post.channel, post.key) for post in posts} == {(channel, key) for key in keys}
    credited = {
        name: account.last_activity
        for name, account in view_accounts(ASSOCIATIONS[association_id]).items()
        if account.last_activity and account.channel != "website"
    }
    assert list(credited) == [channel]
    assert credited[channel] is not None
    assert credited[channel].source == "post_number"
    assert view_accounts(ASSOCIATIONS[partner_id])[channel].activity_band == "unknown"


@pytest.mark.parametrize(("association_id", "channel"), [("a030", "twitter"), ("a067", "linkedin")])
def test_old_own_post_leaves_activity_unknown(association_id: str, channel: str) -> None:
    site = probe_site(ASSOCIATIONS[association_id])
    assert post_numbers.LINKED_POSTS_FACT in site.facts
    account = view_accounts(ASSOCIATIONS[association_id])[channel]
    assert (account.activity_band, account.last_activity) == ("unknown", None)
