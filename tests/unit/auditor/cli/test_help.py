"""Tests of the help of all commands: complete, in one style, with examples that work."""

import inspect

import pytest

from auditor.cli.main import main
from tests.support.all_commands import all_commands

COMMANDS = dict(all_commands())


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
