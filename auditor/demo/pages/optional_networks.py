"""Public pages of Instagram, TikTok, WhatsApp and Telegram, as visitors without a login see them.

Instagram redirects to its login page or shows a page of scripts. TikTok has profile embeds, oEmbed
and profile pages with a status code. WhatsApp shows the names of channels, and Telegram those of
channels with a preview (docs/explanations/platforms.md, observed 2026-08 to 2026-11).
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from html import escape
from urllib.parse import quote

from auditor.demo.associations import DemoAssociation
from auditor.demo.model import (
    CLOUDFLARE_CHALLENGE_HTML,
    DemoRun,
    FakeRequest,
    FakeResponse,
    html_response,
    json_response,
    redirect_response,
    text_response,
)
from auditor.demo.pages.site import PublishingHabit

RECENT_HABIT = PublishingHabit()
OLD_HABIT = PublishingHabit(interval_days=30, ended_days_ago=400)
CANARY_NAME = "Gazette Tamesna Sud"
"""The name that the page of every canary shows."""
CANARY_KEYS = {
    "instagram": "gazette_tamesna_sud",
    "tiktok": "gazette.tamesna.sud",
    "whatsapp": "0029VaGazetteTamesnaSud7",
    "telegram": "gazette_tamesna_sud",
}

CANARY_SCENARIOS = {
    "instagram": "shown",
    "tiktok": "active",
    "whatsapp": "channel",
    "telegram": "active",
}

Accounts = Mapping[str, DemoAssociation]
"""The associations by the lower-case names of their accounts on one network."""


def _find_account(accounts: Accounts, channel: str, key: str) -> tuple[str, str]:
    """Return the scenario and the name of an account, both empty if it does not exist."""
    if key == CANARY_KEYS[channel]:
        return CANARY_SCENARIOS[channel], CANARY_NAME
    association = accounts.get(key.lower())
    if association is None:
        return "", ""
    return association.get_scenario_name(channel), association.name


def _get_habit(scenario_name: str) -> PublishingHabit:
    return OLD_HABIT if scenario_name == "stale" else RECENT_HABIT


# --- Instagram ---

INSTAGRAM_SHELL_HTML = (
    '<!DOCTYPE html><html lang="fr"><head><title>Instagram</title></head><body><div id="root">'
    '</div><script type="application/json">{"routePath":null}</script></body></html>'
)


def respond_instagram(accounts: Accounts, request: FakeRequest, _run: DemoRun) -> FakeResponse:
    """Return the login page, a page of scripts, or the page of a shown account."""
    if request.path == "/robots.txt":
        return text_response("User-agent: *\nDisallow: /\n")
    if request.path.startswith("/accounts/login"):
        return html_response("<html><head><title>Login • Instagram</title></head></html>")
    username = request.path.strip("/").lower()
    scenario_name, name = _find_account(accounts, "instagram", username)
    if scenario_name in ("shown", "unregistered"):
        return html_response(_render_instagram_page(name, username))
    if scenario_name == "wall":
        return redirect_response(
            f"https://www.instagram.com/accounts/login/?next={quote(request.path, safe='')}", 302
        )
    return html_response(INSTAGRAM_SHELL_HTML)


def _render_instagram_page(name: str, username: str) -> str:
    title = escape(f"{name} (@{username}) • Instagram photos and videos")
    return (
        f'<!DOCTYPE html><html lang="en"><head><title>{title}</title>'
        f'<meta property="og:title" content="{title}"><meta property="og:description" '
        f'content="412 Followers, 35 Following, 88 Posts - See Instagram photos and videos from '
        f'{escape(name)} (@{username})"></head><body></body></html>'
    )


# --- TikTok ---

TIKTOK_STATUS_CODES = {
    "active": 0,
    "stale": 0,
    "embed_ended": 0,
    "private_page": 10222,
    "region": 10231,
}
"""The status codes of profile pages by scenario."""
TIKTOK_NOT_FOUND_CODE = 10221
TIKTOK_EMBED_SCENARIOS = frozenset({"active", "stale", "private"})


def respond_tiktok(accounts: Accounts, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
    """Return the profile embed, the oEmbed response, or the profile page of an account."""
    if request.path == "/robots.txt":
        return text_response("User-agent: *\nDisallow: /inapp/\n")
    is_oembed = request.path == "/oembed"
    url = request.query.get("url", "") if is_oembed else request.path
    key = url.rpartition("@")[2].lower()
    scenario_name, name = _find_account(accounts, "tiktok", key)
    if scenario_name == "walled":
        return html_response(CLOUDFLARE_CHALLENGE_HTML, 403)
    if request.path.startswith("/embed/"):
        videos = _get_habit(scenario_name).list_post_dates(demo_run)
        return _respond_tiktok_embed(request.path, key, name, scenario_name, videos)
    status_code = TIKTOK_STATUS_CODES.get(scenario_name, TIKTOK_NOT_FOUND_CODE)
    if is_oembed:
        return _respond_tiktok_oembed(key, name, status_code)
    return html_response(_render_tiktok_page(status_code, key, name))


def _respond_tiktok_embed(
    path: str, key: str, name: str, scenario_name: str, videos: list[datetime]
) -> FakeResponse:
    if scenario_name not in TIKTOK_EMBED_SCENARIOS:
        return html_response("<html><head><title>TikTok</title></head></html>", 404)
    user: dict[str, object] = {"uniqueId": key, "nickname": name, "followerCount": 530}
    if scenario_name == "private":
        user["privateAccount"] = True
    video_list = [{"id": str(int(time.timestamp()) << 32 | 7)} for time in videos]
    state = {"source": {"data": {path: {"userInfo": user, "videoList": video_list}}}}
    return html_response(
        "<html><head><title>TikTok</title></head><body><script "
        'id="__FRONTITY_CONNECT_STATE__" type="application/json">'
        f"{json.dumps(state, ensure_ascii=False)}</script></body></html>"
    )


def _respond_tiktok_oembed(key: str, name: str, status_code: int) -> FakeResponse:
    if status_code != 0:
        return json_response({"code": 400, "message": "Something went wrong"}, 400)
    author_url = f"https://www.tiktok.com/@{key}"
    return json_response({"version": "1.0", "author_url": author_url, "author_name": name})


def _render_tiktok_page(status_code: int, key: str, name: str) -> str:
    detail: dict[str, object] = {"statusCode": status_code}
    if status_code == 0:
        user = {"uniqueId": key, "nickname": name}
        detail["userInfo"] = {"user": user, "stats": {"followerCount": 530}}
    state = {"__DEFAULT_SCOPE__": {"webapp.user-detail": detail}}
    return (
        "<html><head><title>TikTok - Make Your Day</title></head><body><script "
        'id="__UNIVERSAL_DATA_FOR_REHYDRATION__" type="application/json">'
        f"{json.dumps(state, ensure_ascii=False)}</script></body></html>"
    )


# --- WhatsApp ---


def respond_whatsapp(accounts: Accounts, request: FakeRequest, _run: DemoRun) -> FakeResponse:
    """Return the page of a channel, or a message without a name."""
    if request.path == "/robots.txt":
        return text_response("User-agent: *\nAllow: /\n")
    code = request.path.rpartition("/")[2]
    scenario_name, name = _find_account(accounts, "whatsapp", code)
    if scenario_name in ("channel", "unregistered"):
        return html_response(_render_whatsapp_page(name, code))
    if scenario_name == "limited":
        return html_response("", 429, retry_after="3600")
    return html_response(
        "<html><head><title>WhatsApp</title></head><body><h1>This channel is not available</h1>"
        "</body></html>"
    )


def _render_whatsapp_page(name: str, code: str) -> str:
    title = escape(f"{name} - WhatsApp channel")
    return (
        f'<html lang="en"><head><title>{title}</title><meta property="og:url" '
        f'content="https://www.whatsapp.com/channel/{code}"><meta property="og:title" '
        f'content="{title}"></head><body><h1>{escape(name)}</h1><h5>Channel • 1.2K followers</h5>'
        "</body></html>"
    )


# --- Telegram ---


def respond_telegram(accounts: Accounts, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
    """Return the page or the preview of a channel, or the page of an unused name."""
    if request.path == "/robots.txt":
        return text_response("")
    is_preview = request.path.startswith("/s/")
    username = request.path.removeprefix("/s/").strip("/")
    scenario_name, name = _find_account(accounts, "telegram", username)
    if scenario_name not in ("active", "stale"):
        return html_response(_render_unused_telegram_name(username))
    if not is_preview:
        return html_response(_render_telegram_page(name, username))
    times = _get_habit(scenario_name).list_post_dates(demo_run)
    return html_response(_render_telegram_preview(name, times))


def _render_telegram_page(name: str, username: str) -> str:
    return (
        f"<html><head><title>Telegram: Contact @{username}</title></head><body>"
        f'<div class="tgme_page_title" dir="auto"><span>{escape(name)}</span></div>'
        '<div class="tgme_page_extra">318 subscribers</div></body></html>'
    )


def _render_telegram_preview(name: str, times: list[datetime]) -> str:
    messages = "".join(
        '<div class="tgme_widget_message"><time datetime="'
        f'{(time + timedelta(hours=1)).replace(microsecond=0).isoformat()}"></time></div>'
        for time in reversed(times)
    )
    return (
        f"<html><head><title>{escape(name)} – Telegram</title></head><body>{messages}</body></html>"
    )


def _render_unused_telegram_name(username: str) -> str:
    contact = f"Telegram: Contact @{username}"
    return (
        f'<html><head><title>{contact}</title><meta name="robots" content="noindex, nofollow">'
        f'<meta property="twitter:title" content="{contact}"></head><body>'
        '<div class="tgme_page_description">If you have <strong>Telegram</strong>, you can contact '
        f"@{username} right away.</div></body></html>"
    )
