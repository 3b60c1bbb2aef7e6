"""What a person does about a group of unknown queries: names it, has some of its answers audited, or leaves it.

Groups are those of the monitor's last look (`var/reports/latest.json`), by id or name, and the domains that people named.
To add them to the query pool and to retrain are jobs (`registry.jobs`), which read a group's decisions from their arguments.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from monitoring.audits.audit_queue import ASKED_FOR, WAITING
from monitoring.audits.audits import place
from monitoring.drift import named_domains, profile
from monitoring.drift.groups import group_id
from monitoring.drift.named_domains import NamedDomain, State
from monitoring.drift.profile import ReferenceProfile
from monitoring.errors import GroupUnknown, NothingActive
from monitoring.quality import served_answers
from monitoring.records.record import AUDIT, Record
from monitoring.records.store import RecordStore
from registry import current_version
from registry.jobs import Jobs
from registry.settings import Settings
from scorer.errors import ArtifactRefused
from scorer.near_matches import near_matches

MOST_MEMBERS = 2000  # of a named domain, the latest first
DRAWN = """SELECT records.id, probability, drawn, drawn_at, why, source FROM records JOIN draws ON draws.number = records.number
    LEFT JOIN outcomes ON record_id = records.id WHERE status = 'ok' AND records.id IN ({})"""
DRAW = """UPDATE draws SET probability = ?, drawn = ?, drawn_at = ?, why = ? WHERE number = (SELECT number FROM records WHERE id = ?)
    AND probability = ? AND drawn = ?"""
FIGURES = f"""SELECT llm, roster, scores, cost_usd, CASE WHEN source = '{AUDIT}' AND status = 'ok' THEN outcomes.score END,
    CASE WHEN {WAITING} THEN 1 ELSE 0 END
    FROM records LEFT JOIN outcomes ON record_id = id LEFT JOIN draws ON draws.number = records.number WHERE records.id IN ({{}})"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Chosen:
    """A group that a person means: its name, and the decisions it is made of, the latest last."""

    name: str
    members: tuple[str, ...]

    def as_arguments(self) -> dict[str, Any]:
        """As a job's arguments hold it."""
        return asdict(self)


def groups_of(settings: Settings, job: str) -> tuple[Chosen, ...]:
    """The groups that a job names; none where it names none or is not there. Raises JobRefused."""
    found = Jobs.of(settings).get(job) if job else None
    named = found.arguments.get("groups", []) if found is not None else []
    return tuple(Chosen(str(each["name"]), tuple(map(str, each["members"]))) for each in named)


