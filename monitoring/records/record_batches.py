"""Records that are gone through without being held: read from their store a batch at a time, and anew each time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from monitoring.records.record import Record
from monitoring.records.store import RecordStore

AT_ONCE = 200  # records in memory, about 40 kB each (15 LLMs)
IDS = "SELECT id FROM records WHERE created_at >= ? AND created_at < ? ORDER BY created_at, number"


@dataclass(frozen=True, slots=True)
class RecordBatches:
    """Those of `ids` that are kept when they are read, in the order of the ids. Going through them raises RecordsRefused."""

    store: RecordStore
    ids: Sequence[str]

    @classmethod
    def between(cls, store: RecordStore, since: float, until: float) -> "RecordBatches":
        """Records with `since <= created_at < until` in order of time. Blocks. Raises RecordsRefused."""
        return cls(store, [record_id for (record_id,) in store.ask(IDS, (since, until))])

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Record]:
        for first in range(0, len(self.ids), AT_ONCE):
            some = self.ids[first : first + AT_ONCE]
            found = {record.id: record for record in self.store.of_ids(some)}
            yield from (found[record_id] for record_id in some if record_id in found)
