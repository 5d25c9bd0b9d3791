"""The look, where it can be checked: one sheet for both directions, nothing inline, letters kept joined."""

import re
from importlib.resources import files
from importlib.resources.abc import Traversable

import pytest

from auditor.i18n.translator import to_breakable_url

STYLES = ("app.css", "pico-rtl.css")
PHYSICAL = re.compile(
    r"(margin|padding|border|scroll-margin)-(left|right|top|bottom)\b|(?<![-\w.])(left|right|top|bottom)\s*:"
    r"|text-align:\s*(left|right)|float:\s*(left|right)|clear:\s*(left|right)"
    r"|border-(top|bottom)-(left|right)-radius|(?<![-\w])(min-|max-)?(width|height)\s*:"
)
MARRING = re.compile(
    r"letter-spacing|text-transform:\s*uppercase|font-style:\s*italic|text-align:\s*justify"
)
"""What breaks joined letters or sets Arabic as no one writes it."""


def sheets():
    """Our own style sheets and those inside templates, by name."""
    static, templates = (
        files("auditor").joinpath(*place) for place in (("web", "static"), ("templates",))
    )
    yield from ((name, static.joinpath(name).read_text("utf-8")) for name in STYLES)
    for template in filter(Traversable.is_file, templates.iterdir()):
        if template.name.endswith(".css"):
            yield template.name, template.read_text("utf-8")
        for sheet in re.findall(
            r"<style[^>]*>(.*?)</style>", template.read_text("utf-8"), re.DOTALL
        ):
            yield template.name, sheet


def templates():
    """Every template by name, without its comments."""
    for template in files("auditor").joinpath("templates").iterdir():
        if template.name.endswith((".html", ".svg")):
            yield (
                template.name,
                re.sub(r"{#.*?#}", "", template.read_text("utf-8"), flags=re.DOTALL),
            )


def rules(sheet):
    """A sheet without comments, and without the conditions of its media queries."""
    bare = re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL)
    return re.sub(r"@media[^{]*{", "{", bare)


def test_style_sheets_use_logical_properties():
    for name, sheet in sheets():
        assert not (found := PHYSICAL.search(rules(sheet))), f"{name}: {found}"


def test_style_sheets_do_not_damage_arabic_script():
    for name, sheet in sheets():
        assert not (found := MARRING.search(rules(sheet))), f"{name}: {found}"


def test_templates_have_no_inline_script_or_style():
    for name, template in templates():
        assert not re.search(r"<script|\son\w+\s*=|\sstyle\s*=|javascript:", template), name


def test_templates_do_not_disable_escaping():
    for name, template in templates():
        assert not re.search(r"\|\s*safe\b|autoescape", template), name


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    lit = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * lit[0] + 0.7152 * lit[1] + 0.0722 * lit[2]


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def colours(scheme):
    """The custom properties that are colours, in one scheme."""
    blocks = re.findall(
        r":root:not\(\[data-theme]\) {(.*?)}",
        files("auditor.web").joinpath("static", "app.css").read_text("utf-8"),
        re.DOTALL,
    )
    light, dark = (
        {name: full(value) for name, value in re.findall(r"--([\w-]+): (#\w+);", block)}
        for block in blocks[:2]
    )
    return light if scheme == "light" else {**light, **dark}


def full(colour):
    return colour if len(colour) == 7 else "#" + "".join(digit * 2 for digit in colour[1:])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_enough_contrast(scheme):
    known = colours(scheme)
    pairs = [
        (ink, ground)
        for ink in ("ink", "soft", "accent", "well", "warn", "bad")
        for ground in ("paper", "tint")
    ]
    pairs += [
        ("accent-ink", "accent"),
        ("ink", "well-tint"),
        ("ink", "warn-tint"),
        ("ink", "bad-tint"),
    ]
    for ink, ground in pairs:
        assert contrast(known[ink], known[ground]) >= 4.5, (ink, ground)
    for drawn in ("bar", "survey", "pico-form-element-border-color"):
        assert contrast(known[drawn], known["paper"]) >= 3, drawn
    assert contrast(known["bar"], known["possible"]) >= 3


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://www.facebook.com/nour.agadir", "www.facebook.com/<wbr>nour.<wbr>agadir"),
        ("http://nour.example/", "http://nour.example"),
        (
            "https://association-nour-agadir.example",
            "association-<wbr>nour-<wbr>agadir.<wbr>example",
        ),
        ("https://x.example/?a=<b>&c", "x.example/?<wbr>a=<wbr>&lt;b&gt;&amp;<wbr>c"),
    ],
)
def test_address_breaks_between_its_parts_and_is_escaped(address, shown):
    assert to_breakable_url(address) == shown
