"""The ledger of savings: daily sums, kept when their records are forgotten."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

WHERE = ("day", "asked_by", "domain")
COUNTS = ("requests", "failed", "routed", "explored", "unpriced", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
USD = ("spent_usd", "routed_usd", "others_usd", "failed_usd", "rebilled_usd", "explored_usd")


def upgrade() -> None:
    """Of `monitoring.savings.ledger`."""
    op.create_table("ledger_days", *_where(*WHERE), *_sums(sa.BigInteger, *COUNTS), *_sums(sa.Double, *USD))
    against = _sums(sa.Double, "baseline_usd", "spent_usd")
    op.create_table("ledger_baselines", *_where("llm", *WHERE), *_sums(sa.BigInteger, "compared"), *against)
    op.create_table("ledger_judges", *_where(*WHERE), *_sums(sa.Double, "judged_usd"))
    op.create_table("ledger_cursors", *_where("name"), *_sums(sa.BigInteger, "number"))
    op.add_column("opinions", sa.Column("unbooked_usd", sa.Double, nullable=False, server_default="0"))
    op.execute("UPDATE opinions SET unbooked_usd = cost_usd")
    op.create_index("opinions_unbooked", "opinions", ["record_id"], postgresql_where=sa.text("unbooked_usd <> 0"))


def _where(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, primary_key=True) for name in names]


def _sums(kind: type[sa.BigInteger | sa.Double[float]], *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=False) for name in names]


def downgrade() -> None:
    """Nothing is taken away: restore a backup."""
    raise NotImplementedError
