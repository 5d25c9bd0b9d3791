"""Example links of each platform give the expected keys and kinds.

The examples have the forms that public projects and documentation show, with invented names. The
number of each example is part of its test id. Several inputs of one form share a number.
"""

import re

import pytest

from probes.links.identify import identify_link
from probes.models.finding import LinkKind

# Number of the row, what is typed (`column<TAB>value` for a name in its column), kind, key; for a
# key that belongs to another channel, `channel:key`.
Row = tuple[str, str, str, str | None]

FACEBOOK: tuple[Row, ...] = (
    ("1", "http://facebook.com/annourtiznit/", "profile", "u:annourtiznit"),
    ("2", "https://fb.com/annourtiznit", "profile", "u:annourtiznit"),
    ("3", "https://facebook.com/annour.page", "profile", "u:annourpage"),
    ("4", "http://fr-fr.facebook.com/salma.annour.92?rc=p&__tn__=R", "profile", "u:salmaannour92"),
    ("5", "fr-FR.facebook.com/salma.annour.92", "profile", "u:salmaannour92"),
    (
        "6",
        "https://facebook.com/profile.php?id=100099241140000&rc=p&__tn__=R",
        "profile",
        "id:100099241140000",
    ),
    ("7", "http://www.facebook.com/profile.php?id=398000", "profile", "id:398000"),
    ("8", "https://facebook.com/profile.php", "invalid", None),
    (
        "9",
        "https://www.facebook.com/people/Salma-Annour/100099635420000",
        "profile",
        "id:100099635420000",
    ),
    (
        "10",
        "https://www.facebook.com/pages/Cercle-Annour-de-Tiznit/199296000000281",
        "page",
        "id:199296000000281",
    ),
    ("11", "https://www.facebook.com/pg/AnnourTiznit/about/", "page", "u:annourtiznit"),
    (
        "12",
        "https://www.facebook.com/p/Association-Annour-61550000000001/",
        "page",
        "id:61550000000001",
    ),
    (
        "13",
        "https://www.facebook.com/pages/category/Nonprofit-Organization/Annour-123456789012345/",
        "page",
        "id:123456789012345",
    ),
    ("14", "https://www.facebook.com/annourtiznit/posts/428202000004823", "post", "u:annourtiznit"),
    (
        "15",
        "https://www.facebook.com/108082000004530/posts/195887000007434",
        "post",
        "id:108082000004530",
    ),
    (
        "16",
        "https://www.facebook.com/permalink.php?story_fbid=1354970000282622&id=598330000946671",
        "post",
        "id:598330000946671",
    ),
    (
        "17",
        "https://m.facebook.com/story.php?story_fbid=1175060000875628&id=369910000724526",
        "post",
        "id:369910000724526",
    ),
    (
        "18",
        "https://www.facebook.com/photo.php?fbid=1454910000621936&id=598330000946671&set=a.600330000747004",
        "post",
        "id:598330000946671",
    ),
    ("19", "https://www.facebook.com/photo.php?fbid=10222720000573727", "post", None),
    (
        "20",
        "https://www.facebook.com/groups/AnnourForum/posts/2834680000759086/",
        "group",
        "group:annourforum",
    ),
    ("21", "https://www.facebook.com/watch/?v=311658000718223", "post", None),
    ("22", "https://fb.me/47500", "short", None),
    (
        "23",
        "https://lm.facebook.com/l.php?u=https%3A%2F%2Fwww.annour.ma%2Fagenda%3Ffbclid%3Dx1&h=AT0",
        "page",
        "website:annour.ma/agenda",
    ),
    ("24", "https://www.facebook.com/sharer/sharer.php?u=https%3A%2F%2Fannour.ma", "share", None),
    (
        "25",
        "https://www.facebook.com/plugins/page.php?href=https%3A%2F%2Fwww.facebook.com%2FAnnour&tabs=timeline",
        "profile",
        "u:annour",
    ),
    (
        "26",
        "https://www.facebook.com/login/?next=https%3A%2F%2Fwww.facebook.com%2FAnnour%2F",
        "profile",
        "u:annour",
    ),
    (
        "27",
        "https://www.facebook.com/home.php#!/pages/Annour/123456789012",
        "page",
        "id:123456789012",
    ),
    ("29", "https://web.facebook.com/annourtiznit?_rdc=1&_rdr", "profile", "u:annourtiznit"),
    (
        "30",
        "https://www.facebook.com/annourtiznit?locale=ar_AR&mibextid=ZbWKwL",
        "profile",
        "u:annourtiznit",
    ),
    ("31", "https://www.facebook.com/share/1AbCdEfGhI/", "short", None),
    ("32", "https://m.me/annourtiznit", "profile", "u:annourtiznit"),
    ("33", "https://www.facebook.com/", "home", None),
    ("33", "https://facebook.com/#", "home", None),
    ("33", "http://www.facebook.com/home.php", "home", None),
    ("34", "https://facebook.com/marketplace", "invalid", None),
    ("34", "https://facebook.com/gaming", "invalid", None),
    ("34", "https://facebook.com/groups", "invalid", None),
    ("35", "http://facebook.com/annour[tiznit", "invalid", None),
    (
        "36",
        "https://www.facebook.com/Association-Annour-1234567890123456/",
        "page",
        "id:1234567890123456",
    ),
)

