"""The tests' process: runs a query's tests on a function that lives in the answer's process, and says what came of it.

Started as answering.py is, with {prompt, entry_point, test}; it sends the answer's process plain arguments and gets plain results.
"""

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))
from pipelines.graders.inside import exchange, limits

sys.path.pop(0)
for name in [name for name in sys.modules if name.partition(".")[0] == "pipelines"]:
    del sys.modules[name]  # nothing but the standard library is there to be imported


def main() -> None:
    """Says "ready", then speaks to the answer's process (through whoever started both), and at last gives the verdict."""
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    talk = exchange.Exchange(incoming, outgoing, exchange.CALLS)
    job = talk.receive()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    limits.limit(*map(int, job["limits"]))
    talk.send("ready")
    sys.addaudithook(limits.refuse_outside(os.path.realpath(Path.cwd()) + os.sep))
    candidate = exchange.Remote(talk, 0)
    try:
        check = prepared(job, candidate)
    except Exception as error:
        talk.send({"verdict": "broken", "why": f"{type(error).__name__}: {error}"})
        os._exit(0)
    try:
        check(candidate)
    except BaseException as error:
        talk.send({"verdict": "failed", "why": type(error).__name__})
    else:
        talk.send({"verdict": "passed"})
    os._exit(0)


def prepared(job: dict[str, str], candidate: Any) -> Any:
    """The tests' function `check`, beside what the prompt defines."""
    names: dict[str, Any] = {"__name__": "tests"}
    exec(compile(job["prompt"], "prompt.py", "exec", dont_inherit=True), names)
    names[job["entry_point"]] = candidate
    exec(compile(job["test"], "tests.py", "exec", dont_inherit=True), names)
    return names["check"]


if __name__ == "__main__":
    main()
