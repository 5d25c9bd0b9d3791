"""Checks the wording of docstrings, documents and help texts: `check_text.py [FOLDER]`.

It reports docstrings that begin with a question word (not with what a thing is or does), words that
usually mark an unclear sentence, links of documents that lead nowhere, decision records whose
numbers have a hole or that are too long, and buttons in guides that no page has. The lists of words
are short on purpose. A clean result does not make a text good.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("probes", "storage", "auditor")
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "config.toml")

MARKER_WORDS = re.compile(
    r"\b(told|tells?|whoever|nobody|somebody|anybody|anew|mends?|mended|beside|gravest|"
    r"stands? (?:for|in|on)|lest|aside|gone on with|let be|of its own|what came|whose word)\b",
    re.IGNORECASE,
)
UNCLEAR_OPENINGS = re.compile(
    r"(?:Whether|What|Who|Whose|Where|When|Why|How|Which|That|Those|These|The same)\b"
)
CODE_BLOCKS = re.compile(r"```.*?```", re.DOTALL)
URLS = re.compile(r"https?://\S+")
INLINE_CODE = re.compile(r"`[^`\n]*`")
LINKS = re.compile(r'(?:\]\(|<img src=")([^)"\s]+)[)"]')
EXTERNAL = re.compile(r"https?:|mailto:")
MAX_RECORD_WORDS = 400
BOLD = re.compile(r"\*\*([^*]+)\*\*")
GUIDES_TO_PAGES = {"coordinators.md": "fr", "volunteers.ar.md": "ar", "volunteers.fr.md": "fr"}
"""Guides in which words in bold are on a page, and a catalogue that has these words."""
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def main(root: Path) -> int:
    """Print one line for each finding; return 1 if there is any."""
    findings = [
        *check_modules(root),
        *check_documents(root),
        *check_records(root),
        *check_buttons(root),
    ]
    sys.stdout.writelines(f"{finding}\n" for finding in findings)
    return 1 if findings else 0


def check_modules(root: Path) -> Iterator[str]:
    """Yield the findings in docstrings, and in the text of commands and options."""
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            place = path.relative_to(root)
            tree = ast.parse(path.read_text("utf-8"))
            for node in ast.walk(tree):
                yield from check_docstring(node, place)
                if place.parts[:2] == ("auditor", "cli") and isinstance(node, ast.keyword):
                    yield from check_help(node, place)


def check_docstring(node: ast.AST, place: Path) -> Iterator[str]:
    """Yield the findings in the docstring of a module, class or function."""
    if not isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS)):
        return
    docstring = ast.get_docstring(node)
    if not docstring:
        return
    line = getattr(node, "lineno", 1)
    yield from find_marker_words(docstring, f"{place}:{line}")
    opening = UNCLEAR_OPENINGS.match(docstring)
    if opening:
        yield (
            f"{place}:{line}: docstring begins with {opening[0]!r}; "
            "begin with what it is, does or returns"
        )


def check_help(keyword: ast.keyword, place: Path) -> Iterator[str]:
    """Yield the findings in `help="…"`."""
    if keyword.arg == "help" and isinstance(keyword.value, ast.Constant):
        yield from find_marker_words(str(keyword.value.value), f"{place}:{keyword.value.lineno}")


def check_documents(root: Path) -> Iterator[str]:
    """Yield the findings in Markdown files and the configuration, without their code blocks."""
    paths = [root / name for name in DOCUMENTS] + sorted((root / "docs").rglob("*.md"))
    for path in paths:
        text = CODE_BLOCKS.sub(lambda block: "\n" * block[0].count("\n"), path.read_text("utf-8"))
        for number, line in enumerate(text.splitlines(), start=1):
            place = f"{path.relative_to(root)}:{number}"
            yield from find_marker_words(URLS.sub("", line), place)
            for link in LINKS.findall(INLINE_CODE.sub("", line)):
                if not EXTERNAL.match(link) and not has_target(path, link):
                    yield f"{place}: the link {link} leads nowhere"


def has_target(document: Path, link: str) -> bool:
    """Return True if the file of a link exists, and has a heading for its fragment."""
    name, _, fragment = link.partition("#")
    target = document.parent / name if name else document
    if not fragment or target.suffix != ".md":
        return target.exists()
    return target.is_file() and fragment in list_anchors(target.read_text("utf-8"))


def list_anchors(text: str) -> list[str]:
    """Return the fragments of the headings of a document."""
    headings = re.findall(r"^#+ +(.+)$", CODE_BLOCKS.sub("", text), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def check_records(root: Path) -> Iterator[str]:
    """Yield the decision records that break their rules. Tables do not count as words."""
    paths = sorted((root / "docs" / "decisions").glob("[0-9]*.md"))
    for number, path in enumerate(paths, start=1):
        lines = path.read_text("utf-8").splitlines()
        words = sum(len(line.split()) for line in lines if not line.startswith("|"))
        if not path.name.startswith(f"{number:04}-"):
            yield f"{path.relative_to(root)}: the next number is {number:04}"
        if words > MAX_RECORD_WORDS:
            yield f"{path.relative_to(root)}: {words} words; {MAX_RECORD_WORDS} are allowed"


def check_buttons(root: Path) -> Iterator[str]:
    """Yield the words in bold of guides that are no text of a page."""
    texts = root / "auditor" / "core"
    for name, language in GUIDES_TO_PAGES.items():
        path = root / "docs" / "guides" / name
        if not path.exists():
            continue
        catalogue = texts / "i18n" / "locales" / language / "interface.po"
        labels = catalogue.read_text("utf-8") + (texts / "reference" / "gaps.toml").read_text(
            "utf-8"
        )
        labels = re.sub("[\u00a0\u202f]", " ", labels)
        for words in BOLD.findall(path.read_text("utf-8")):
            if f'"{" ".join(words.split())}"' not in labels:
                yield f"{path.relative_to(root)}: no page has {words!r}"


def find_marker_words(text: str, place: str) -> Iterator[str]:
    """Yield a finding for each marker word in a text."""
    for word in MARKER_WORDS.findall(text):
        yield f"{place}: {word!r} marks an unclear sentence; say who does what"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
