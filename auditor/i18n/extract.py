"""The messages that code and templates say, gathered into the catalogues: `make words`.

A message is a literal first argument of `words.say(…)`, `asked.tell(…)`, `phrase(…)` or a template's
`_(…)`, or the first two of `words.count(…)`, `asked.tell_count(…)` and `_n(…)`. Babel's own extractor reads
tokens, so it misses what is said in an f-string.
"""

from __future__ import annotations

import ast
import io
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import write_po
from jinja2 import Environment, nodes

from auditor.i18n.catalogs import list_catalog_languages, load_message_catalog

ExtractedMessage = str | tuple[str, str]
"""A message, or its two forms in English where it has a number."""

SINGULAR_FUNCTIONS = frozenset({"say", "tell", "_", "phrase", "gettext"})
PLURAL_FUNCTIONS = frozenset({"count", "tell_count", "_n"})
PO_HEADER = (
    'msgid ""\nmsgstr ""\n"Language: {language}\\n"\n"MIME-Version: 1.0\\n"\n'
    '"Content-Type: text/plain; charset=utf-8\\n"\n"Content-Transfer-Encoding: 8bit\\n"\n'
    '"Plural-Forms: {plurals};\\n"\n\n'
)


def collect_messages(package: Path) -> set[ExtractedMessage]:
    """Every message of a package's modules and of its templates."""
    modules = {
        phrase
        for file in package.rglob("*.py")
        for phrase in extract_from_python(file.read_text("utf-8"))
    }
    pages = (
        file for file in package.rglob("templates/**/*") if file.is_file() and file.suffix != ".css"
    )
    return modules.union(*(extract_from_template(file.read_text("utf-8")) for file in pages))


def extract_from_python(code: str) -> Iterator[ExtractedMessage]:
    """The messages of a module."""
    for call in ast.walk(ast.parse(code)):
        if isinstance(call, ast.Call):
            # `say(…)` of auditor.cli.output tells the operator something; a message is said by words
            name = (
                call.func.attr
                if isinstance(call.func, ast.Attribute)
                else getattr(call.func, "id", "")
            )
            if name != "say" or isinstance(call.func, ast.Attribute):
                yield from _select_messages(
                    name, [_get_python_literals(argument) for argument in call.args]
                )


def _get_python_literals(argument: ast.expr) -> list[str]:
    if isinstance(argument, ast.IfExp):
        return _get_python_literals(argument.body) + _get_python_literals(argument.orelse)
    value = argument.value if isinstance(argument, ast.Constant) else None
    return [value] if isinstance(value, str) else []


def extract_from_template(source: str) -> Iterator[ExtractedMessage]:
    """The messages of a Jinja template."""
    for call in Environment(autoescape=True).parse(source).find_all(nodes.Call):
        name = (
            call.node.attr
            if isinstance(call.node, nodes.Getattr)
            else getattr(call.node, "name", "")
        )
        yield from _select_messages(
            name, [_get_template_literals(argument) for argument in call.args]
        )


def _get_template_literals(argument: nodes.Node | None) -> list[str]:
    if isinstance(argument, nodes.CondExpr):
        return _get_template_literals(argument.expr1) + _get_template_literals(argument.expr2)
    value = argument.value if isinstance(argument, nodes.Const) else None
    return [value] if isinstance(value, str) else []


def _select_messages(function_name: str, arguments: list[list[str]]) -> Iterator[ExtractedMessage]:
    if function_name in SINGULAR_FUNCTIONS and arguments:
        yield from arguments[0]
    elif function_name in PLURAL_FUNCTIONS and len(arguments) >= 3:
        yield from zip(arguments[0], arguments[1], strict=True)


def update_catalog(catalog: Catalog, messages: set[ExtractedMessage]) -> Catalog:
    """A catalogue of just these messages, those that it had not yet being empty."""
    for message in list(catalog):
        if message.id and _message_key(message) not in messages:
            catalog.delete(message.id)
    had = {_message_key(message) for message in catalog}
    for phrase in messages - had:
        catalog.add(phrase)
    return catalog


def _message_key(message: Message) -> ExtractedMessage:
    return message.id if isinstance(message.id, str) else (message.id[0], message.id[1])


def get_translated_forms(message: Message) -> list[str]:
    """The forms of a message in its language."""
    return list(message.string or ("",)) if message.pluralizable else [str(message.string or "")]


def serialize_catalog(catalog: Catalog, language: str) -> bytes:
    """A catalogue as a file: the same one always, sorted, without places and dates."""
    file = io.BytesIO()
    file.write(
        PO_HEADER.format(language=language, plurals=catalog.plural_forms.rstrip("; ")).encode()
    )
    write_po(
        file,
        catalog,
        width=0,
        no_location=True,
        omit_header=True,
        sort_output=True,
        ignore_obsolete=True,
    )
    return file.getvalue().rstrip(b"\n") + b"\n"


def main() -> None:
    """Gather each language's messages into its `interface.po`."""
    package = Path(str(files("auditor")))
    phrases = collect_messages(package)
    for language in list_catalog_languages():
        words = update_catalog(load_message_catalog(language), phrases)
        empty = sum(not all(get_translated_forms(message)) for message in words if message.id)
        (package / "i18n" / "locales" / language / "interface.po").write_bytes(
            serialize_catalog(words, language)
        )
        sys.stderr.write(f"{language}: {len(phrases)} messages, {empty} to be translated\n")


if __name__ == "__main__":
    main()
