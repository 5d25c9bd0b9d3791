"""Checks the wording of docstrings, documents and help texts: `check_text.py [FOLDER]`.

It reports docstrings that begin with a question word (not with what a thing is or does), and
words that usually mark an unclear sentence. Both lists are short on purpose. A clean result does
not make a text good.
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
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def main(root: Path) -> int:
    """Print one line for each finding; return 1 if there is any."""
    findings = [*check_modules(root), *check_documents(root)]
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
            yield from find_marker_words(URLS.sub("", line), f"{path.relative_to(root)}:{number}")


def find_marker_words(text: str, place: str) -> Iterator[str]:
    """Yield a finding for each marker word in a text."""
    for word in MARKER_WORDS.findall(text):
        yield f"{place}: {word!r} marks an unclear sentence; say who does what"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
