"""One module a page: what it asks of the server, and how that is drawn."""

from console.pages import audits, decision, decisions, drift, job, keys, overview, playground, pool, register, scorers

PAGES = tuple(each.PAGE for each in (overview, pool, register, job, scorers, drift, audits, playground, decisions, decision, keys))
