"""Puts what was measured into docs/results/scorer.md, so that no figure is copied by hand: `python -m benchmarks.write_results`.

Between `<!-- NAME -->` and `<!-- /NAME -->` goes build/benchmarks/NAME/table.md; its curve.svg goes beside the document as scorer-NAME.svg.
`--only` rewrites the blocks that are named and leaves the others as they stand.
"""

import argparse
import re
import shutil
import sys
from collections.abc import Collection
from pathlib import Path

from pipelines.errors import TableRefused
from scorer.errors import RouteMoAError

DOCUMENT = Path("docs/results/scorer.md")
BUILT = Path("build/benchmarks")
BLOCK = re.compile(r"<!-- (?P<name>[a-z0-9-]+) -->\n.*?<!-- /(?P=name) -->", re.DOTALL)


def write(document: Path, built: Path, only: Collection[str] = ()) -> list[str]:
    """Rewrites the document's blocks, or those of `only`; returns their names. Raises TableRefused where one is missing."""
    text = document.read_text(encoding="utf-8")
    there = [found["name"] for found in BLOCK.finditer(text)]
    if unknown := sorted(set(only) - set(there)):
        raise TableRefused(f"{document}: no block called {unknown[0]}.", next_step=f"It has {', '.join(there)}.")
    wanted = [name for name in there if not only or name in only]

    def block(found: re.Match[str]) -> str:
        name = found["name"]
        if name not in wanted:
            return found[0]
        table, curve = built / name / "table.md", built / name / "curve.svg"
        if not table.is_file():
            raise TableRefused(f"{table}: not there, and {document} shows it.", next_step=f"Run its command with --out {built / name}.")
        shown = table.read_text(encoding="utf-8")
        if curve.is_file():
            picture = document.with_name(f"{document.stem}-{name}.svg")
            shutil.copyfile(curve, picture)
            shown += f"\n![Quality against cost: {name}]({picture.name})\n"
        return f"<!-- {name} -->\n{shown}<!-- /{name} -->"

    document.write_text(BLOCK.sub(block, text), encoding="utf-8")
    return wanted


def main() -> None:
    """Writes and says what."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("document", type=Path, nargs="?", default=DOCUMENT)
    parser.add_argument("--built", type=Path, default=BUILT)
    parser.add_argument("--only", default="", help="comma-separated names of blocks; all where none is named")
    given = parser.parse_args()
    only = tuple(name for name in given.only.split(",") if name)
    try:
        print(f"{given.document}: {', '.join(write(given.document, given.built, only))}")
    except RouteMoAError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
