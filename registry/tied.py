"""Runs a module as `python -m MODULE ARGUMENT...` does, in a group that is killed whole once whoever started it is gone, by `kill -9` too.

python -m registry.tied MODULE ARGUMENT...    # the leader of its process group; standard input is a pipe that its parent holds
"""

import os
import runpy
import signal
import sys

from registry.child_process import end_with_parent


def main() -> None:
    """The pipe is kept apart: the module and what it starts find an empty standard input."""
    pipe, nothing = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    end_with_parent(lambda: os.killpg(0, signal.SIGKILL), pipe=pipe)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
