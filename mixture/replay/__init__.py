"""Run a recorded decision again, and draw it."""
