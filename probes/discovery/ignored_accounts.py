"""Accounts that stand in sites and are not their owners': vendors' defaults, and what is no account page."""

from __future__ import annotations

import re
from collections.abc import Mapping

from probes.models.finding import ACCOUNT_KINDS, Identity


def _split_names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Why each is here: it stood in the footer or the icons of a fresh installation (seen 2024-2026).
IGNORED_NAMES_BY_REASON: Mapping[str, frozenset[str]] = {
    "the networks' own accounts": _split_names(
        """
        facebook twitter x youtube linkedin instagram tiktok whatsapp telegram google meta
        pinterest intent share sharer home plugins dialog hashtag search embed watch explore
        login signup user company metaforbusiness fbbusiness twittersupport
        """
    ),
    "site builders and hosts sign their templates": _split_names(
        """
        wix wixcom wixstudio wixsite wordpress wordpressdotcom wordpresscom wordpressorg squarespace
        weebly jimdo jimdofree shopify blogger drupal joomla joomlaorg spip prestashop webflow webnode
        strikingly godaddy hostinger ovh ovhcloud emonsite e-monsite overblog ionos canva
        google_sites automattic ghost typo3 zyro yola site123 webador tilda carrd bluehost
        siteground namecheap
        """
    ),
    "theme makers link their demo icons": _split_names(
        """
        themeforest envato elementor elegantthemes themegrill themeisle colorlib yoast astra
        generatepress html5up bootstrap templatemonster wpbakery avada themefusion tagdiv
        tagdivofficial wpastra kadencewp rarathemes mythemeshop jegtheme athemes wpexplorer
        wpbeginner templateism themexpose sorabloggingtips piki envatomarket oceanwp
        hugothemes wowthemesnet joomshaper joomlart yootheme rockettheme rocketthemes gavickpro
        shape5 smartaddons bootstrapmade w3layouts templatemo tooplate htmlcodex freehtml5
        freehtml5co startbootstrap themeansar siteorigin wpzoom woothemes studiopress
        presscustomizr blossomthemes catchthemes acmethemes themezee qodeinteractive
        mikadothemes cmsmasters thimpress wedevs themeum themewagon untreeco uicookies
        """
    ),
    "widgets put their maker's name in the box": _split_names(
        "mailchimp addtoany addthis sharethis elfsight"
    ),
    "templates leave a placeholder": _split_names(
        """
        yourusername username yourname yourpage yourprofile yourchannel yourhandle yourcompany
        yourcompany yourbrand yoursite yourorganization companyname pagename channelname mysite
        votrepage votrenom votrecompte votrechaine nomdelapage example profile page name user123
        test demo
        """
    ),
}


def _remove_separators(name: str) -> str:
    """A name as every network writes it: some put hyphens or dots where others allow none."""
    return re.sub(r"[-._]", "", name)


_IGNORED_NAMES = frozenset(
    _remove_separators(name) for names in IGNORED_NAMES_BY_REASON.values() for name in names
)


def may_be_owner_account(identity: Identity) -> bool:
    """Whether a link can be the account of whoever made the page: no vendor's, no post, no share button.

    A LinkedIn group is a forum that only members read, not a page of an organisation.
    """
    key = identity.key
    if key is None or identity.kind not in ACCOUNT_KINDS or identity.note == "placeholder":
        return False
    return _remove_separators(strip_key_prefix(key)) not in _IGNORED_NAMES and not key.startswith(
        "groups/"
    )


def strip_key_prefix(key: str) -> str:
    """The name in a key, without its kind: `u:name`, `@name`, `company/name`."""
    return re.sub(r"^(?:u:|id:|@|group:|[a-z]+/)", "", key).lower()
