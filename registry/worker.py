"""Does jobs, one at a time: `python -m registry.worker`. A job whose worker was stopped or killed is done again from the start."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from types import FrameType

import structlog
from filelock import FileLock, Timeout

from registry import extras, notices, variables
from registry.child_process import Child
from registry.database.lead import ASK_S, Alone, Lead, lead
from registry.errors import ChildFailed, DatabaseFailed, JobFailed, JobRefused
from registry.jobs import QUICK, Job, Jobs
from registry.progress import Progress
from registry.settings import Settings
from scorer.errors import RouteMoAError

POLL_S = 1.0  # reading the table takes less than a millisecond
STOP_WITHIN_S = 30.0  # a retraining folds its answers before it ends
log = structlog.get_logger()


@dataclass(slots=True)
class Worker:
    """One worker of this host."""

    settings: Settings
    jobs: Jobs
    lead: Lead = field(default_factory=Alone)
    stopping: threading.Event = field(default_factory=threading.Event)
    _child: Child | None = None

    def run(self) -> None:
        """Does what waits, one after the other, until `stop`; where the table cannot be used for a while, it tries again."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        log.info("worker_started", jobs=self.jobs.place)
        while not self.stopping.is_set():
            try:
                self._work()
            except (JobRefused, DatabaseFailed) as exc:
                log.warning("jobs_out_of_reach", error=str(exc))
                self.stopping.wait(POLL_S)
        self.lead.leave()
        log.info("worker_stopped")

    def _work(self) -> None:
        """Does what waits until `stop`; first what was left running, be it by another worker or because its end could not be written.

        Waits while another host's worker leads. Raises JobRefused, DatabaseFailed where the table cannot be used.
        """
        if not self.lead.holds():
            self.stopping.wait(ASK_S)
            return
        for given_up in self.jobs.give_up():
            self._told_failed(given_up, str(given_up.error))
        if requeued := self.jobs.requeue_running():
            log.info("jobs_requeued", requeued=requeued)
        while not self.stopping.is_set() and self.lead.holds():
            job = self.jobs.claim_next()
            if job is None:
                self.stopping.wait(POLL_S)
            else:
                self.perform(job)

    def stop(self, *_: int | FrameType | None) -> None:
        """Ends the running job's process; the job waits for the next worker."""
        self.stopping.set()
        if self._child is not None:
            self._child.stop()

    def perform(self, job: Job) -> None:
        """Does one job that was claimed; what goes wrong is written into its row.

        Raises JobRefused where its row cannot be written.
        """
        log.info("job_started", job=job.id, kind=job.kind, arguments=job.arguments, log=job.log)
        try:
            result = self._do(job)
        except RouteMoAError as exc:
            self._failed(job, str(exc))
        except Exception as exc:
            log.exception("job_broke", job=job.id)
            self._failed(job, f"{type(exc).__name__}: {exc}")
        else:
            self.jobs.finish(job.id, result)
            self.jobs.end_cancelled(job.id, f"cancelled, but it was done by then: {result}")
            log.info("job_done", job=job.id, result=result)
            notices.send(self.settings, f"job {job.id} is done", result)

    def _do(self, job: Job) -> str:
        """What came of the job, in words."""
        from registry import promotion

        if job.kind == "promote":
            promoted = promotion.promote(str(job.arguments["version"]), override=job.arguments.get("override"), settings=self.settings)
            return f"scorer version {promoted.version} is champion"
        if job.kind == "rollback":
            return f"scorer version {promotion.rollback(leaving=self._leaving(job), settings=self.settings).version} is champion again"
        if job.kind in {"shadow", "canary"}:
            return self._beside(job)
        return self._stages(job)

    def _leaving(self, job: Job) -> str | None:
        """The champion when the rollback was begun first: begun again, because its end could not be written, it does not go back twice."""
        from registry import versions

        if "leaving" not in job.arguments:
            champion = versions.champion(settings=self.settings)
            self.jobs.note(job.id, job.arguments | {"leaving": None if champion is None else champion.version})
        now = self.jobs.require(job.id)
        leaving: str | None = now.arguments["leaving"]
        return leaving

    def _beside(self, job: Job) -> str:
        """Starts or ends a shadow or a canary."""
        from registry import beside
        from registry.canary_plan import CanaryPlan

        version, settings = job.arguments.get("version"), self.settings
        if version is None:
            left = (
                beside.stop_shadow(settings=settings)
                if job.kind == "shadow"
                else beside.end_canary(str(job.arguments.get("reason") or "a person ended it"), settings=settings)
            )
            return f"there was no {job.kind}" if left is None else f"scorer version {left.version} is no {job.kind} any more"
        if job.kind == "shadow":
            return f"scorer version {beside.start_shadow(str(version), settings=settings).version} is the shadow"
        plan = CanaryPlan.model_validate(job.arguments.get("plan", {}))
        started = beside.start_canary(str(version), plan, override=job.arguments.get("override"), settings=settings)
        return f"scorer version {started.version} answers {plan.share:.0%} of {plan.by}s"

    def _stages(self, job: Job) -> str:
        """Runs the stages, or for a harvest what comes before them, in a process of their own, and follows their progress.

        It ends when we do, or when the job is cancelled.
        """
        reason = job.why or "a person asked for it"
        command = [sys.executable, "-m", "pipelines.retrain", "--job", job.id, "--reason", reason, "--with-parent"]
        command += ["--harvest"] if job.arguments.get("harvest") else []
        command += ["--only-harvest"] if job.kind == "harvest" else []
        child = self._child = Child(tied=True, stop_within_s=STOP_WITHIN_S)
        if self.stopping.is_set():
            child.stop()
        try:
            with self.jobs.printing(job.id, partial(self._advance, job.id)) as printed, self._stopped_if_cancelled(job, child):
                child.run(command, printed.read, cwd=self.settings.home, ROUTEMOA_HOME=str(self.settings.home))
        except ChildFailed as exc:
            last = [line.strip() for line in exc.lines if line.strip() and Progress.parse(line) is None]
            raise JobFailed(last[-1] if last else exc.what) from exc
        finally:
            self._child = None
        return printed.step

    @contextlib.contextmanager
    def _stopped_if_cancelled(self, job: Job, child: Child) -> Iterator[None]:
        """Does quick jobs meanwhile; stops the process where somebody cancels this one, or another host's worker leads."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(POLL_S):
                with contextlib.suppress(JobRefused, DatabaseFailed):  # the table is out of reach: the next look tells
                    now = self.jobs.get(job.id)
                    if (now is not None and now.state != "running") or not self.lead.holds():
                        child.stop()
                        return
                    if (quick := self.jobs.claim_next(QUICK)) is not None:
                        self.perform(quick)

        watching = threading.Thread(target=watch, daemon=True)
        watching.start()
        try:
            yield
        finally:
            ended.set()
            watching.join()

    def _advance(self, job_id: str, step: str, share: float) -> None:
        """Progress is for people to watch: a table that somebody else holds does not end hours of work."""
        try:
            self.jobs.advance(job_id, step, share)
        except JobRefused as exc:
            log.warning("progress_not_written", error=str(exc))

    def _failed(self, job: Job, error: str) -> None:
        now = self.jobs.get(job.id)
        if now is not None and now.state == "cancelled":
            self.jobs.end_cancelled(job.id, "cancelled; what was answered and labelled is kept")
            log.info("job_cancelled", job=job.id)
        elif (now is not None and now.state != "running") or not self.lead.holds():
            log.warning("job_left_to_another_host", job=job.id)
        elif self.stopping.is_set():
            self.jobs.put_back(job.id)
            log.info("job_interrupted", job=job.id)
        else:
            self.jobs.fail(job.id, error)
            self._told_failed(job, error)

    def _told_failed(self, job: Job, error: str) -> None:
        log.warning("job_failed", job=job.id, error=error)
        notices.send(self.settings, f"job {job.id} failed", f"{error}\nIts log: {job.log}")


@contextlib.contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """Holds this host's worker lock.

    Raises JobRefused where another worker holds it.
    """
    lock = FileLock(settings.var / "worker.lock", timeout=0)
    try:
        settings.var.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as exc:
        raise JobRefused(f"{lock.lock_file}: another worker runs.", next_step="One is enough; stop it to start another.") from exc
    try:
        yield
    finally:
        lock.release()


def main() -> None:
    """Works until SIGTERM or SIGINT."""
    settings = Settings()
    try:
        extras.need("train")
        variables.check()
        with only_one(settings):
            Worker(settings, Jobs.of(settings), lead(settings, "worker")).run()
    except RouteMoAError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
