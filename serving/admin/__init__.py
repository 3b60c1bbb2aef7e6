"""/admin: what administrators see and start."""
