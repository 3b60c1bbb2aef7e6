"""How often a job was begun."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of `registry.jobs`."""
    op.add_column("jobs", sa.Column("begun", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    """Nothing is taken away: restore a backup."""
    raise NotImplementedError
