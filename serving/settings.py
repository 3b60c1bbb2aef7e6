"""How this server runs: `ROUTEMOA_*` variables, parsed once; the mixture's by `ROUTEMOA_MIXTURE__*` (`ROUTEMOA_MIXTURE__K=2`)."""

import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import SettingsConfigDict

from mixture.choose.options import Aggregation, Deepening, Options, Order, Weights
from mixture.choose.posterior import AgreementPosterior, PaperScore
from registry.settings import Settings as HostSettings
from scorer.runtime import Precision


class Mixture(BaseModel):
    """What the operator allows every request; a request can restrict it, never widen it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deepen: Deepening = "widen"
    k: int = Field(default=1, ge=1, le=16, description="LLMs asked at once; 3 for the paper's layers")
    max_layers: int = Field(default=5, ge=1, le=16, description="times that LLMs are asked; 3 for the paper's layers")
    aggregation: Aggregation = "auto"
    ranking: Order = "value"
    quality: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    value_per_usd: float = Field(default=10.0, ge=0, allow_inf_nan=False)
    value_per_second: float = Field(default=0.002, ge=0, allow_inf_nan=False)
    stop_threshold: float | None = Field(default=None, ge=0, le=1, description="expected quality that is enough; else .85 when refining")
    refine_gain: float = Field(default=0.0, ge=0, le=1, description="share of failures that a synthesis or a refining layer mends")
    budget_usd: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    deadline_s: float = Field(default=120.0, gt=0, allow_inf_nan=False)
    data_policy: frozenset[str] | None = None

    def options(self, evidence: AgreementPosterior) -> Options:
        """For a request that starts now, answered by a pool whose answers are weighed by `evidence`.

        Refining is the paper's: its judges and its posterior. Widening asks for no assessment that no one has shown to tell anything.
        """
        refine = self.deepen == "refine"
        return Options(
            deepen=self.deepen,
            posterior=PaperScore() if refine else evidence,
            self_assessment=refine or evidence.self_score != 0,
            cross_assessment=refine,
            refine_gain=self.refine_gain,
            k=self.k,
            max_layers=self.max_layers,
            aggregation=self.aggregation,
            ranking=self.ranking,
            weights=Weights(self.quality, self.value_per_usd, self.value_per_second),
            stop_threshold=(0.85 if refine else 1.0) if self.stop_threshold is None else self.stop_threshold,
            budget_usd=self.budget_usd,
            deadline=time.monotonic() + self.deadline_s,
            data_policy=self.data_policy,
        )


class Settings(HostSettings):
    """Where and how the server listens, what it keeps, and its limits."""

    model_config = SettingsConfigDict(env_prefix="ROUTEMOA_", env_nested_delimiter="__", frozen=True, extra="ignore", env_file=".env")

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    workers: int = Field(default=1, ge=1)
    precision: Precision = "int8"
    scoring_threads: int = Field(default=2, ge=1, description="queries scored at once, per worker")
    store_text: bool = Field(default=False, description="whether records keep prompts and answers")
    max_request_bytes: int = Field(default=4 * 1024 * 1024, ge=1024)
    max_in_flight: int = Field(default=256, ge=1, description="chat and route requests at once, per worker; more get 503")
    poll_s: float = Field(default=0.5, gt=0, description="between looks at the published scorer, the pool and the keys")
    drain_s: int = Field(default=60, ge=0, description="what requests in flight get to end after SIGTERM")
    mixture: Mixture = Mixture()
    evidently_url: str = "http://127.0.0.1:8001"

    @property
    def scorers(self) -> Path:
        """Published scorer versions and `current.json`."""
        return self.var / "scorers"

    @property
    def keys_file(self) -> Path:
        """Hashes of the API keys."""
        return self.var / "keys.json"