TWITTER: tuple[Row, ...] = (
    ("1", "https://twitter.com/AnnourTiznit", "profile", "annourtiznit"),
    ("2", "https://twitter.com/@AnnourTiznit", "profile", "annourtiznit"),
    ("3", "https://twitter.com/#!/AnnourTiznit", "profile", "annourtiznit"),
    ("4", "https://x.com/AnnourTiznit?s=19", "profile", "annourtiznit"),
    ("5", "https://twitter.com/AnnourTiznit#anchor", "profile", "annourtiznit"),
    ("6", "https://twitter.com/AnnourTiznit/lists", "profile", "annourtiznit"),
    ("7", "https://mobile.twitter.com/salmaannour", "profile", "salmaannour"),
    ("8", "https://www.x.com/salmaannour", "profile", "salmaannour"),
    ("9", "https://twitter.com/Some_Annour", "profile", "some_annour"),
    ("10", "https://twitter.com/annour_Tiznit/status/1284154790000784385", "post", "annour_tiznit"),
    ("11", "https://x.com/AnnourNobody/status/1598743910000613250?s=20", "post", "annournobody"),
    ("12", "https://twitter.com/intent/user?screen_name=salmaannour", "profile", "salmaannour"),
    (
        "13",
        "https://twitter.com/intent/follow?screen_name=salmaannour&ref_src=twsrc%5Etfw",
        "profile",
        "salmaannour",
    ),
    (
        "14",
        "https://twitter.com/intent/tweet?url=https%3A%2F%2Fannour.ma&via=salmaannour",
        "share",
        None,
    ),
    ("15", "https://twitter.com/share?url=https%3A%2F%2Fannour.ma", "share", None),
    ("16", "https://twitter.com/i/user/2244990000", "profile", "id:2244990000"),
    (
        "17",
        "https://x.com/i/flow/login?redirect_after_login=%2Fsalmaannour",
        "profile",
        "salmaannour",
    ),
    ("18", "https://twitter.com/hashtag/Annour?src=hashtag_click", "search", None),
    ("19", "https://twitter.com/i/lists/1551265120000157826", "invalid", None),
    ("20", "https://twitter.com/home", "home", None),
    ("20", "https://twitter.com/explore", "search", None),
    ("20", "https://twitter.com/settings", "invalid", None),
    ("20", "https://twitter.com/messages", "invalid", None),
    ("21", "https://twitter.com/search?q=annour&src=typed_query", "search", None),
    ("22", "https://nitter.net/salmaannour", "profile", "salmaannour"),
    ("23", "https://fxtwitter.com/salmaannour", "profile", "salmaannour"),
    ("24", "twitter\t@salmaannour", "profile", "salmaannour"),
    ("24", "twitter\tsalmaannour", "profile", "salmaannour"),
    ("25", "https://twitter.com/association.annour", "invalid", None),
    ("26", "https://twitter.com/", "home", None),
    ("26", "https://x.com", "home", None),
    ("26", "https://twitter.com/#", "home", None),
    ("27", "https://t.co/AbC123", "short", None),
    ("28", "https://twitter.com/an_annour_longer_than_fifteen", "invalid", None),
)

UC = "UCannour2q7Y59uB_TXFjn2X"  # the shape of a channel's id; nobody's

