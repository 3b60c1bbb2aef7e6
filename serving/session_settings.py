"""What sessions are and cost (`ROUTEMOA_SESSIONS__*`)."""

from pydantic import BaseModel, ConfigDict, Field


class SessionSettings(BaseModel):
    """How long sessions are kept, what caches are taken to do, and when a switch pays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = True
    recognise: bool = Field(default=True, description="whether a session without a name is known by its beginning")
    keep_s: float = Field(default=24 * 3600.0, gt=0, allow_inf_nan=False, description="after its last request it is forgotten")
    most: int = Field(default=100_000, ge=1, description="rows kept; those that would expire first go first")
    cache_s: float = Field(default=300.0, gt=0, allow_inf_nan=False, description="that an endpoint caches, where its price does not say")
    cache_least_tokens: int = Field(default=1024, ge=0, description="shorter beginnings are not cached by most vendors")
    margin: float = Field(default=0.005, ge=0, allow_inf_nan=False, description="what a switch must bring beyond its cost")
    tool_rounds: float = Field(
        default=3.0, ge=0, allow_inf_nan=False, description="requests that follow a user's turn where tools are offered, until it shows"
    )
    tool_errors: int = Field(default=3, ge=1, description="errors in a row, after which a loop of tool calls may be handed over")
