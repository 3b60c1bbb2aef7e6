"""What the tables must satisfy, the tables derived from them to say so, and the report."""
