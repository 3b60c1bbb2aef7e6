"""Quality in the ledger: daily sums over served answers, and the audits of those that are forgotten."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

WHERE = ("llm", "day", "asked_by", "domain")


def upgrade() -> None:
    """Of `monitoring.savings.ledger_quality` and `monitoring.records.graded_draws`."""
    op.add_column("draws", sa.Column("booked_as", sa.Text))
    op.create_table(
        "ledger_answers",
        *(sa.Column(name, sa.Text, primary_key=True) for name in WHERE),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("known", "moved")),
        *(sa.Column(name, sa.Double, nullable=False) for name in ("forecast", "promised")),
    )
    op.create_table(
        "ledger_audits",
        sa.Column("record_id", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("asked_by", "domain", "llm", "roster", "scores")),
        sa.Column("forecast", sa.Double),
        sa.Column("probability", sa.Double, nullable=False),
        *(sa.Column(name, sa.Double) for name in ("grade", "opinion")),
    )
    op.create_index("ledger_audits_created_at", "ledger_audits", ["created_at"])


def downgrade() -> None:
    """Nothing is taken away: restore a backup."""
    raise NotImplementedError
