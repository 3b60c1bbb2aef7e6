"""What Alembic runs: `env`, and one file for each version of the tables."""
