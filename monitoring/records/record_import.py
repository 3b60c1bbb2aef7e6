"""Moves the records of a host's own file into the database that it shares from now on, with what was said and drawn of them."""

from pathlib import Path

from monitoring.records.record_file import RecordFile
from monitoring.records.record_tables import LOCK
from registry.database import files
from registry.database.door import Database

BESIDE = ("outcomes", "opinions", "claims", "shadows", "named_domains", "forgotten")
DRAWS = """SELECT probability, drawn, drawn_at, draws.domain, why, booked_as, records.id
    FROM draws JOIN records ON records.number = draws.number
    ORDER BY draws.number"""
DRAW = """INSERT INTO draws (number, probability, drawn, drawn_at, domain, why, booked_as)
    SELECT number, ?, ?, ?, ?, ?, ? FROM records WHERE id = ?
    ON CONFLICT DO NOTHING"""


OLDER = "day < (SELECT coalesce(date(min(created_at), 'unixepoch'), '9999') FROM records)"  # days whose records are forgotten
LEDGER = {  # records are booked anew; opinions, and audits of forgotten records, are not
    "ledger_days": OLDER,
    "ledger_baselines": OLDER,
    "ledger_answers": OLDER,
    "ledger_judges": "1 = 1",
    "ledger_audits": "1 = 1",
}


def move(path: Path, database: Database) -> dict[str, int]:
    """How many rows of each table came; records keep their order and get new numbers. Raises DatabaseFailed, RecordsRefused.

    Of the ledger come the days before the first record that is kept; from that day on it is made of the records.
    """
    RecordFile(path).require()  # an older release's file is brought up to date first
    came = {"records": files.move(path, "records", database, lock=LOCK, leave=("number",))}
    came |= {table: files.move(path, table, database, lock=LOCK) for table in BESIDE}
    with files.reading(path) as file:
        came["draws"] = files.insert_all(file.execute(DRAWS), DRAW, database, LOCK)
    came["ledger rows"] = sum(files.move(path, table, database, lock=LOCK, where=where) for table, where in LEDGER.items())
    return came
