"""Predict: from a query alone, how likely each LLM of a roster is to answer it well."""
