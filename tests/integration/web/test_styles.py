"""The style sheets and templates: logical properties, no inline code, contrast."""

import re
from importlib.resources import files
from importlib.resources.abc import Traversable

import pytest

from auditor.core.i18n.translator import to_breakable_url

STYLE_SHEETS = ("app.css", "pico-rtl.css")
PHYSICAL_PROPERTIES = re.compile(
    r"(margin|padding|border|scroll-margin)-(left|right|top|bottom)\b|(?<![-\w.])(left|right|top|bottom)\s*:"
    r"|text-align:\s*(left|right)|float:\s*(left|right)|clear:\s*(left|right)"
    r"|border-(top|bottom)-(left|right)-radius|(?<![-\w])(min-|max-)?(width|height)\s*:"
)
DAMAGING_PROPERTIES = re.compile(
    r"letter-spacing|text-transform:\s*uppercase|font-style:\s*italic|text-align:\s*justify"
)
"""Properties that separate joined letters, or that Arabic script does not use."""


def iter_style_sheets():
    """Yield our style sheets and those inside templates, with their names."""
    static, iter_templates = (
        files("auditor").joinpath(*place) for place in (("web", "static"), ("templates",))
    )
    yield from ((name, static.joinpath(name).read_text("utf-8")) for name in STYLE_SHEETS)
    for template in filter(Traversable.is_file, iter_templates.iterdir()):
        if template.name.endswith(".css"):
            yield template.name, template.read_text("utf-8")
        for sheet in re.findall(
            r"<style[^>]*>(.*?)</style>", template.read_text("utf-8"), re.DOTALL
        ):
            yield template.name, sheet


def iter_templates():
    """Yield the templates without comments, with their names."""
    for template in files("auditor").joinpath("templates").iterdir():
        if template.name.endswith((".html", ".svg")):
            yield (
                template.name,
                re.sub(r"{#.*?#}", "", template.read_text("utf-8"), flags=re.DOTALL),
            )


def strip_comments(sheet):
    """Return a style sheet without comments and media conditions."""
    bare = re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL)
    return re.sub(r"@media[^{]*{", "{", bare)


def test_style_sheets_use_logical_properties():
    for name, sheet in iter_style_sheets():
        assert not (match := PHYSICAL_PROPERTIES.search(strip_comments(sheet))), f"{name}: {match}"


def test_style_sheets_do_not_damage_arabic_script():
    for name, sheet in iter_style_sheets():
        assert not (match := DAMAGING_PROPERTIES.search(strip_comments(sheet))), f"{name}: {match}"


def test_templates_have_no_inline_script_or_style():
    file_tag = re.compile(
        r"""<script src="{{ links\.asset_url\("[a-z]+\.js"\) }}" defer></script>"""
    )
    for name, text in iter_templates():
        template = file_tag.sub("", text)
        assert not re.search(r"<script|\son\w+\s*=|\sstyle\s*=|javascript:", template), name


def test_templates_do_not_disable_escaping():
    for name, template in iter_templates():
        assert not re.search(r"\|\s*safe\b|autoescape", template), name


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    lit = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * lit[0] + 0.7152 * lit[1] + 0.0722 * lit[2]


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def read_colours(scheme):
    """Return the custom properties with colours of one scheme."""
    blocks = re.findall(
        r":root:not\(\[data-theme]\) {(.*?)}",
        files("auditor.web").joinpath("static", "app.css").read_text("utf-8"),
        re.DOTALL,
    )
    light, dark = (
        {name: expand_hex(value) for name, value in re.findall(r"--([\w-]+): (#\w+);", block)}
        for block in blocks[:2]
    )
    return light if scheme == "light" else {**light, **dark}


def expand_hex(colour):
    return colour if len(colour) == 7 else "#" + "".join(digit * 2 for digit in colour[1:])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_enough_contrast(scheme):
    colour_values = read_colours(scheme)
    pairs = [
        (text_colour, background)
        for text_colour in ("ink", "soft", "accent", "well", "warn", "bad")
        for background in ("paper", "tint")
    ]
    pairs += [
        ("accent-ink", "accent"),
        ("ink", "well-tint"),
        ("ink", "warn-tint"),
        ("ink", "bad-tint"),
    ]
    for text_colour, background in pairs:
        assert contrast(colour_values[text_colour], colour_values[background]) >= 4.5, (
            text_colour,
            background,
        )
    for drawn in ("bar", "survey", "pico-form-element-border-color"):
        assert contrast(colour_values[drawn], colour_values["paper"]) >= 3, drawn
    assert contrast(colour_values["bar"], colour_values["possible"]) >= 3


@pytest.mark.parametrize(
    ("address", "expected"),
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
def test_address_breaks_between_its_parts_and_is_escaped(address, expected):
    assert to_breakable_url(address) == expected
