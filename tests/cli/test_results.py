"""`routemoa results`: one set's test queries beside its out-of-domain ones."""

from pathlib import Path

import pandas as pd

from pipelines import qualities, tables
from pipelines.errors import TableRefused
from pipelines.project import Project
from tests.cli.command_line import output, refusal


def test_a_sets_splits_stand_side_by_side(home: Path) -> None:
    """Every scorer with both splits, the gain over it, what ours promised, and each dataset; only of the set that is named."""
    assert "Run `dvc repro evaluate`" in str(refusal(TableRefused, "results"))
    rows = [
        (f"{name}-{split}-{at}", name, f"{name}-{split}", split, scorer, quality, 0.75 if scorer == "ours" else None)
        for name in ("mine", "other")
        for split in ("test", "ood")
        for at in range(4)
        for scorer, quality in (("ours", 1.0 if split == "test" else 0.5), ("best single", 0.25 if name == "mine" else 0.0))
    ]
    frame = pd.DataFrame(rows, columns=qualities.QUALITIES.names)
    tables.write(Project(home).evaluation / qualities.FILE, frame, qualities.QUALITIES)
    printed = output("results", "mine")
    (single,) = [line for line in printed.splitlines() if line.strip().startswith("best single")]
    assert " ".join(single.split()[2:]) == "0.250 [0.250, 0.250] 0.750 [0.750, 0.750] 0.250 [0.250, 0.250] 0.250 [0.250, 0.250]"
    assert "ood: ours promised 0.750 on 4 queries and reached 0.500 [0.500, 0.500]." in printed
    assert "mine-ood" in printed
    assert "other" not in printed
    assert "Did you mean mine" in str(refusal(TableRefused, "results", "mien"))
