"""Try the bot in a local web page: a simulated Discord with the real bot in it, and a small model in its own
process. It needs no Discord account, no key and no settings; `make demo` installs what it does need.

examples:
  python bot.py demo                       show the page, and open a browser with it
  python bot.py demo --port 8080 --no-browser
  python bot.py demo --data /tmp/demo      keep history and usage there

exit status: 0 it was stopped, 1 the page cannot be shown, 78 something is not installed or its data unusable
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from commands import EXIT_CONFIGURATION


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line's options."""
    parser.add_argument("--port", type=int, default=0, help="port of the page (default: any free one)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument(
        "--data", type=Path, default="data/demo", help="where history and usage are kept (%(default)s)"
    )


def main(options: argparse.Namespace) -> int:
    """Run the demo; return its exit status."""
    try:
        import demo  # needs packages that no other command does, and says so where they are missing
    except ModuleNotFoundError:
        print("The demo is not in the container: start it with `make demo` in a checkout.", file=sys.stderr)
        return EXIT_CONFIGURATION
    return demo.show_until_stopped(options)
