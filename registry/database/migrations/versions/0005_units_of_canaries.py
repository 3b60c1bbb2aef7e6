"""By which a canary's sessions are found, so that a look at it does not read all its requests."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of `monitoring.policies.canary`."""
    columns = ["served_version", "scorer_version", "unit", "alike", "scored_at"]
    op.create_index("shadows_of_units", "shadows", columns, postgresql_where=sa.text("unit <> ''"))


def downgrade() -> None:
    """Nothing is taken away: restore a backup."""
    raise NotImplementedError
