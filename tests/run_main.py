"""Runs the bot as `python bot.py run` does in the current folder, against the fake Discord at an address."""

from __future__ import annotations

import sys

from bot import main
from tests.fake_discord import point_discord_py_at

if __name__ == "__main__":
    with point_discord_py_at(sys.argv[1]):
        sys.exit(main(["run"]))
