"""A ledger of a million attempts and more, for the benchmark: written with SQLite alone.

The attempts lie in 2,000 channels of 50 servers and in one year. One server, the first, has 400,000 of them
in the last 30 days, or as many as there are; an eighth of its members sends half of them.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import insert
from sqlalchemy.dialects.sqlite import dialect

from db.differences import booked_slots, booked_sums
from db.rollup import SPANS, slots, summed

NOW = 1_800_000_000
LARGE, LARGE_SHARE = 1, 400_000
LEAVER = 99_999  # a member with 10,000 messages

# Numbers that look drawn by lot, and are the same each time. Of two, the smaller: some members ask a lot.
FILL = """
WITH RECURSIVE number(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM number WHERE i < ?),
drawn AS (
    SELECT i, i <= ? AS large, (i * 2654435761) % 4294967296 AS a, (i * 2246822519 + 7) % 4294967291 AS b,
        (i * 3266489917 + 3) % 4294967279 AS c
    FROM number
)
INSERT INTO attempts (id, interaction_id, attempt, guild_id, channel_id, user_id, command, provider, model,
    key_variable, sent_at, ended_at, state, usage_source, error_class, prompt_tokens, completion_tokens,
    cached_tokens, reasoning_tokens, pictures, pixels, cost_micros, price_date, fallback, delivered,
    queue_ms, first_text_ms, total_ms)
SELECT i, i, 1,
    CASE WHEN large THEN 1 ELSE 1 + c % 50 END,
    CASE WHEN large THEN min(a % 200, b % 200) ELSE 200 + (c % 50) * 36 + b % 36 END,
    -- An eighth of the members asks half of the questions.
    CASE WHEN large THEN CAST(5000 * (b / 4294967291.0) * (b / 4294967291.0) * (b / 4294967291.0) AS INTEGER)
        ELSE 5000 + (c % 50) * 400 + min(a % 400, b % 400) END,
    CASE WHEN a % 20 = 0 THEN 'imagine' ELSE 'ask' END,
    'vendor-' || (c % 3), 'model-' || (c % 3), 'VENDOR_KEY' || (b % 6),
    CASE WHEN large THEN :now - a % 2592000 ELSE :now - a % 31536000 END,
    :now,
    'settled', 'provider', '', 200 + a % 2000, 50 + b % 600, 0, 0, a % 20 = 0, 0, 100 + a % 900, '2026-11-01',
    c % 30 = 0, 'full', 3, 400, 4000
FROM drawn
""".replace(":now", str(NOW))
MESSAGES = """
WITH RECURSIVE number(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number WHERE i < ?)
INSERT INTO history (turn_id, guild_id, channel_id, user_id, role, content, created_at)
SELECT -((i + 1) / 2), 2, (i * 2654435761) % 4294967296 % 2000,
    CASE WHEN i <= 10000 THEN 99999 ELSE (i * 2246822519) % 4294967291 % 20000 END,
    CASE WHEN i % 2 THEN 'user' ELSE 'assistant' END, 'Some words of about the length of a question here.', 0
FROM number
"""


def fill(path: Path, size: int) -> None:
    """Write so many attempts, with messages and the roll-up, into a file of the newest schema."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -400000")
    connection.execute("PRAGMA foreign_keys = OFF")
    with connection:
        connection.execute(FILL, (1, size, min(LARGE_SHARE, size)))
        connection.execute(MESSAGES, (max(size, 20_000),))
        connection.execute(
            "INSERT INTO requests (id, interaction_id, guild_id, channel_id, user_id, command, created_at, "
            "open, reserved_tokens, reserved_pictures, outcome) SELECT id, interaction_id, guild_id, "
            "channel_id, user_id, command, sent_at, false, 0, 0, 'answered' FROM attempts"
        )
        roll_up(connection)
    connection.close()


def roll_up(connection: sqlite3.Connection) -> None:
    """Make the roll-up of what was filled in."""
    for table, booked in ((slots, booked_slots()), *((summed, booked_sums(kind)) for kind in SPANS)):
        statement = insert(table).from_select(booked.selected_columns.keys(), booked)
        compiled = statement.compile(dialect=dialect(), compile_kwargs={"literal_binds": True})
        connection.execute(str(compiled))