YOUTUBE: tuple[Row, ...] = (
    ("1", f"https://www.youtube.com/channel/{UC}/videos?disable_polymer=1", "profile", UC),
    ("2", "https://www.youtube.com/@Annour?ucbcb=1", "profile", "@annour"),
    ("3", "https://www.youtube.com/@AnnourTiznit/shorts", "profile", "@annourtiznit"),
    (
        "4",
        "https://www.youtube.com/c/%EB%85%B8%EB%A7%88%EB%93%9CAnnourTiznit",
        "profile",
        "c/노마드annourtiznit",
    ),
    ("5", "https://www.youtube.com/c/annourtiznit", "profile", "c/annourtiznit"),
    ("6", "https://www.youtube.com/user/AnnourTV/videos", "profile", "user/annourtv"),
    ("7", "https://youtube.com/ANN0UR", "profile", "c/ann0ur"),
    ("8", "https://www.youtube.com/watchannour", "profile", "c/watchannour"),
    ("9", "https://www.youtube.com/watch?v=jZViAnnour0&t=100", "post", None),
    ("10", "https://www.youtube.com/watch", "post", None),
    ("10", "https://www.youtube.com/embed", "post", None),
    ("10", "https://www.youtube.com/feed", "invalid", None),
    ("10", "https://www.youtube.com/playlist", "post", None),
    (
        "11",
        "http://www.youtube.com/attribution_link?a=x1&u=%2Fwatch%3Fv%3DEhxAnnour_o%26feature%3Dshare",
        "post",
        None,
    ),
    ("12", "https://m.youtube.com/select_site", "invalid", None),
    ("13", "http://www.youtube.com/user/annourtiznit", "profile", "user/annourtiznit"),
    ("14", "https://www.youtube.com/28annourTV", "profile", "c/28annourtv"),
    ("15", "https://www.youtube.com/c/@28annourTV", "profile", "@28annourtv"),
    ("16", "https://youtube.com/c/28annour?cbrd=1&ucbcb=1", "profile", "c/28annour"),
    ("17", f"https://youtube.com/channel/{UC}?cbrd=1&ucbcb=1", "profile", UC),
    ("18", "https://youtube.com/channel/", "invalid", None),
    ("18", "https://youtube.com/c/", "invalid", None),
    ("18", "https://youtube.com/user/", "invalid", None),
    ("19", "https://www.youtube.com/shorts/U5BAnnourx4/nonsense?whatever", "post", None),
    ("20", "http://www.youtube.com/profile_redirector/102339000000169863014", "invalid", None),
    ("21", "https://www.youtube.com/signin?hl=fr&next=%2Fwatch%3Fv%3DyEtAnnour5j", "post", None),
    ("22", "https://m.youtube.com/?hl=fr&gl=FR#%2Fwatch%3Fv%3DObJAnnourhv", "post", None),
    ("23", "https://youtu.be/rbXAnnourQ0%5D", "post", None),
    ("24", "https://youtube.com/user/salma.annour", "profile", "user/salma.annour"),
    ("25", "http://youtube.com/c/your-custom-name", "profile", "c/your-custom-name"),
    ("26", "https://youtube.com/@channel.annour", "profile", "@channel.annour"),
    ("27", "http://youtube.com/this/is/too/long", "invalid", None),
    ("28", "https://youtube.com/trending", "invalid", None),
    ("28", "https://youtube.com/gaming", "invalid", None),
    ("28", "https://youtube.com/music", "invalid", None),
    ("28", "https://youtube.com/premium", "invalid", None),
    ("29", f"https://music.youtube.com/browse/{UC}", "profile", UC),
    ("30", "https://www.youtube.com/c/СальмаАннур", "profile", "c/сальмааннур"),
    (
        "31",
        "https://consent.youtube.com/m?continue=https%3A%2F%2Fwww.youtube.com%2F%40annourtiznit%3Fsi%3Dx1",
        "profile",
        "@annourtiznit",
    ),
    (
        "32",
        "http://www.youtube.com/subscription_center?add_user=AnnourTV",
        "profile",
        "user/annourtv",
    ),
    ("35", "https://www.youtube.com/@%D8%AC%D9%85%D8%B9%D9%8A%D8%A9", "profile", "@جمعية"),
    ("36", "https://www.youtube.com/", "home", None),
    ("36", "https://youtube.com/#", "home", None),
    ("36", "https://youtu.be/", "home", None),
    ("37", "https://www.youtube.com/results?search_query=annour", "search", None),
    ("38", f"https://www.youtube.com/channel/{UC.lower()}", "invalid", None),
)

