"""What versions beside the champion would have decided."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Shadows (monitoring.records.shadow)."""
    op.create_table(
        "shadows",
        sa.Column("record_id", sa.Text, sa.ForeignKey("records.id"), primary_key=True),
        sa.Column("scorer_version", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("served_version", "unit")),
        sa.Column("llm", sa.Text),
        *(sa.Column(name, sa.Double) for name in ("promised", "cost_usd")),
        sa.Column("served_llm", sa.Text, nullable=False),
        *(sa.Column(name, sa.Double, nullable=False) for name in ("served_promised", "served_usd")),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("same", "alike")),
        sa.Column("scores", sa.Text, nullable=False),
        sa.Column("why_not", sa.Text),
        sa.Column("scored_at", sa.Double, nullable=False),
    )
    op.create_index("shadows_of_versions", "shadows", ["scorer_version", "served_version", "scored_at"])


def downgrade() -> None:
    """Nothing is taken away: restore a backup."""
    raise NotImplementedError
