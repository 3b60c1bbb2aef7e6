"""How far a job is, as one line of output: a stage prints it, `pipelines.retrain` reads and prints it, `registry.worker` reads it."""

import json
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Progress:
    """step: what is being done, in words. share: how much of it is done, in [0, 1]."""

    step: str
    share: float

    def line(self) -> str:
        """A line of JSON, without the line's end."""
        return json.dumps({"step": self.step, "progress": round(self.share, 4)})

    @classmethod
    def parse(cls, line: str) -> Self | None:
        """The progress that `line` reports, None for any other line."""
        if not line.startswith('{"step"'):
            return None
        try:
            fields = json.loads(line)
            return cls(str(fields["step"]), float(fields["progress"]))
        except (json.JSONDecodeError, KeyError, TypeError, ValueError):
            return None