LINKEDIN: tuple[Row, ...] = (
    ("1", "https://linkedin.com/company/annour/", "page", "company/annour"),
    ("2", "https://ma.linkedin.com/company/some-annour", "page", "company/some-annour"),
    (
        "3",
        "https://www.linkedin.com/company/Some-Annour/about/?viewAsMember=true",
        "page",
        "company/some-annour",
    ),
    ("4", "https://www.linkedin.com/company/1035/", "page", "company/1035"),
    ("5", "https://linkedin.com/school/annour-university", "page", "school/annour-university"),
    ("6", "https://www.linkedin.com/showcase/some-brand/", "page", "showcase/some-brand"),
    ("7", "https://www.linkedin.com/mwlite/company/some-annour", "page", "company/some-annour"),
    (
        "8",
        "https://www.linkedin.com/organization-guest/company/some-annour?trk=x1",
        "page",
        "company/some-annour",
    ),
    (
        "9",
        "https://www.linkedin.com/authwall?trk=x1&sessionRedirect=https%3A%2F%2Fwww.linkedin.com%2Fcompany%2Fsome-annour%2F",
        "page",
        "company/some-annour",
    ),
    (
        "10",
        "https://www.linkedin.com/uas/login?session_redirect=%2Fcompany%2F123456%2Fadmin%2F",
        "page",
        "company/123456",
    ),
    ("11", "https://www.linkedin.com/company/123456/admin/dashboard/", "page", "company/123456"),
    ("12", "https://linkedin.com/in/salmaannour", "person", "in/salmaannour"),
    ("13", "https://de.linkedin.com/in/salmaannour", "person", "in/salmaannour"),
    ("15", "https://linkedin.com/in/salma_annour", "person", "in/salma_annour"),
    ("16", "https://linkedin.com/jobs/view/123", "invalid", None),
    ("16", "https://linkedin.com/feed", "home", None),
    ("17", "https://linkedin.com/company/", "invalid", None),
    ("17", "https://linkedin.com/in/", "invalid", None),
    ("17", "https://linkedin.com/", "home", None),
    ("18", "https://www.linkedin.com/company/unavailable/", "invalid", None),
    (
        "19",
        "https://www.linkedin.com/shareArticle?mini=true&url=https%3A%2F%2Fannour.ma",
        "share",
        None,
    ),
    (
        "20",
        "https://www.linkedin.com/sharing/share-offsite/?url=https%3A%2F%2Fannour.ma",
        "share",
        None,
    ),
    (
        "21",
        "https://www.linkedin.com/posts/some-annour_ong-maroc-activity-7163147460000744384-SyL3",
        "post",
        "company/some-annour",
    ),
    (
        "22",
        "https://www.linkedin.com/feed/update/urn:li:activity:7163147460000744384",
        "post",
        None,
    ),
    ("23", "https://lnkd.in/abc123", "short", None),
    (
        "24",
        "https://www.linkedin.com/company/association-d%C3%A9veloppement",
        "page",
        "company/association-développement",
    ),
    ("25", "https://www.linkedin.com/groups/1234567/", "group", "groups/1234567"),
    (
        "26",
        "http://www.linkedin.com/redir/redirect?url=https%3A%2F%2Fannour.ma&x=1",
        "page",
        "website:annour.ma",
    ),
    ("27", "linkedin.com/company/some company", "invalid", None),
)

INSTAGRAM: tuple[Row, ...] = (
    ("6.1", "https://www.instagram.com/salma_annour/p/BxKAnnouri5i/", "post", "salma_annour"),
    ("6.1", "https://www.instagram.com/p/BxKAnnouri5i/?igshid=x1", "post", None),
    ("6.1", "http://instagr.am/annour", "profile", "annour"),
    ("6.1", "https://instagram.com/ann-our", "invalid", None),
    ("6.1", "https://www.instagram.com/reels/videos/", "post", None),
    ("6.1", "https://www.instagram.com/your_activity/interactions/likes/", "invalid", None),
    ("6.1", "https://ig.me/m/annour", "profile", "annour"),
    ("6.1", "https://www.instagram.com/accounts/login/?next=/annour/", "profile", "annour"),
    ("6.1", "https://www.instagram.com/stories/annour/31/", "post", "annour"),
    ("6.1", "https://l.instagram.com/?u=https%3A%2F%2Fannour.ma", "page", "website:annour.ma"),
)

