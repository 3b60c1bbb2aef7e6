"""What a reader makes of its files: calls, what it left out and why, and complaints by file, row and field."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipelines.errors import ImportRefused
from pipelines.logs import outcomes
from pipelines.logs.call import LoggedCall
from pipelines.logs.fields import Fields
from pipelines.logs.outcomes import Scale
from pipelines.user_files import content
from pipelines.user_files.refusals import Complaint


@dataclass(slots=True)
class Reading:
    """Filled by a reader. notes: sentences on how the files were understood. scores: (name, id of the call, value)."""

    calls: list[LoggedCall] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    complaints: dict[Path, list[Complaint]] = field(default_factory=dict)
    scores: list[tuple[str, str, object]] = field(default_factory=list)

    def rows(self, path: Path) -> Iterator[Fields]:
        """The rows of a file of rows: JSON, JSON lines, CSV, Parquet, also compressed."""
        for row in content.read(path).rows:
            yield self.fields(path, row.number, row.cells)

    def fields(self, path: Path, number: int, cells: Mapping[str, Any]) -> Fields:
        """The fields of one row of `path`."""
        return Fields(number, cells, self.complaints.setdefault(path, []))

    def complain(self, path: Path, number: int, name: str, reason: str) -> None:
        """Notes what cannot be read of a row that has no fields."""
        self.complaints.setdefault(path, []).append((number, name, reason))

    def skip(self, reason: str) -> None:
        """Counts a row that is left out, in words that follow a number: `calls that failed`."""
        self.left_out[reason] += 1

    def keep(self, call: LoggedCall) -> None:
        """Takes a call."""
        self.calls.append(call)

    def take_outcomes(self, wanted: Scale | None) -> None:
        """Gives each call the score that `wanted` names, or the only one there is, as its outcome.

        Raises ImportRefused where no score has that name.
        """
        by_call, name, notes = outcomes.of_calls(outcomes.by_name(self.scores), wanted)
        self.notes += notes
        self.calls = [
            replace(call, outcome=by_call[call.call_id], outcome_name=name) if call.call_id in by_call else call for call in self.calls
        ]

    def without_repeats(self) -> None:
        """Leaves out calls that are there before, by id, time, LLM, texts, tokens and cost: of exports that overlap, or twice in one."""
        seen: set[tuple[object, ...]] = set()
        kept: list[LoggedCall] = []
        for call in self.calls:
            known = (call.call_id, call.at, call.llm, call.text, call.answer, call.usage, call.cost_usd)
            if call.call_id is None or call.at is None or known not in seen:
                kept.append(call)
            seen.add(known)
        if repeated := len(self.calls) - len(kept):
            self.left_out["calls that are there before"] += repeated
        self.calls = kept

    def without_damaged(self) -> None:
        """Leaves out the calls of rows that there are complaints about, and says which these are."""
        for path, complaints in self.complaints.items():
            if not complaints:
                continue
            damaged = {number for number, _, _ in complaints}
            self.calls = [call for call in self.calls if call.file != str(path) or call.row not in damaged]
            number, name, reason = complaints[0]
            self.notes.append(f"{path}: {len(damaged)} damaged rows are left out; the first is row {number}, field {name!r}: {reason}.")
        self.complaints = {}


def expect(path: Path, row: Fields, what: str, *needed: Sequence[str]) -> None:
    """Raises ImportRefused where the row lacks every spelling of a field that each row of such a file has."""
    for names in needed:
        if not row.has(*names):
            has = ", ".join(sorted(row.rest())[:12]) or "nothing"
            raise ImportRefused(
                f"{path}: row {row.number} is not of {what}: it has no field {names[0]!r} (it has {has}).",
                next_step="Name the format it is in: routemoa import --help lists them.",
            )


def buckets(reading: Reading, path: Path, what: str, start: str) -> Iterator[tuple[Fields, Fields]]:
    """Each result of a usage report's pages, with the bucket of time that it is in; a result's row is its place in the file.

    Raises ImportRefused where the file is none.
    """
    number = 0
    for page in objects(content.documents(path)):
        inner = page.get("data", page.get("buckets", page))
        for bucket in objects(inner):
            number += 1
            around = reading.fields(path, number, bucket)
            expect(path, around, what, (start,), ("results",))
            for result in around.items("results"):
                if isinstance(result, dict):
                    yield around, reading.fields(path, number, result)
                else:
                    around.complain("results", result, "is no object")


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list, or an object by itself; none of anything else."""
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]
