"""What vendors publish, by name: read from a package or a list, compared with the pool, written into it."""
