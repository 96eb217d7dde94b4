"""How to reach whoever has not seen the end of an answer; which model was chosen for a question"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    for table, name in (("requests", "response"), ("history", "model")):
        op.add_column(table, sa.Column(name, sa.Text(), nullable=False, server_default=sa.text("''")))
    unseen = sa.text("response <> ''")
    op.create_index("ix_requests_response", "requests", ["id"], sqlite_where=unseen, postgresql_where=unseen)
