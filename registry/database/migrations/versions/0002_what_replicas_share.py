"""What a host's server and monitor kept for themselves: responses that requests go on from, the monitor's looks, void certificates."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

REAL = sa.Double


def upgrade() -> None:
    """Kept responses (serving.sessions.kept_responses), looks and void certificates (monitoring.looks)."""
    op.create_table(
        "kept_responses",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("previous", sa.Text),
        sa.Column("items", sa.LargeBinary, nullable=False),
        sa.Column("llm", sa.Text),
        sa.Column("used", REAL, nullable=False, index=True),
    )
    op.create_table(
        "looks",
        sa.Column("number", sa.BigInteger, sa.Identity(always=False), primary_key=True),
        sa.Column("at", REAL, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("verdict", "kind", "scorer_version", "reasons")),
        sa.Column("job", sa.Text),
        sa.Column("content", sa.Text),
        sa.UniqueConstraint("at", "verdict"),
    )
    op.create_table(
        "void_certificates",
        sa.Column("number", sa.BigInteger, sa.Identity(always=False), primary_key=True),
        sa.Column("scorer_version", sa.Text, nullable=False, unique=True),
        sa.Column("content", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Nothing is taken away: restore a backup."""
    raise NotImplementedError
