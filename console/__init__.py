"""The web page of the platform: a process of its own, which talks to the server by its HTTP API with the person's own key."""
