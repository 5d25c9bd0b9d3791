"""Sites that embed posts of their association and of a partner, with the numbers of real posts.

The posts are those that the platforms' pages and APIs have. The partner has no site, so none of
these numbers is a clue to its activity.
"""

from __future__ import annotations

from datetime import datetime

from auditor.demo.associations import DemoAssociation, load_demo_associations
from auditor.demo.model import DemoRun, FakeRequest, FakeResponse
from auditor.demo.pages import site, twitter
from auditor.demo.pages.site import PageFrame, PublishingHabit

TWITTER_PARTNER_ID = "a055"
LINKEDIN_PARTNER_ID = "a006"
"""Associations without a site whose accounts cannot be read without an API key."""

RECENT_LINKEDIN_HABIT = PublishingHabit(5)
OLD_LINKEDIN_HABIT = PublishingHabit(30, ended_days_ago=200)


def serve_site_with_posts(
    association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Serve a WordPress site that embeds the newest posts of its accounts and of a partner."""
    return _serve_site(association, request, demo_run, RECENT_LINKEDIN_HABIT)


def serve_site_with_old_posts(
    association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Serve a WordPress site whose embedded LinkedIn post is more than half a year old."""
    return _serve_site(association, request, demo_run, OLD_LINKEDIN_HABIT)


def _serve_site(
    association: DemoAssociation,
    request: FakeRequest,
    demo_run: DemoRun,
    linkedin_habit: PublishingHabit,
) -> FakeResponse:
    embeds = []
    if association.twitter:
        partner = _find_association(TWITTER_PARTNER_ID)
        embeds.append(_render_tweet(association, demo_run) + _render_tweet(partner, demo_run))
    if association.linkedin in ("denied", "authwall"):
        partner = _find_association(LINKEDIN_PARTNER_ID)
        for author, habit in ((association, linkedin_habit), (partner, RECENT_LINKEDIN_HABIT)):
            newest_post_at = habit.list_post_dates(demo_run)[0]
            embeds.append(_render_linkedin_link(author, newest_post_at))
    frame = PageFrame(footer_html=f'<div class="posts">{"".join(embeds)}</div>\n')
    return site.make_wordpress_site(frame=frame)(association, request, demo_run)


def _find_association(association_id: str) -> DemoAssociation:
    return next(item for item in load_demo_associations() if item.id == association_id)


def _render_tweet(association: DemoAssociation, demo_run: DemoRun) -> str:
    """Return the embed code of the newest post of an X account."""
    users = twitter.build_twitter_users([association], demo_run)
    posted_at = users[association.twitter_id].newest_post_at
    if posted_at is None:
        return ""
    address = (
        f"https://twitter.com/{association.twitter_handle}/status/"
        f"{twitter.make_post_id(posted_at)}?ref_src=twsrc%5Etfw"
    )
    return (
        f'<blockquote class="twitter-tweet"><p>Rencontre ouverte.</p>&mdash; '
        f'{association.name} <a href="{address}">{posted_at:%d/%m/%Y}</a></blockquote>\n'
    )


def _render_linkedin_link(association: DemoAssociation, posted_at: datetime) -> str:
    """Return a link to a post of a LinkedIn page."""
    number = int(posted_at.timestamp() * 1000) << 22
    address = f"https://www.linkedin.com/posts/{association.slug}_rencontre-activity-{number}-dEm0"
    return f'<p><a href="{address}">Notre rencontre, sur LinkedIn</a></p>\n'
