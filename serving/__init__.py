"""HTTP in, answer out."""
