"""Prints one line a case and how many fail: `python -m tests.cases [FOLDER]`; FOLDER is ../shared/cases unless given."""

import sys
from pathlib import Path

from tests.cases.kinds import FOLDER, cases


def main() -> int:
    """The exit code: 1 where a case fails."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    if not folder.is_dir():
        print(f"skipped: there is no folder {folder}")
        return 0
    outcomes = []
    for case in cases(folder):
        failure = case.check()
        outcomes.append(failure)
        print(f"{'FAIL' if failure else 'ok  '} {case.name}{': ' if failure else ''}{failure}", flush=True)
    print(f"{len(outcomes) - sum(map(bool, outcomes))} of {len(outcomes)} cases as they should be")
    return int(any(outcomes))


if __name__ == "__main__":
    sys.exit(main())
