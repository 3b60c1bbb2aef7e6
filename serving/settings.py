"""How this server runs: `ROUTEMOA_*` variables, parsed once.

`ROUTEMOA_MIXTURE__*` are the mixture's (`ROUTEMOA_MIXTURE__K=2`), `ROUTEMOA_LAYERS__*` those of the published layers,
`ROUTEMOA_CONNECTIONS__*` the limits of a connection.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from mixture.choose.layered import Layered
from mixture.choose.options import Aggregation, Options, OptionsRefused, Weights
from mixture.choose.posterior import AgreementPosterior
from mixture.choose.ranking import Order
from mixture.choose.strategies import named
from mixture.choose.strategy import Strategy
from monitoring import certificate_void
from registry import validation_errors
from registry.settings import Settings as HostSettings
from scorer.runtime import Precision
from serving.request.harness_text import HarnessSettings
from serving.session_settings import SessionSettings

MULTIPROCESS_DIR = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's; `python -m serving` sets it where there are several workers


class MixtureSettings(BaseModel):
    """What the operator allows every request; a request can restrict it, never widen it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: str = "sequential"
    k: int = Field(default=1, ge=1, le=16, description="LLMs asked at once")
    max_layers: int = Field(default=5, ge=1, le=16, description="times that LLMs are asked")
    aggregation: Aggregation = "auto"
    quality: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    value_per_usd: float = Field(default=10.0, ge=0, allow_inf_nan=False)
    value_per_second: float = Field(default=0.002, ge=0, allow_inf_nan=False)
    value_per_kwh: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    stop_threshold: float | None = Field(default=None, ge=0, le=1, description="expected quality that is enough; else the strategy's own")
    refine_gain: float | None = Field(default=None, ge=0, le=1, description="share of failures that a synthesis mends; else its own")
    budget_usd: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    deadline_s: float = Field(default=120.0, gt=0, allow_inf_nan=False)
    data_policy: frozenset[str] | None = None

    @model_validator(mode="after")
    def _strategy_is_known(self) -> Self:
        try:
            self.strategy_for(AgreementPosterior())
        except (OptionsRefused, TypeError) as exc:
            raise ValueError(str(exc)) from exc
        return self

    def strategy_for(self, posterior: AgreementPosterior) -> Strategy:
        """For a pool whose answers `posterior` weighs."""
        own = {"stop_threshold": self.stop_threshold, "refine_gain": self.refine_gain}
        return named(self.strategy).for_pool(posterior, **{name: value for name, value in own.items() if value is not None})

    def options(self) -> Options:
        """For a request that starts now."""
        return Options(
            k=self.k,
            max_layers=self.max_layers,
            aggregation=self.aggregation,
            weights=Weights(self.quality, self.value_per_usd, self.value_per_second, self.value_per_kwh),
            budget_usd=self.budget_usd,
            deadline=time.monotonic() + self.deadline_s,
            data_policy=self.data_policy,
        )


class LayersSettings(BaseModel):
    """RouteMoA as its paper has it (`routemoa-layers`). Weights, budget, deadline and data policy are the mixture's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    k: int = Field(default=3, ge=1, le=16, description="LLMs a layer")
    max_layers: int = Field(default=3, ge=1, le=16)
    order: Order = Field(default="strict", description="strict: performance > output price > input price > latency; value: weighed")
    stop_threshold: float = Field(default=0.85, ge=0, le=1, description="score at which no further layer runs")
    aggregation: Aggregation = "synthesise"

    def strategy(self) -> Strategy:
        """The paper's weights hold for any pool."""
        return Layered(order=self.order, stop_threshold=self.stop_threshold)

    def options(self, mixture: MixtureSettings) -> Options:
        """For a request that starts now; a layer waits for all its LLMs."""
        return replace(mixture.options(), k=self.k, max_layers=self.max_layers, quorum=self.k, aggregation=self.aggregation)


class CertificateSettings(BaseModel):
    """Whether the certified value of a dollar is served (`ROUTEMOA_CERTIFICATE__*`), and what is while there is none in force.

    otherwise: `settings`, as if this were off; `best`, always the LLM that the certificate measures against.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    use: bool = False
    otherwise: Literal["settings", "best"] = "settings"


def _words(value: object) -> object:
    return frozenset(each.strip() for each in value.split(",") if each.strip()) if isinstance(value, str) else value


Words = Annotated[frozenset[str], NoDecode, BeforeValidator(_words)]  # written with commas between them


Usd = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ExploreSettings(BaseModel):
    """What of the choices is left to chance (`ROUTEMOA_EXPLORE__*`), so that traffic can judge other choices. Off by default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(
        default=0.0, ge=0, le=0.5, description="of requests, whose LLM is drawn evenly from those within delta of the best"
    )
    delta: float = Field(default=0.1, ge=0, allow_inf_nan=False, description="value that may be given up, in right answers")
    usd_per_day: Usd | None = Field(default=None, description="what it may cost beyond the usual choices in a UTC day")
    keys: Words = Field(default=frozenset(), description="names of keys whose requests may be drawn; else all")


