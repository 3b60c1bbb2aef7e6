"""One grading process: `python -m pipelines.graders.worker`; a task as a JSON line in, its result as a JSON line out.

A process of its own, so that a fault in native code ends it and not the stage; importing little, so that it starts at once.
"""

import json
import os
import sys

from pipelines.graders.kinds import Task, grade
from pipelines.graders.query import Query


def main() -> None:
    """Grades until standard input ends."""
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a grader prints is no result
    for line in sys.stdin:
        asked = json.loads(line)
        query = Query(**(asked["query"] | {"choices": tuple(asked["query"]["choices"])}))
        graded = grade(Task(query, asked["answer"], asked["timeout_s"]))
        results.write(json.dumps({"score": graded.score, "failure": graded.failure}) + "\n")
        results.flush()


if __name__ == "__main__":
    main()
