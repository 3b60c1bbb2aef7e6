"""What a reader makes of its files: calls, what it left out and why, and complaints by file, row and field."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from pipelines.errors import ImportRefused
from pipelines.logs import outcomes
from pipelines.logs.call import LoggedCall
from pipelines.logs.calls import Calls
from pipelines.logs.fields import Fields
from pipelines.logs.outcomes import Scale
from pipelines.logs.progress import told
from pipelines.user_files import content
from pipelines.user_files.refusals import Complaint


def _whole(call: LoggedCall) -> LoggedCall:
    return call


@dataclass(slots=True)
class Reading:
    """Filled by a reader. notes: sentences on how the files were understood. scores: (name, id of the call, value).

    once: whether a call that is there before is left out. kept: what is kept of a call, such as its texts without addresses.
    """

    once: bool = False
    kept: Callable[[LoggedCall], LoggedCall] = _whole
    calls: Calls = field(default_factory=Calls)
    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    complaints: dict[Path, list[Complaint]] = field(default_factory=dict)
    scores: list[tuple[str, str, object]] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)

    def rows(self, path: Path) -> Iterator[Fields]:
        """The rows of a file of rows: JSON, JSON lines, CSV, Parquet, also compressed."""
        name = path.name.replace("{", "{{").replace("}", "}}")
        for row in told(content.rows(path), f"{name}: {{}} rows"):
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
        """Takes a call, unless it is there before, by id, time, LLM, texts, tokens and cost: exports overlap."""
        if self.once and call.call_id is not None and call.at is not None:
            known = repr((call.call_id, call.at, call.llm, call.text, call.answer, call.usage, call.cost_usd))
            mark = int.from_bytes(blake2b(known.encode("utf-8", "surrogatepass"), digest_size=12).digest())
            if mark in self.seen:
                return self.skip("calls that are there before")
            self.seen.add(mark)
        return self.calls.append(self.kept(call))

    def take_outcomes(self, wanted: Scale | None) -> None:
        """Gives each call the score that `wanted` names, or the only one there is, as its outcome.

        Raises ImportRefused where no score has that name.
        """
        by_call, name, notes = outcomes.of_calls(outcomes.by_name(self.scores), wanted)
        self.notes += notes
        if by_call:
            self.calls = self.calls.changed(
                lambda call: replace(call, outcome=by_call[call.call_id], outcome_name=name) if call.call_id in by_call else call
            )

    def without_damaged(self) -> None:
        """Leaves out the calls of rows that there are complaints about, and says which these are."""
        damaged = {str(path): {number for number, _, _ in complaints} for path, complaints in self.complaints.items() if complaints}
        if damaged:
            self.calls = self.calls.changed(lambda call: None if call.row in damaged.get(call.file, ()) else call)
        for path, complaints in self.complaints.items():
            if not complaints:
                continue
            number, name, reason = complaints[0]
            self.notes.append(
                f"{path}: {len(damaged[str(path)])} damaged rows are left out; the first is row {number}, field {name!r}: {reason}."
            )
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
