"""Where state is kept that processes and hosts share: an SQLite file of this host, or PostgreSQL; statements are written once for both."""
