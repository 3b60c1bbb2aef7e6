"""Inputs that failed somewhere, kept in a folder beside the checkout, run against this code: `python -m tests.cases [FOLDER]`."""
