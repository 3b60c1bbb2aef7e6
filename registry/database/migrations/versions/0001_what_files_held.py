"""Everything that SQLite files and keys.json hold on a host of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

REAL = sa.Double
JSON_EXTRACT = """CREATE FUNCTION json_extract(document text, path text) RETURNS double precision LANGUAGE sql IMMUTABLE
    AS $$ SELECT (document::json #>> string_to_array(substr(path, 3), '.'))::double precision $$"""  # SQLite's, of numbers: `$.score`


def upgrade() -> None:
    """Records and outcomes (monitoring.records.store), jobs (registry.jobs), spend (serving.access.budgets), keys (serving.access.keys)."""
    op.create_table(
        "records",
        sa.Column("number", sa.BigInteger, sa.Identity(always=False), primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("created_at", REAL, nullable=False, index=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("virtual_model", "scorer_version", "roster", "scores")),
        sa.Column("embedding", sa.LargeBinary, nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("llm", sa.Text),
        *(sa.Column(name, REAL, nullable=False) for name in ("cost_usd", "latency_s")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("input_tokens", "output_tokens")),
        sa.Column("status", sa.Text, sa.CheckConstraint("status IN ('ok', 'error')"), nullable=False),
        *(sa.Column(name, sa.Text) for name in ("domain", "text", "asked_by")),
    )
    op.create_index("records_scored", "records", ["scorer_version", "number"], postgresql_where=sa.text("length(embedding) > 0"))
    op.create_table(
        "outcomes",
        sa.Column("record_id", sa.Text, sa.ForeignKey("records.id"), primary_key=True),
        sa.Column("score", REAL, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("reported_at", REAL, nullable=False),
        *(sa.Column(name, sa.Text) for name in ("grader", "reference", "choices", "reported_by")),
    )
    op.create_table(
        "draws",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("probability", REAL, nullable=False),
        sa.Column("drawn", sa.Integer, nullable=False),
        sa.Column("drawn_at", REAL, nullable=False),
        *(sa.Column(name, sa.Text) for name in ("domain", "why")),
    )
    op.create_index("draws_drawn", "draws", ["number"], postgresql_where=sa.text("drawn = 1"))
    op.create_index("draws_of_domain", "draws", ["domain", "number"])
    op.create_table(
        "opinions",
        sa.Column("record_id", sa.Text, sa.ForeignKey("records.id"), primary_key=True),
        sa.Column("grader", sa.Text, primary_key=True),
        sa.Column("score", REAL),
        *(sa.Column(name, REAL, nullable=False) for name in ("cost_usd", "given_at")),
    )
    op.create_table(
        "claims",
        sa.Column("record_id", sa.Text, sa.ForeignKey("records.id"), primary_key=True),
        sa.Column("who", sa.Text, primary_key=True),
        sa.Column("claimed_at", REAL, nullable=False),
        sa.Column("skipped", sa.Integer, nullable=False),
    )
    op.create_table(
        "named_domains",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("centre", sa.LargeBinary, nullable=False),
        sa.Column("reach", REAL, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("scorer_version", "members", "state")),
        sa.Column("named_by", sa.Text),
        sa.Column("named_at", REAL, nullable=False),
    )
    op.create_table(
        "forgotten", sa.Column("scorer_version", sa.Text, primary_key=True), sa.Column("records", sa.BigInteger, nullable=False)
    )
    op.create_table(
        "jobs",
        sa.Column("number", sa.BigInteger, sa.Identity(always=False), primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("key", sa.Text, unique=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("kind", "arguments")),
        sa.Column("state", sa.Text, sa.CheckConstraint("state IN ('queued', 'running', 'done', 'failed', 'cancelled')"), nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        *(sa.Column(name, REAL, nullable=False) for name in ("progress", "created_at")),
        *(sa.Column(name, REAL) for name in ("started_at", "ended_at")),
        sa.Column("error", sa.Text),
    )
    op.create_table(
        "spend",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("window", sa.Text, primary_key=True),
        *(sa.Column(name, REAL, nullable=False, server_default="0") for name in ("spent_usd", "held_usd")),
        sa.Column("requests", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("last_used", REAL),
    )
    op.execute(JSON_EXTRACT)
    op.create_table(
        "sessions",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("until", REAL, nullable=False, index=True),
        sa.Column("kept", sa.LargeBinary, nullable=False),
    )
    op.create_table("keys", sa.Column("name", sa.Text, primary_key=True), sa.Column("entry", sa.Text, nullable=False))


def downgrade() -> None:
    """Nothing is taken away: restore a backup."""
    raise NotImplementedError
