"""Sums of members over four and sixteen days; those of quarters of an hour are of whole servers"""

from alembic import op

revision = "0008"
down_revision = "0007"

DAY = 86400
SUMS = (
    "sum(requests), sum(failures), sum(prompt_tokens), sum(completion_tokens), sum(estimated_tokens), "
    "sum(pictures), sum(pixels), sum(cost_micros), sum(unpriced), sum(estimated), sum(fallbacks)"
)


def upgrade() -> None:
    add("quarter", "time", "0", "slot")
    op.execute("DELETE FROM usage_sums WHERE kind IN ('slot', 'member8')")
    op.execute("UPDATE usage_sums SET kind = 'slot' WHERE kind = 'quarter'")
    for days in (4, 16):
        add(f"member{days}", f"time - time % {days * DAY}", "subject_id", "member")


def add(kind: str, time: str, subject: str, smaller: str) -> None:
    # Our own names alone, nothing from outside.
    op.execute(
        f"INSERT INTO usage_sums SELECT guild_id, '{kind}', {time}, {subject}, '', '', '', '', {SUMS} "  # noqa: S608
        f"FROM usage_sums WHERE kind = '{smaller}' GROUP BY 1, 3, 4"
    )
