"""What can go wrong in a stage."""

from scorer.errors import RouteMoAError


class PipelineError(RouteMoAError):
    """A stage that cannot do its work."""


class ParamsRefused(PipelineError):
    """params.yaml has an unknown key, lacks one, or holds a value outside its range."""


class TableRefused(PipelineError):
    """A table whose file, columns or rows are not what its schema says."""


class PackageRefused(PipelineError):
    """A downloaded package or a file in it is not the pinned one."""


class PackageUnreachable(PipelineError):
    """pip could not download a pinned package: offline, or the index does not have it."""


class ImportRefused(PipelineError):
    """A user's file has a row that cannot be taken; names file, row and field."""


class GraderFailed(PipelineError):
    """A grader crashed, hung or does not exist; the answer stays unlabelled."""


class AskingStopped(PipelineError):
    """An LLM could not be asked to the end: its endpoint fails, or a signal came; what was answered is kept."""


class BudgetSpent(PipelineError):
    """Asking would cost more than the stage's cap in USD."""


class ValidationFailed(PipelineError):
    """The tables break an expectation; names the expectation and the rows."""


class RetrainRefused(PipelineError):
    """A retraining that cannot start: another one runs, or another DVC command holds the project."""
