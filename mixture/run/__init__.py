"""Answer one request: calls, money, layers, the final answer."""
