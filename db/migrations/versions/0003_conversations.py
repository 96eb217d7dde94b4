"""Conversations: private ones, who spoke, what went along"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for name, kind, default in (
        ("private_to", sa.BigInteger(), "0"),
        ("speaker", sa.Text(), "''"),
        ("attached", sa.Text(), "''"),
        ("pictures", sa.BigInteger(), "0"),
        ("finish_reason", sa.Text(), "''"),
    ):
        # Outside a batch: SQLite then adds the column without writing the table anew.
        op.add_column("history", sa.Column(name, kind, nullable=False, server_default=sa.text(default)))
    op.drop_index(op.f("ix_history_channel_id_id"), "history")
    op.drop_index(op.f("ix_history_user_id"), "history")
    op.create_index(
        op.f("ix_history_channel_id_private_to_turn_id"), "history", ["channel_id", "private_to", "turn_id"]
    )
    op.create_index(
        op.f("ix_history_user_id_channel_id_turn_id"), "history", ["user_id", "channel_id", "turn_id"]
    )
    op.create_table(
        "history_pictures",
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["history.id"],
            name=op.f("fk_history_pictures_entry_id_history"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("entry_id", "place", name=op.f("pk_history_pictures")),
    )
