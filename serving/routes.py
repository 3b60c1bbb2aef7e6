"""Every address that a server answers: the routers of its endpoints."""

from serving.admin import beside, groups, jobs, keys, pool, quality, records, savings, scorer
from serving.endpoints import api_docs, audits, chat, console, decisions, feedback, health, messages, models, passed_on, responses, route

ADMIN = (scorer, beside, pool, jobs, keys, records, groups, quality, savings)
V1 = (chat, responses, messages, passed_on, route, feedback, audits, decisions, models)
ROUTERS = tuple(part.router for part in (*V1, *ADMIN, health, api_docs, console))
