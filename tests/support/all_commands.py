"""Lists every command of the command line, with example arguments."""

from collections.abc import Iterator

import click
import typer

from auditor.cli.main import build_command_line
from tests.support.sample_network import FIRST

BY = ("--author", "Amina", "--reason", "vu")
LINKS = "\n".join(
    (
        *(
            "https://www.facebook.com/nour.agadir",
            "https://x.com/nour",
            "nour@nour.example",
            "Nour Agadir",
            "N/A",
        ),
        *(
            "https://www.facebook.com/nour/posts/1",
            "https://www.facebook.com/sharer/sharer.php?u=x",
            "Bluesky: x",
        ),
        *(
            "https://www.facebook.com/yourpage",
            "https://www.linkedin.com/pub/a/1/2/3",
            "https://bit.ly/x",
        ),
        *(
            "facebook\thttps://facebook.com.evil.example/nour",
            "youtube\tuc_x5xg1ov2p6uzz5fsm9ttw",
            "youtube\tnour",
        ),
        *(
            "youtube\thttps://www.youtube.com/nour",
            "facebook\thttps://nour.example/",
            "https://nour.example/a.pdf",
        ),
    )
)
TYPED = {
    "demo": (("demo",),),
    "init": (("new",), ("new",)),
    "identify": (("-",),),
    "check": (("https://www.facebook.com/nour.agadir", "https://nour.example/"),),
    "run": ((),),
    "serve": ((),),
    "worker": ((),),
    "status": ((),),
    "gaps": ((), ("--association", "nour"), ("--channel", "facebook")),
    "report": ((), *((one, "--lang", "en") for one in ("nour", "amal", "long", "bare"))),
    "export": (("gaps.csv",), ("meeting", "meeting.xlsx")),
    "publish": (("pages",),),
    "reevaluate": (
        ("--dry-run",),
        ("--dry-run", "--config", "other.toml"),
        ("--config", "other.toml"),
    ),
    "backup": ((), ("copy.db",), ("--list",)),
    "restore": (("saved.db",),),
    "upgrade": ((),),
    "prune": (("--dry-run",), ()),
    "doctor": ((), ("--offline", "--config", "other.toml"), ("--config", "empty.toml")),
    "registry validate": (("sheet.csv",),),
    "registry import": (
        ("--dry-run", "sheet.csv"),
        ("sheet.csv",),
        ("--allow-withdrawals", "sheet.csv"),
        ("--allow-withdrawals", "--prune", "sheet.csv"),
    ),
    "registry export": (("registry.csv",),),
    "registry history": ((),),
    "registry show-data": (("nour",),),
    "registry erase": (("nour", "--dry-run"), ("nour", "--contacts", "--yes"), ("x9", "--yes")),
    "decide confirm": (("nour", "facebook", *BY),),
    "decide none-by-choice": (
        ("bare", "youtube", *BY),
        ("nour", "twitter", *BY, "--until", "2099-01-01"),
    ),
    "decide claim": (("bare", "https://www.facebook.com/bare.tiznit", *BY),),
    "decide disown": (("nour", "facebook", *BY),),
    "decide moved": (
        ("nour", "facebook", *BY),
        ("nour", "twitter", "--to", "https://x.com/nour2", *BY),
    ),
    "decide waive": (("nour", "youtube", *BY), ("nour", "--code", "channel_missing", *BY)),
    "decide domain-expires": (("long", "2027-06-30", *BY),),
    "decide withdraw": (("1", *BY), ("3", *BY)),
    "decide list": ((), ("--association", "bare")),
    "digest": (("--dry-run",), (), (), ("--since", f"{FIRST.date()}", "--to", "amina@example.org")),
    "digest subscribe": (("amina@example.org",), ("amina@example.org", "--association", "nour")),
    "digest unsubscribe": (("amina@example.org",), ("amina@example.org", "--association", "nour")),
    "digest subscriptions": ((),),
    "report-links create": (
        ("nour", "--out", "one.xlsx", *BY[:2]),
        ("--all", "--out", "letters.csv", *BY[:2]),
    ),
    "report-links text": (
        ("nour", *BY[:2], "--lang", "en"),
        ("nour", "--mail", *BY[:2], "--lang", "en"),
    ),
    "report-links renew": (("nour",), ("--all",)),
    "report-links revoke": (("nour", *BY[:2]), ("--all", *BY[:2])),
    "report-links list": ((),),
    "user add": (
        ("Salma", "--role", "admin", *BY[:2]),
        ("Idris", "--role", "coordinator", "--region", "souss-massa", *BY[:2]),
    ),
    "user list": ((),),
    "user reset": (("Amina", *BY[:2]),),
    "user remove": (("Amina",),),
}
"""Arguments of each command, each used on a fresh copy of the network. Add new commands here."""


def commands() -> list[str]:
    """Return the names of all commands, also of groups that are commands themselves."""
    return sorted(_under(typer.main.get_command(build_command_line()), ()))


def all_commands() -> Iterator[tuple[str, click.Command]]:
    """Yield the name and object of every group and command, and of the program itself."""
    return _all_under(typer.main.get_command(build_command_line()), ())


def _all_under(
    command: click.Command, words: tuple[str, ...]
) -> Iterator[tuple[str, click.Command]]:
    yield " ".join(words), command
    for name, subcommand in getattr(command, "commands", {}).items():
        yield from _all_under(subcommand, (*words, name))


def _under(command: click.Command, words: tuple[str, ...]) -> Iterator[str]:
    subcommands = getattr(command, "commands", {})
    if not subcommands or command.invoke_without_command:
        yield " ".join(words)
    for name, subcommand in subcommands.items():
        yield from _under(subcommand, (*words, name))
