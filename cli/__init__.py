"""The `routemoa` command."""
