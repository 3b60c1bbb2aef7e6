"""What a job leaves beside its row: what its processes printed, and what it bought."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Logs in pieces (registry.shared_job_log) and gains (registry.gains)."""
    op.create_table(
        "job_logs",
        sa.Column("job", sa.Text, primary_key=True),
        sa.Column("first_byte", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "job_gains",
        sa.Column("job", sa.Text, primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Nothing is taken away: restore a backup."""
    raise NotImplementedError
