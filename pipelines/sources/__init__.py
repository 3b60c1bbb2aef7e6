"""Where queries come from: one module per source, each a function that yields rows of the query pool."""
