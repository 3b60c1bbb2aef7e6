"""The requests of one conversation: how it is named, what is kept of it, and what that says of the next request."""
