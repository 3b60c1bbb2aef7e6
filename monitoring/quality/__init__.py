"""How good served answers are, estimated from a few that were graded."""
