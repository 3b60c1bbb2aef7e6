"""The answer's process: imports an answer's code as a module `answer`, as written, and lets its function be called.

`python answering.py CPU_S MEMORY_BYTES FILE_BYTES`; the first line of standard input says what to load ({before, source, entry_point}).
It says "ready" before anything of the answer runs, then what became of the import. It knows no test and no expected value.
"""

import io
import os
import sys
import types
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))
from pipelines.graders.inside import exchange, limits

sys.path.pop(0)
for name in [name for name in sys.modules if name.partition(".")[0] == "pipelines"]:
    del sys.modules[name]  # nothing but the standard library is there to be imported


class Nothing(io.StringIO):
    """A standard input that holds nothing, and knows whether it was asked."""

    was_read = False

    def read(self, size: int | None = -1, /) -> str:
        """Nothing."""
        self.was_read = True
        return super().read(size)

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        """Nothing; `input()` raises EOFError then."""
        self.was_read = True
        return super().readline(size)

    def __next__(self) -> str:  # type: ignore[override]
        self.was_read = True
        return super().__next__()


def main() -> None:
    """Loads, then serves calls until standard input ends."""
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    talk = exchange.Exchange(incoming, outgoing, exchange.OBJECTS)
    job = talk.receive()
    file = Path.cwd() / "answer.py"
    file.write_bytes(job["source"].encode("utf-8", "surrogatepass"))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    sys.argv[:] = ["answer.py"]
    sys.stdin = Nothing()
    limits.limit(*map(int, job["limits"]))
    talk.send("ready")
    sys.addaudithook(limits.refuse_outside(os.path.realpath(file.parent) + os.sep))
    try:
        talk.export(load(job, file))
    except BaseException as error:  # also an answer that leaves with a good exit code
        talk.send({"failed": f"{type(error).__name__}"})
        os._exit(0)
    talk.send({"loaded": job["entry_point"]})
    talk.serve()


def load(job: dict[str, str], file: Path) -> Any:
    """The answer's `entry_point`. What the prompt defines is there already, so the answer need not repeat its imports.

    An error while an example reads from standard input is forgiven where the function is there by then.
    """
    module = types.ModuleType("answer")
    module.__file__ = str(file)
    sys.modules["answer"] = module
    exec(compile(job["before"], "prompt.py", "exec", dont_inherit=True), module.__dict__)
    try:
        exec(compile(file.read_bytes(), str(file), "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        if not (isinstance(sys.stdin, Nothing) and sys.stdin.was_read):
            raise
    return getattr(module, job["entry_point"])


if __name__ == "__main__":
    main()
