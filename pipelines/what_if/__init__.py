"""What routing would have saved on calls that somebody logged, and what it would have cost in quality, each with its interval."""
