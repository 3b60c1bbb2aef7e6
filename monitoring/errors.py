"""What can go wrong with records, the reference profile, reports and verdicts."""

from scorer.errors import RouteMoAError


class MonitoringError(RouteMoAError):
    """Anything wrong with records, the reference profile, a report or a verdict."""


class RecordNotKept(MonitoringError):
    """A record or an outcome is not durable: disk full, file locked, store closed. Nothing may be acknowledged."""


class RecordRefused(MonitoringError):
    """A record or an outcome that cannot be true: lengths that differ, numbers that are not finite, a score outside [0, 1]."""


class ReferenceRefused(RecordRefused):
    """A reference that its grader could not check an answer by. `field`: of the reference, the one that is wrong."""

    def __init__(self, what: str, *, next_step: str, field: str) -> None:
        super().__init__(what, next_step=next_step)
        self.field = field


class AuditUnknown(MonitoringError):
    """A decision whose answer was not drawn for an audit, or that is not kept."""


class AuditClaimed(MonitoringError):
    """An answer that somebody else grades at present."""


class GroupUnknown(MonitoringError):
    """No group of unknown queries, and no named domain, is called that."""


class RecordsRefused(MonitoringError):
    """The record file is not one, or was written by a newer version of this platform."""


class ProfileRefused(MonitoringError):
    """A scorer artifact's reference profile is missing, malformed or of other shapes than its roster."""


class LearnedRefused(MonitoringError):
    """The file of what was learnt between retrainings is malformed, or of other shapes than its roster."""


class PolicyRefused(MonitoringError):
    """The section `monitor` of params.yaml is missing or has a value that makes no sense."""


class NothingActive(MonitoringError):
    """No scorer is published on this host, so there is no reference to compare traffic with."""


class ReportFailed(MonitoringError):
    """Evidently could not build, save or file a report."""


class NothingToEvaluate(MonitoringError):
    """No record says anything of a policy: none is of the kind wanted, or none holds propensities."""
