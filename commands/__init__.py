"""The command line: one module for each subcommand, with `add_arguments(parser)` and `main(options) -> int`.

A module's docstring is what its `--help` says: what it does, examples, exit status. Only the module that was
asked for is loaded, since starting the bot shall take no longer for the others.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module

from db.engine import DatabaseUnusable
from providers.catalog import CatalogError
from settings import SettingsError

# The exit status that says "configuration error" (sysexits.h), so that no service manager tries again.
EXIT_CONFIGURATION = 78
# The one that says "try again later" (sysexits.h): a disk that is full, a file that is locked.
EXIT_TRY_AGAIN = 75

# In the order in which `--help` lists them. All but `run` have a module of that name here.
COMMANDS = {
    "run": "start the bot (what happens without a command too)",
    "demo": "try the bot in a local web page: no Discord account, no key",
    "doctor": "check settings, token, database and every key",
    "backup": "copy the database, also of a running bot",
    "restore": "put a backup in the database's place",
    "export": "write everything as JSON lines",
    "migrate": "move from SQLite to PostgreSQL",
    "verify": "check that the books agree, also of a running bot",
}

ABOUT = """\
Colloquy, a Discord bot that you host yourself.

Settings come from .env and colloquy.toml in the current folder, from the environment and from secret files;
the README lists them."""

EXIT_STATUS = """\
exit status:
  0   done, and all is well
  1   something is wrong; it says what
  2   the command line could not be understood
  75  not now: a full disk, a second bot on the database, a port in use; another try may go better
  78  the settings or the database cannot be used: nothing gets better by trying again"""

RUN = f"""\
Start the bot with the settings of this folder. Ctrl-C or SIGTERM stops it: what is being answered gets
STOP_SECONDS, a second signal ends it at once. SIGHUP makes it read its settings again.

{EXIT_STATUS}"""


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; `command` names the subcommand. Ends the process where it makes no sense."""
    parser = argparse.ArgumentParser(
        prog="bot.py",
        description=ABOUT,
        epilog=f"COMMAND --help tells more, with examples.\n\n{EXIT_STATUS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, line in COMMANDS.items():
        command = parsers.add_parser(name, help=line, formatter_class=parser.formatter_class)
        if name in arguments[:1]:
            teaching = RUN
            if name != "run":
                module = import_module(f"commands.{name}")
                module.add_arguments(command)
                teaching = module.__doc__ or ""
            command.description, _, command.epilog = teaching.partition("\n\n")
    options = parser.parse_args(arguments)
    options.command = options.command or "run"
    return options


def refuse(error: SettingsError | CatalogError | DatabaseUnusable, beginning: str = "") -> int:
    """Say what is wrong with the settings or the database; return the exit status."""
    if isinstance(error, DatabaseUnusable):
        print(f"{beginning}{error}", file=sys.stderr)
        return EXIT_TRY_AGAIN if error.may_pass else EXIT_CONFIGURATION
    print(f"{beginning}Please put this right:", file=sys.stderr)
    for problem in error.problems:
        print(f"  - {problem}", file=sys.stderr)
    return EXIT_TRY_AGAIN if isinstance(error, SettingsError) and error.may_pass else EXIT_CONFIGURATION


def perform(options: argparse.Namespace) -> int:
    """Do what the subcommand (any but `run`) is for; return the exit status."""
    try:
        status: int = import_module(f"commands.{options.command}").main(options)
    except (SettingsError, CatalogError, DatabaseUnusable) as error:
        if getattr(options, "json", False):
            problems = [str(error)] if isinstance(error, DatabaseUnusable) else error.problems
            print(json.dumps({"ok": False, "problem": " ".join(problems)}))
        return refuse(error)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 1
    return status
