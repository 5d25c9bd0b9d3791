"""Tests of the help of all commands: complete, in one style, with examples that work."""

import inspect
import re

import pytest

from auditor.cli import main as command_line
from auditor.cli.main import main
from tests.support.all_commands import all_commands

COMMANDS = dict(all_commands())
LEAVES = [
    command_name
    for command_name, command in COMMANDS.items()
    if not getattr(command, "commands", None)
]
VERB_LIST = """
add allow answer audit back begin check choose confirm create delete demonstrate end
erase exit export extend give hide identify import include install keep limit list
manage print process publish re-evaluate read record register remove replace revoke
run save send separate serve set show skip subscribe unsubscribe upgrade use validate verify
withdraw write
"""
VERBS = frozenset(VERB_LIST.split())
"""Verbs with which help texts may begin."""
UNUSUAL = re.compile(
    r"\b(told|tells?|whoever|nobody|somebody|anew|mend|gravest|stands?|goes on|gone on|lets be|"
    r"of its own|"
    r"whose word|nights?|looks? at|letters?|what is|sheet that)\b",
    re.IGNORECASE,
)
"""Words that docs/glossary.md replaces or that are not plain English."""


@pytest.fixture
def read_help(capsys, monkeypatch):
    """Return what `--help` of a command prints in a terminal of some width."""

    def run(command_name, columns=80, option="--help"):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert main([*command_name.split(), option]) == 0
        return capsys.readouterr().out

    return run


def remove_spaces(text):
    """Return a text without spaces: help is wrapped at any of them."""
    return "".join(text.split())


def list_help_texts(command):
    """Yield every text that the help of a command should show."""
    if command.help:
        yield inspect.cleandoc(command.help)
    for parameter in command.params:
        if getattr(parameter, "help", None) and not getattr(parameter, "hidden", False):
            yield parameter.help
    yield from getattr(command.callback, "examples", ())


@pytest.mark.parametrize("columns", [50, 80, 200])
@pytest.mark.parametrize("command_name", COMMANDS)
def test_help_shows_all_texts_in_full_at_any_width(read_help, command_name, columns):
    out = remove_spaces(read_help(command_name, columns))
    missing = [
        text for text in list_help_texts(COMMANDS[command_name]) if remove_spaces(text) not in out
    ]
    assert missing == []


@pytest.mark.parametrize("command_name", COMMANDS)
def test_help_has_one_style_everywhere(read_help, command_name):
    out = read_help(command_name)
    assert out.startswith(f"Usage: auditor {command_name}".rstrip() + " ")
    assert "\nOptions:\n" in out
    assert "  -h, --help " in out
    assert not re.search(r"[\u2500-\u257f]|\x1b|<bool>", out)
    assert out == read_help(command_name, option="-h")


@pytest.mark.parametrize("command_name", COMMANDS)
def test_help_contains_no_square_brackets_and_no_unusual_words(command_name):
    command = COMMANDS[command_name]
    texts = [
        *list_help_texts(command),
        *(str(parameter.metavar or "") for parameter in command.params),
    ]
    assert [text for text in texts if "[" in text or "]" in text] == []
    examples = getattr(command.callback, "examples", ())
    assert [text for text in texts if text not in examples and UNUSUAL.search(text)] == []


@pytest.mark.parametrize("command_name", COMMANDS)
def test_help_begins_with_a_verb_and_ends_with_a_full_stop(command_name):
    command = COMMANDS[command_name]
    texts = [
        command.help,
        *(parameter.help for parameter in command.params if parameter.opts[0].startswith("-")),
    ]
    plain = [text for text in texts if text]
    assert [text for text in plain if re.split(r"[ ,]", text)[0].lower() not in VERBS] == []
    parameter_texts = (getattr(parameter, "help", None) for parameter in command.params)
    all_texts = [*plain, *filter(None, parameter_texts)]
    assert [text for text in all_texts if not text.rstrip().endswith(".")] == []


@pytest.mark.parametrize(
    "command_name",
    [
        command_name
        for command_name, command in COMMANDS.items()
        if getattr(command, "commands", None)
    ],
)
def test_list_of_commands_is_not_truncated(read_help, command_name):
    lines = read_help(command_name).partition("  -h, --help ")[2].splitlines()
    listed = [line for line in lines[1:] if line and not line.endswith(":")]
    assert sorted(line.split()[0] for line in listed) == sorted(COMMANDS[command_name].commands)
    assert [line for line in listed if "..." in line or line.startswith("    ")] == []


@pytest.mark.parametrize("command_name", LEAVES)
def test_help_of_a_command_begins_with_examples(read_help, command_name):
    examples = COMMANDS[command_name].callback.examples
    assert 1 <= len(examples) <= 2
    usage, heading, *rest = read_help(command_name).split("\n\n")
    assert usage.startswith("Usage: ")
    assert heading.splitlines() == ["  Examples:", *(f"    {example}" for example in examples)]
    assert rest


EXAMPLES = [
    (command_name, example)
    for command_name, command in COMMANDS.items()
    for example in getattr(command.callback, "examples", ())
]


@pytest.mark.parametrize(("command_name", "example"), EXAMPLES)
def test_every_example_can_be_parsed_and_fits_on_a_line(command_name, example):
    assert example.startswith(f"auditor {command_name}".rstrip())
    typed = example.removeprefix(f"auditor {command_name}").split("|")[0].split()
    with COMMANDS[command_name].make_context("auditor", typed, resilient_parsing=False) as context:
        assert not context.args
    assert len(f"    {example}") <= 78


def test_sections_show_the_first_line_of_each_command():
    """The help of the program lists commands without loading them."""
    for command_name, (_, text) in command_line.COMMANDS.items():
        assert COMMANDS[command_name].get_short_help_str(limit=100) == text
