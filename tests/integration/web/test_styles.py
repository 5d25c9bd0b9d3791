"""The style sheets and templates: logical properties, no inline code, contrast."""

import re
from importlib.resources import files
from importlib.resources.abc import Traversable

import pytest

PHYSICAL_PROPERTIES = re.compile(
    r"(margin|padding|border|scroll-margin)-(left|right|top|bottom)\b|(?<![-\w.])(left|right|top|bottom)\s*:"
    r"|text-align:\s*(left|right)|float:\s*(left|right)|clear:\s*(left|right)"
    r"|border-(top|bottom)-(left|right)-radius|(?<![-\w])(min-|max-)?(width|height)\s*:"
)
DAMAGING_PROPERTIES = re.compile(
    r"letter-spacing|text-transform:\s*uppercase|font-style:\s*italic|text-align:\s*justify"
)
"""Properties that separate joined letters, or that Arabic script does not use."""


def read_files(folder, suffixes):
    """Return the texts of the files of a folder of the package, by name."""
    files_of_folder = filter(Traversable.is_file, files("auditor").joinpath(folder).iterdir())
    return {
        file.name: file.read_text("utf-8")
        for file in files_of_folder
        if file.name.endswith(suffixes) and not file.name.startswith("pico.")
    }


TEMPLATES = {
    name: re.sub(r"{#.*?#}", "", text, flags=re.DOTALL)
    for name, text in read_files("templates", (".html", ".svg")).items()
}
INLINE_CODE = re.compile(r"<script|\son\w+\s*=|\sstyle\s*=|javascript:")
SCRIPT_FILE = re.compile(
    r"""<script src="{{ links\.asset_url\("[a-z]+\.js"\) }}" defer></script>"""
)


@pytest.mark.smoke
def test_style_sheets_use_logical_properties_and_do_not_damage_arabic_script():
    sheets = {**read_files("web/static", (".css",)), **read_files("templates", (".css",))}
    for name, template in TEMPLATES.items():
        sheets[name] = "".join(re.findall(r"<style[^>]*>(.*?)</style>", template, re.DOTALL))
    for name, sheet in sheets.items():
        bare = re.sub(r"@media[^{]*{", "{", re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL))
        assert not (match := PHYSICAL_PROPERTIES.search(bare)), f"{name}: {match}"
        assert not (match := DAMAGING_PROPERTIES.search(bare)), f"{name}: {match}"


@pytest.mark.smoke
def test_templates_have_no_inline_code_and_do_not_disable_escaping():
    for name, template in TEMPLATES.items():
        assert not INLINE_CODE.search(SCRIPT_FILE.sub("", template)), name
        assert not re.search(r"\|\s*safe\b|autoescape", template), name
