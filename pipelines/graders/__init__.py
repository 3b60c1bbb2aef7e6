"""Graders: one module each, an answer and its query in, a reward in [0, 1] out; `VERSION` changes whenever a score could."""
