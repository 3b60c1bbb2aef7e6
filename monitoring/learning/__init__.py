"""Learning between retrainings: what outcomes of served answers say beyond the scorer, until the next scorer version."""