TIKTOK: tuple[Row, ...] = (
    ("6.2", "https://www.tiktok.com/@Annour.Tiznit", "profile", "annour.tiznit"),
    ("6.2", "https://www.tiktok.com/@annour/video/7163147460000744384", "post", "annour"),
    ("6.2", "https://vm.tiktok.com/ZMannour/", "short", None),
    ("6.2", "https://vt.tiktok.com/ZMannour/", "short", None),
    ("6.2", "https://www.tiktok.com/t/ZMannour/", "short", None),
    ("6.2", "https://www.tiktok.com/@annour?_r=1&_t=x1&lang=fr", "profile", "annour"),
    ("6.2", "https://www.tiktok.com/@annour./", "invalid", None),
)

TELEGRAM: tuple[Row, ...] = (
    ("6.3", "https://t.me/s/annourtiznit/76", "post", "annourtiznit"),
    ("6.3", "https://t.me/s/annourtiznit", "profile", "annourtiznit"),
    ("6.3", "https://telegram.me/annourtiznit", "profile", "annourtiznit"),
    ("6.3", "https://telegram.dog/annourtiznit", "profile", "annourtiznit"),
    ("6.3", "https://annourtiznit.t.me/", "profile", "annourtiznit"),
    ("6.3", "https://t.me/annourtiznit/76", "post", "annourtiznit"),
    ("6.3", "https://t.me/joinchat/AAAAAEannour0000", "group", "+AAAAAEannour0000"),
    ("6.3", "https://t.me/+AAAAAEannour0000", "group", "+AAAAAEannour0000"),
    ("6.3", "https://t.me/share/url?url=https%3A%2F%2Fannour.ma", "share", None),
    ("6.3", "https://t.me/addstickers/Annour", "invalid", None),
    ("6.3", "https://t.me/proxy?server=annour.ma", "invalid", None),
    ("6.3", "https://t.me/iv?url=https%3A%2F%2Fannour.ma", "invalid", None),
)

SHEET = {
    "facebook": FACEBOOK,
    "twitter": TWITTER,
    "youtube": YOUTUBE,
    "linkedin": LINKEDIN,
    "instagram": INSTAGRAM,
    "tiktok": TIKTOK,
    "telegram": TELEGRAM,
}
ROWS = [(channel, *row) for channel, rows in SHEET.items() for row in rows]

# What a canonical address looks like, where the key alone does not say it.
CANONICAL = {
    "https://facebook.com/annour.page": "https://www.facebook.com/annour.page",
    "https://www.facebook.com/pg/AnnourTiznit/about/": "https://www.facebook.com/AnnourTiznit",
    "http://www.facebook.com/profile.php?id=398000": "https://www.facebook.com/profile.php?id=398000",
    "https://twitter.com/Some_Annour": "https://x.com/Some_Annour",
    "https://www.youtube.com/user/AnnourTV/videos": "https://www.youtube.com/user/AnnourTV",
    "https://linkedin.com/company/annour/": "https://www.linkedin.com/company/annour",
    "http://instagr.am/annour": "https://www.instagram.com/annour/",
    "https://t.me/s/annourtiznit/76": "https://t.me/annourtiznit",
}


def _cell(typed: str) -> tuple[str, str | None]:
    column, tab, value = typed.partition("\t")
    return (value, column) if tab else (typed, None)


@pytest.mark.parametrize(("channel", "number", "typed", "kind", "key"), ROWS)
def test_example_links_give_the_expected_identity(
    channel: str, number: str, typed: str, kind: str, key: str | None
) -> None:
    wanted = re.fullmatch(r"(website):(.+)", key or "")
    identity = identify_link(*_cell(typed))
    expected = (wanted[1], LinkKind(kind), wanted[2]) if wanted else (channel, LinkKind(kind), key)
    assert (identity.channel, identity.kind, identity.key) == expected, number


@pytest.mark.parametrize("typed", CANONICAL)
def test_key_has_its_canonical_address(typed: str) -> None:
    assert identify_link(typed).canonical == CANONICAL[typed]
