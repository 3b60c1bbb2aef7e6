"""Who exists: the LLM pool, scorer versions and their aliases, the promotion gate, jobs."""
