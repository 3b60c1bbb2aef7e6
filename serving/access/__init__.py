"""Who may ask, whom, how often and up to which sum: keys, scopes, rates, budgets, places."""
