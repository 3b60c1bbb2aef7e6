"""What this process sees of LLMs: what calls take, what endpoints say they cost, who is silent."""
