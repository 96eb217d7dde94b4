"""Runs `python bot.py doctor` against a fake Discord. Arguments: its address, then the doctor's own."""

from __future__ import annotations

import sys

from bot import main
from tests.fake_discord import point_discord_py_at

if __name__ == "__main__":
    with point_discord_py_at(sys.argv[1]):
        sys.exit(main(["doctor", *sys.argv[2:]]))
