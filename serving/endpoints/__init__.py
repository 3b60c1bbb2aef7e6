"""/v1 and the public pages: an address a module."""
