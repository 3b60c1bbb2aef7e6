"""What every request of one worker reaches: settings, the files it follows, LLMs, records, jobs, events."""

import asyncio
import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from starlette.requests import Request

from mixture.client.openai import OpenAIClient
from mixture.run.engine import Mixture
from monitoring.certificate_void import Void
from monitoring.errors import RecordNotKept
from monitoring.learning.table import Table
from monitoring.records.store import RecordStore
from registry.current_version import FIRST
from registry.jobs import Jobs
from registry.pool import Pool
from scorer.errors import NothingPublished
from scorer.recorded_calls import RecordedCalls
from serving.access.exploration import Exploration
from serving.access.gate import Gate
from serving.access.keys import KeyEntry, Keys
from serving.access.places import Places
from serving.errors import NotReady
from serving.events import Events
from serving.observed.latency import Experience
from serving.observed.silence import Silences
from serving.observed.stated_costs import StatedCosts
from serving.scorers.active_scorer import Active
from serving.scorers.beside import Beside
from serving.scorers.shadowing import Shadowing
from serving.sessions.keeper import Keeper
from serving.sessions.kept_responses import KeptResponses
from serving.settings import ServingSettings
from serving.tracing.tracing import Off, Tracing
from serving.worker.leaving import Leaving
from serving.worker.metrics import Metrics
from serving.worker.shared_copies import SharedCopies
from serving.worker.watched_file import Watched

ARRIVING = 0.25  # of the places in flight: requests whose bodies are here in part, each of up to `max_request_bytes`


@dataclass
class State:
    """Made once in `serving.app`, closed with it."""

    settings: ServingSettings
    events: Events
    metrics: Metrics
    scorer: Watched[Active]
    pool: Watched[Pool]
    keys: Watched[Keys]
    client: OpenAIClient
    mixture: Mixture
    records: RecordStore
    jobs: Jobs
    gate: Gate
    kept_responses: KeptResponses
    copies: SharedCopies
    leaving: Leaving
    sessions: Keeper
    scoring: ThreadPoolExecutor
    void: Watched[Void]
    exploration: Exploration
    learned: Watched[Table | None]
    beside: Beside
    tracing: Tracing = field(default_factory=Off)
    experience: Experience = field(default_factory=Experience)
    silences: Silences = field(default_factory=Silences)
    stated_costs: StatedCosts = field(init=False)
    background: set[asyncio.Task[None]] = field(default_factory=set)
    shadowing: Shadowing = field(init=False)
    in_flight: Places = field(init=False)
    arriving: Places = field(init=False)

    def __post_init__(self) -> None:
        """Makes the places."""
        settings = self.settings
        self.stated_costs = StatedCosts(self.events, self.metrics)
        self.shadowing = Shadowing(self.metrics)
        self.in_flight = Places("in flight", settings.max_in_flight, key_share=settings.key_share, changed=self.metrics.in_flight.set)
        self.arriving = Places("being sent", math.ceil(settings.max_in_flight * ARRIVING), key_share=settings.key_share)

    @property
    def refusal(self) -> RecordNotKept | None:
        """Why no record can be kept at present, None where it can: nothing should be begun then whose record matters."""
        return self.records.refusal or self.copies.refusal

    @property
    def active(self) -> Active:
        """The scorer version in force. Raises NotReady: nothing is ever routed at random."""
        if self.scorer.value is None:
            if isinstance(self.scorer.refusal, NothingPublished):
                raise NotReady("No scorer version is promoted yet.", next_step=FIRST)
            raise NotReady("No scorer is loaded.", next_step="The server's log and GET /admin/scorer say why.")
        return self.scorer.value

    @property
    def recorded_calls(self) -> Mapping[str, RecordedCalls]:
        """What calls took that the scorer version in force was trained on, by LLM id; nothing without a scorer."""
        return self.scorer.value.scorer.recorded_calls if self.scorer.value else {}

    @property
    def llms(self) -> Pool:
        """The pool in force. Raises NotReady."""
        if self.pool.value is None:
            raise NotReady("The pool of LLMs is not read yet.", next_step="Try again; the server's log says why where it stays so.")
        return self.pool.value


def holder_of(request: Request) -> KeyEntry:
    """Whose key `request` carries. Every address but the public ones has one."""
    holder: KeyEntry = request.state.holder
    return holder


def answer_headers_of(request: Request) -> dict[str, str]:
    """Headers that the answer to `request` gets, whatever it will be."""
    headers: dict[str, str] = request.state.answer_headers
    return headers


def state_of(request: Request) -> State:
    """The state of the worker that answers `request`."""
    state: State = request.app.state.serving
    return state
