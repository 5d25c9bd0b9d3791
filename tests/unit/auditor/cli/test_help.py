"""The help of every command is complete, in one style, and its examples work."""

import inspect
import re

import pytest

from auditor.cli.main import main
from tests.support.all_commands import all_commands

COMMANDS = dict(all_commands())
LEAVES = [words for words, command in COMMANDS.items() if not getattr(command, "commands", None)]
ROUTINE = (
    *(
        "init",
        "registry validate",
        "registry import",
        "run",
        "serve",
        "status",
        "gaps",
        "report",
        "export",
    ),
    *("identify", "check", "doctor"),
)
"""What everybody types."""
VERBS = frozenset(
    (
        *(
            "add",
            "allow",
            "answer",
            "audit",
            "back",
            "begin",
            "check",
            "choose",
            "confirm",
            "create",
            "delete",
        ),
        *("demonstrate", "end", "erase", "exit", "export", "extend", "give", "hide", "identify"),
        *("import", "include", "install", "keep", "limit", "list", "manage", "print", "process"),
        *("publish", "re-evaluate", "read", "record", "register", "remove", "replace", "revoke"),
        *("run", "save", "send", "separate", "serve", "set", "show", "skip", "subscribe"),
        *("unsubscribe", "use", "validate", "verify", "withdraw", "write"),
    )
)
STRANGE = re.compile(
    r"\b(told|tells?|whoever|nobody|somebody|anew|mend|gravest|stands?|goes on|gone on|lets be|"
    r"of its own|"
    r"whose word|nights?|looks? at|letters?|what is|sheet that)\b",
    re.IGNORECASE,
)
"""Words that HOUSE.md and the glossary replace."""


@pytest.fixture
def shown(capsys, monkeypatch):
    """Return what `--help` of a command prints in a terminal of some width."""

    def run(words, columns=80, option="--help"):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert main([*words.split(), option]) == 0
        return capsys.readouterr().out

    return run


def packed(text):
    """Return a text without spaces: help is wrapped at any of them."""
    return "".join(text.split())


def sources(command):
    """Yield every text that the help of a command should show."""
    if command.help:
        yield inspect.cleandoc(command.help)
    for parameter in command.params:
        if getattr(parameter, "help", None) and not getattr(parameter, "hidden", False):
            yield parameter.help
    yield from getattr(command.callback, "examples", ())


@pytest.mark.parametrize("columns", [50, 80, 200])
@pytest.mark.parametrize("words", COMMANDS)
def test_help_shows_every_word_that_was_written_for_it(shown, words, columns):
    out = packed(shown(words, columns))
    lost = [text for text in sources(COMMANDS[words]) if packed(text) not in out]
    assert lost == []


@pytest.mark.parametrize("words", COMMANDS)
def test_help_has_one_style_everywhere(shown, words):
    out = shown(words)
    assert out.startswith(f"Usage: auditor {words}".rstrip() + " ")
    assert "\nOptions:\n" in out
    assert "  -h, --help " in out
    assert not re.search(r"[\u2500-\u257f]|\x1b|<bool>", out)
    assert out == shown(words, option="-h")


@pytest.mark.parametrize("words", COMMANDS)
def test_help_contains_no_square_brackets_and_no_strange_words(words):
    command = COMMANDS[words]
    texts = [*sources(command), *(str(one.metavar or "") for one in command.params)]
    assert [text for text in texts if "[" in text or "]" in text] == []
    examples = getattr(command.callback, "examples", ())
    assert [text for text in texts if text not in examples and STRANGE.search(text)] == []


@pytest.mark.parametrize("words", COMMANDS)
def test_help_begins_with_a_verb_and_ends_with_a_full_stop(words):
    command = COMMANDS[words]
    texts = [command.help, *(one.help for one in command.params if one.opts[0].startswith("-"))]
    plain = [text for text in texts if text]
    assert [text for text in plain if re.split(r"[ ,]", text)[0].lower() not in VERBS] == []
    every = [*plain, *filter(None, (getattr(one, "help", None) for one in command.params))]
    assert [text for text in every if not text.rstrip().endswith(".")] == []


@pytest.mark.parametrize(
    "words", [words for words, one in COMMANDS.items() if getattr(one, "commands", None)]
)
def test_the_list_of_commands_shows_whole_sentences(shown, words):
    listed = shown(words).partition("Commands:\n")[2].splitlines()
    assert len(listed) == len(COMMANDS[words].commands)
    assert [line for line in listed if "..." in line or line.startswith("    ")] == []


@pytest.mark.parametrize("words", ROUTINE)
def test_the_help_of_what_everybody_types_begins_with_examples(shown, words):
    examples = COMMANDS[words].callback.examples
    assert 1 <= len(examples) <= 2
    usage, heading, *rest = shown(words).split("\n\n")
    assert usage.startswith("Usage: ")
    assert heading.splitlines() == ["  Examples:", *(f"    {example}" for example in examples)]
    assert rest


EXAMPLES = [
    (words, example)
    for words, command in COMMANDS.items()
    for example in getattr(command.callback, "examples", ())
]


@pytest.mark.parametrize(("words", "example"), EXAMPLES)
def test_every_example_is_a_command_that_can_be_typed(words, example):
    assert example.startswith(f"auditor {words}".rstrip())
    typed = example.removeprefix(f"auditor {words}").split("|")[0].split()
    with COMMANDS[words].make_context("auditor", typed, resilient_parsing=False) as context:
        assert not context.args
    assert len(f"    {example}") <= 78
