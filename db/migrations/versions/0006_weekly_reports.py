"""Weekly reports: where a server has them posted, and which was the last"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    for name, kind, default in (
        ("weekly_channel_id", sa.BigInteger(), "0"),
        ("weekly_by", sa.Text(), "''"),
        ("weekly_posted", sa.Text(), "''"),
        ("weekly_missed", sa.BigInteger(), "0"),
    ):
        column = sa.Column(name, kind, nullable=False, server_default=sa.text(default))
        op.add_column("guild_settings", column)