class ConnectionSettings(BaseModel):
    """What one connection may cost, whoever is behind it (`ROUTEMOA_CONNECTIONS__*`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    most: int = Field(default=2048, ge=1, description="connections, per worker; beyond them the one that is silent longest is closed")
    header_bytes: int = Field(default=64 * 1024, ge=1024, description="of one request's headers")
    headers_s: float = Field(
        default=10.0, gt=0, description="until a request's headers are here, from the connection on or their first byte"
    )
    body_s: float = Field(default=60.0, gt=0, description="until its body is here")
    idle_s: int = Field(default=75, ge=1, description="between two requests")
    unread_s: float = Field(default=60.0, gt=0, description="that a caller may leave his answer unread")


def in_words(refused: ValidationError) -> str:
    """What is wrong with the variables that `ServingSettings` refused, and where to correct it."""
    return (
        f"Settings: {validation_errors.explain(refused, ServingSettings)} A variable is called ROUTEMOA_ and this name in capitals,"
        " with __ for a dot. Correct it in the environment or in .env; CHANGELOG.md lists what was renamed."
    )


class ServingSettings(HostSettings):
    """Where and how the server listens, what it keeps, and its limits."""

    model_config = SettingsConfigDict(env_prefix="ROUTEMOA_", env_nested_delimiter="__", frozen=True, extra="ignore", env_file=".env")

    admin_hosts: Words = Field(default=frozenset(), description="hosts at which an admin key may register LLMs, beside those of the pool")
    admin_key_variables: Words = Field(default=frozenset(), description="environment variables that it may name as their keys")
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    workers: int = Field(default=1, ge=1)
    precision: Precision = "int8"
    scoring_threads: int = Field(default=2, ge=1, description="queries scored at once, per worker")
    unfamiliar: str = Field(
        default="nothing",
        min_length=1,
        description="what a query unlike anything labelled gets: nothing, best, more, or an LLM of the pool",
    )
    store_text: bool = Field(default=False, description="whether records keep prompts and answers")
    keep_records_days: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="after which records are removed; else never"
    )
    max_request_bytes: int = Field(default=4 * 1024 * 1024, ge=1024)
    max_in_flight: int = Field(default=256, ge=1, description="chat and route requests at once, per worker; more get 503")
    key_share: float = Field(default=0.75, gt=0, le=1, description="of those places, what one key may take")
    usd_per_day: Usd | None = Field(default=None, description="what all keys together may spend in a UTC day")
    usd_per_month: Usd | None = Field(default=None, description="the same in a UTC month")
    limits_url: str = Field(default="memory://", description="where requests and tokens a minute are counted: memory:// or redis://...")
    keep_responses: Literal["memory", "disk"] | None = Field(
        default=None,
        description="what previous_response_id refers to: in a worker's memory, or on disk (the database that hosts share, else a file);"
        " without it on disk where hosts share a database",
    )
    keep_responses_s: float = Field(default=3600.0, ge=0, description="for so long after its last use; 0 keeps nothing")
    keep_responses_bytes: int = Field(default=64 * 1024 * 1024, ge=1024, description="at most so much of it; one key has half")
    poll_s: float = Field(default=0.5, gt=0, description="between looks at the published scorer, the pool and the keys")
    database_silent_s: float = Field(default=5.0, gt=0, description="without an answer of the shared database; then this host is not ready")
    leave_s: float = Field(
        default=0.0, ge=0, description="after SIGTERM, while /readyz says no and requests are still taken, until a balancer sends no more"
    )
    drain_s: int = Field(default=60, ge=0, description="what requests in flight get to end after that")
    connections: ConnectionSettings = ConnectionSettings()
    mixture: MixtureSettings = MixtureSettings()
    layers: LayersSettings = LayersSettings()
    certificate: CertificateSettings = CertificateSettings()
    explore: ExploreSettings = ExploreSettings()
    sessions: SessionSettings = SessionSettings()
    harness: HarnessSettings = HarnessSettings()
    console_url: str = Field(default="http://127.0.0.1:8070", description="where GET / sends a browser")

    @property
    def scorers(self) -> Path:
        """Published scorer versions and `current.json`."""
        return self.var / "scorers"

    @property
    def certificate_void_file(self) -> Path:
        """Where the monitor writes that the active scorer's certificate is void."""
        return self.var / "reports" / certificate_void.NAME

    @property
    def spend_file(self) -> Path:
        """What keys spent, and what is held for requests that run."""
        return self.var / "spend.db"

    @property
    def keeps_responses_on_disk(self) -> bool:
        """In memory a balancer's next request would not find them."""
        return self.keep_responses == "disk" or (self.keep_responses is None and bool(self.database_url.get_secret_value()))

    @property
    def responses_file(self) -> Path | None:
        """What later requests refer to, of a host of its own; None where it is kept in memory."""
        return self.var / "responses.db" if self.keeps_responses_on_disk else None

    @property
    def sessions_file(self) -> Path:
        """Sessions, without a word of theirs."""
        return self.var / "sessions.db"

    @property
    def keys_file(self) -> Path:
        """Hashes of the API keys; of shared ones the copy: a host that begins to share keeps its own, for `routemoa database import`."""
        return self.var / ("keys.shared.json" if self.database_url.get_secret_value() else "keys.json")
