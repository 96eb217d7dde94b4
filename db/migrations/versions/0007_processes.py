"""Which process answers a request"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column(
        "requests", sa.Column("process", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
    )
