"""Scorer versions in this worker: loaded, shared, beside each other, and a request that one of them scored."""
