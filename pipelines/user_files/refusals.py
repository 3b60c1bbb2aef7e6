"""How a user's file is refused: by file, row and field, the first few complaints in words and the rest counted."""

from pathlib import Path

from pipelines.errors import ImportRefused

SHOWN = 5  # complaints named in one error
Complaint = tuple[int, str, str]  # row, counted from 1 without the header; field; reason


def refuse(path: Path, complaints: list[Complaint], next_step: str = "Correct the file; nothing was imported.") -> None:
    """Raises ImportRefused for `complaints`; does nothing for none."""
    if complaints:
        shown = "; ".join(f"row {row}, field {field!r}: {reason}" for row, field, reason in complaints[:SHOWN])
        more = f"; and {len(complaints) - SHOWN} more" if len(complaints) > SHOWN else ""
        raise ImportRefused(f"{path}: {shown}{more}.", next_step=next_step)
