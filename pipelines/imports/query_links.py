"""Which query of the pool a row of a user's file speaks of: by the user's own id, the pool's id, or the text."""

import re
from dataclasses import dataclass, field

from pipelines.query_pool import identity, normal

_WHOLE_FLOAT = re.compile(r"(\d+)\.0+")  # 7.0 is how a data frame writes the id 7 in a column that lacks some


@dataclass(slots=True)
class QueryLinks:
    """Ids and texts of queries, each as it stands and as it may be written elsewhere; what fits two queries fits none."""

    by_id: dict[str, str] = field(default_factory=dict)
    by_loose_id: dict[str, set[str]] = field(default_factory=dict)
    by_text: dict[str, set[str]] = field(default_factory=dict)
    by_loose_text: dict[str, set[str]] = field(default_factory=dict)

    def add(self, query_id: str, *, own_id: str | None = None, texts: tuple[str, ...] = ()) -> None:
        """Makes the query known by its id in the pool, by its owner's, and by `texts`: as it is asked, as its file writes it."""
        for name in (query_id, own_id):
            if name is not None:
                self.by_id[name] = query_id
                self.by_loose_id.setdefault(_loose(name), set()).add(query_id)
        for text in texts:
            self.by_text.setdefault(identity(text)[0], set()).add(query_id)
            self.by_loose_text.setdefault(normal(text), set()).add(query_id)

    def with_id(self, name: str) -> str | None:
        """The query that is called `name`."""
        return self.by_id.get(name) or _only(self.by_loose_id.get(_loose(name), set()))

    def with_text(self, text: str) -> set[str]:
        """The queries that have this text; where none has, those that have it in another case or spacing."""
        return self.by_text.get(identity(text)[0]) or self.by_loose_text.get(normal(text), set())

    def find(self, own_id: str | None, text: str | None) -> str:
        """The id of the query that a row names. Raises ValueError, in words, where there is none, or several."""
        called = self.with_id(own_id) if own_id is not None else None
        asked = self.with_text(text) if text is not None else set()
        if called is not None:
            if asked and called not in asked:
                raise ValueError(f"{own_id!r} is another query than the one with the row's text {str(text)[:60]!r}")
            return called
        if len(asked) > 1:
            raise ValueError(f"{str(text)[:60]!r} is the text of {len(asked)} queries, which differ in their options; give ids")
        found = _only(asked)
        if found is None:
            named = own_id if own_id is not None else text
            raise ValueError(f"{str(named)[:60]!r} is no query of the queries file or the pool" if named is not None else "is empty")
        return found


def _loose(own_id: str) -> str:
    whole = _WHOLE_FLOAT.fullmatch(own_id)
    return whole[1] if whole else own_id


def _only(ids: set[str]) -> str | None:
    return next(iter(ids)) if len(ids) == 1 else None