@dataclass(frozen=True, slots=True)
class Actions:
    """On the groups of the host whose state lies in `var`. Every method blocks, and raises RecordsRefused."""

    var: Path
    store: RecordStore

    def listed(self) -> dict[str, Any]:
        """JSON-ready: `at`, `verdict`, `groups` of the last look, and `named` with how many queries came and were audited."""
        look = self._last_look()
        named = []
        for domain in named_domains.load(self.store).domains:
            promised, outcomes, usd, waiting = self._figures(self._members(domain))
            named.append(
                {
                    "name": domain.name,
                    "state": domain.state,
                    "named_by": domain.named_by,
                    "named_at": domain.named_at,
                    "scorer_version": domain.scorer_version,
                    "queries": len(promised),
                    "promised": sum(promised) / len(promised) if promised else None,
                    "audited": [len(outcomes), sum(outcomes) / len(outcomes) if outcomes else None],
                    "waiting": waiting,
                    "cost_usd": usd,
                }
            )
        verdict = (look.get("verdict") or {}).get("kind")
        return {"at": look.get("at"), "verdict": verdict, "groups": look.get("groups", []), "named": named}

    def find(self, called: str) -> Chosen:
        """The group or named domain of that name or id. Raises GroupUnknown, naming near ones."""
        domain = named_domains.load(self.store).get(called)
        if domain is not None:
            return Chosen(domain.name, tuple(self._members(domain)))
        groups = self._last_look().get("groups", [])
        for each in groups:
            if called in {each.get("id"), each["name"]}:
                return Chosen(each["name"], tuple(each.get("members", ())))
        near = near_matches(called, [each["name"] for each in groups])
        also = f"Did you mean {' or '.join(map(repr, near))}?" if near else "`routemoa groups` lists them; they may have changed since."
        raise GroupUnknown(f"No group of unknown queries is called {called!r}.", next_step=also)

    def name(self, called: str, new_name: str, *, by: str | None) -> NamedDomain:
        """The group is a domain called `new_name` from now on. Raises GroupUnknown, RecordRefused, NothingActive, ProfileRefused."""
        return self._keep(called, new_name, by, "named")

    def leave(self, called: str, *, by: str | None) -> NamedDomain:
        """Keeps that a person looked at the group and wants nothing done. Raises as `name` does.

        One without a name gets one that no later group has.
        """
        chosen = self.find(called)
        is_named = named_domains.load(self.store).get(chosen.name) is not None
        return self._keep(called, chosen.name if is_named else f"left {group_id(chosen.members)[:6]}", by, "left")

    def audit(self, called: str, count: int) -> int:
        """Draws about `count` more of its answers for an audit, by chance; how many. Raises GroupUnknown.

        Each undrawn answer has the chance count / undrawn ones, so that of a member is then, with its first chance p,

            1 - (1 - p) (1 - count / undrawn)

        Answers that the monitor has not decided on yet are left to it: it goes by the last one that is decided.
        """
        chosen = self.find(called)
        decided = self.store.ask_of_ids(DRAWN, chosen.members)
        undrawn = [row[0] for row in decided if not row[2] and row[-1] != AUDIT]
        if not undrawn or count < 1:
            return 0
        more = min(1.0, count / len(undrawn))
        taken = frozenset(sorted(undrawn, key=lambda each: place(each, "group"))[:count])
        changed = []
        for each, chance, drawn, drawn_at, why, source in decided:
            if not drawn and source == AUDIT:
                continue  # what was chosen by hand before has no chance of its own, and stays out of the estimate
            then = 1 - (1 - chance) * (1 - more)
            as_it_was = (each, chance, drawn)  # else somebody else drew of the group meanwhile, and that stays
            if each in taken:
                changed.append((then, 1, self.store.now(), f"{ASKED_FOR}: {chosen.name}", *as_it_was))
            else:
                changed.append((then, drawn, drawn_at, why, *as_it_was))
        self.store.change(DRAW, changed)
        return sum(bool(row[2]) for row in self.store.ask_of_ids(DRAWN, sorted(taken)))

    def _figures(self, members: Sequence[str]) -> tuple[list[float], list[float], float, int]:
        """Promises of these answers, outcomes of the audited ones, what all cost, how many wait for a grade; no texts are read."""
        rows = self.store.ask_of_ids(FIGURES, members)
        promised = [served_answers.promised(row[0], row[1], row[2]) for row in rows]
        outcomes = [row[4] for row in rows if row[4] is not None]
        return promised, outcomes, float(sum(row[3] for row in rows)), sum(row[5] for row in rows)

    def _keep(self, called: str, new_name: str, by: str | None, state: State) -> NamedDomain:
        chosen = self.find(called)
        return named_domains.name(self.store, new_name, self._records(chosen), self._profile(), by, state)

    def _records(self, chosen: Chosen) -> list[Record]:
        return self.store.of_ids(chosen.members)

    def _members(self, domain: NamedDomain) -> list[str]:
        """Decisions it was made of, and those that came to it since."""
        rows = self.store.ask(
            f"""SELECT records.id FROM draws JOIN records ON records.number = draws.number WHERE draws.domain = ?
                ORDER BY draws.number DESC LIMIT {MOST_MEMBERS}""",  # noqa: S608
            (domain.name,),
        )
        return list(dict.fromkeys([*domain.members, *(row[0] for row in reversed(rows))]))

    def _profile(self) -> ReferenceProfile:
        try:
            active = current_version.read(self.var / "scorers" / current_version.NAME)
        except ArtifactRefused as exc:
            raise NothingActive(
                "No scorer is published, so nothing is known of groups.",
                next_step="Promote a version: routemoa promote VERSION",
            ) from exc
        return profile.read(self.var / "scorers" / active.folder)

    def _last_look(self) -> dict[str, Any]:
        try:
            return dict(orjson.loads((self.var / "reports" / "latest.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return {}
