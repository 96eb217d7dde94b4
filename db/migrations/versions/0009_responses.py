"""How to reach whoever has not seen the end of an answer; which model was chosen for a question"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "responses",
        sa.Column("interaction_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("process", sa.BigInteger(), nullable=False),
        sa.Column("response", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("interaction_id", name=op.f("pk_responses")),
    )
    op.add_column("history", sa.Column("model", sa.Text(), nullable=False, server_default=sa.text("''")))
