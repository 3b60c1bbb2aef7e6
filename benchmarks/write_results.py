"""Puts what was measured into docs/results/scorer.md, so that no figure is copied by hand: `python -m benchmarks.write_results [DOCUMENT]`.

Between `<!-- NAME -->` and `<!-- /NAME -->` goes build/benchmarks/NAME/table.md; its curve.svg goes beside the document as scorer-NAME.svg.
`--only` rewrites one block and leaves the others as they stand.
"""

import argparse
import re
import shutil
import sys
from pathlib import Path

from benchmarks.report import BUILT
from pipelines.errors import TableRefused
from scorer.errors import RouteMoAError

DOCUMENT = Path("docs/results/scorer.md")
BLOCK = re.compile(r"<!-- (?P<name>[a-z0-9-]+) -->\n.*?<!-- /(?P=name) -->", re.DOTALL)


def write(document: Path, built: Path, only: str | None = None) -> list[str]:
    """Rewrites the document's blocks, or the one named `only`; returns their names. Raises TableRefused where one is missing."""
    text = document.read_text(encoding="utf-8")
    names = [match["name"] for match in BLOCK.finditer(text)]
    if only is not None and only not in names:
        raise TableRefused(f"{document}: no block called {only}.", next_step=f"It has {', '.join(names)}.")
    rewritten = [name for name in names if only in {None, name}]

    def block(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in rewritten:
            return match[0]
        table, curve = built / name / "table.md", built / name / "curve.svg"
        if not table.is_file():
            raise TableRefused(f"{table}: not there, and {document} shows it.", next_step=f"Run its command with --out {built / name}.")
        content = table.read_text(encoding="utf-8")
        if curve.is_file():
            picture = document.with_name(f"{document.stem}-{name}.svg")
            shutil.copyfile(curve, picture)
            content += f"\n![Quality against cost: {name}]({picture.name})\n"
        return f"<!-- {name} -->\n{content}<!-- /{name} -->"

    document.write_text(BLOCK.sub(block, text), encoding="utf-8")
    return rewritten


def main() -> None:
    """Writes and says what."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("document", type=Path, nargs="?", default=DOCUMENT)
    parser.add_argument("--only", metavar="BLOCK")
    arguments = parser.parse_args()
    try:
        print(f"{arguments.document}: {', '.join(write(arguments.document, BUILT, arguments.only))}")
    except RouteMoAError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
