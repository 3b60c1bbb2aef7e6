"""Decide: which LLMs answer a query, who judges, when to stop, how answers become one."""
