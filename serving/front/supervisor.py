"""The worker processes of one server: one that dies is replaced, and none outlives the process that started it."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import threading
from collections.abc import Callable

from prometheus_client.multiprocess import mark_process_dead
from uvicorn.config import STARTUP_FAILURE, Config
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from serving.events import Events, WorkerDied


class Supervisor(Multiprocess):
    """uvicorn's, with an event for each death. failed: whether no worker could start, so that all ended."""

    def __init__(self, config: Config, sockets: list[socket.socket], events: Events) -> None:
        super().__init__(config, sockets)
        self._events = events
        self.failed = False

    def keep_subprocess_alive(self) -> None:
        """Replaces workers that died or hang; gives up where one could not start and no other serves."""
        for place, process in enumerate(self.processes):
            if self.should_exit.is_set() or process.is_alive(timeout=self.config.timeout_worker_healthcheck):
                continue
            process.kill()
            process.join()
            self._say_dead(process)
            if process.exitcode == STARTUP_FAILURE and not any(
                other.is_ready(timeout=1) for other in self.processes if other is not process
            ):
                self.failed = True
                self.should_exit.set()
                return
            self.processes[place] = Process(self.config, self.sockets)
            self.processes[place].start()

    def terminate_all(self) -> None:
        """Nobody new is let in while the workers finish: a connection that nobody will take is refused at once."""
        for each in self.sockets:
            each.close()
        super().terminate_all()

    def _say_dead(self, process: Process) -> None:
        pid, code = process.pid or 0, process.exitcode or 0
        mark_process_dead(pid)  # type: ignore[no-untyped-call]  # what it last had in flight is no longer so
        self._events.emit(WorkerDied(pid, code))


def end_with_supervisor(lost: Callable[[int], None]) -> None:
    """In a worker: when its supervisor ends, however it ends, calls `lost` with its process id and finishes as after SIGTERM."""
    supervisor = multiprocessing.parent_process()
    if supervisor is None:
        return

    def watch() -> None:
        multiprocessing.connection.wait([supervisor.sentinel])
        lost(supervisor.pid or 0)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="supervisor", daemon=True).start()
