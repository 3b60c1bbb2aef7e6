"""One entry of the pool as a person writes it: its schema."""

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from mixture.client.effort_fields import effort_fields
from mixture.effort import LEVELS, Effort, Level, Way
from mixture.llm import LLM, Decoding, Dialect, Endpoint, Limits, Pace, Prompt, RequestFields, SelfAssessment, Status, Trained
from mixture.price import Price
from registry.entry_energy import EnergyEntry
from registry.entry_price import Amount, PaceEntry, PriceEntry, Seconds, number, price_of

ID = re.compile(r"[a-z0-9][a-z0-9-]*")
LONGEST_ID = 64
RESERVED = frozenset({"routemoa", "routemoa-layers", "routemoa-single"})  # virtual models of the HTTP interface
SECRET_FIELDS = frozenset({"api_key_env", "base_url"})  # a pasted key or password must not reach a log
NEEDED = frozenset({"model", "messages", "stream"})  # fields of a request
Capability = Literal["tools", "vision", "json"]
DEFAULTS = LLM(id="defaults", name="defaults", price=Price(0, 0))  # what a field that is not written means is said in mixture.llm


def check_id(llm_id: object) -> str:
    """`llm_id` itself where it is a slug (DVC cannot address ids with a dot) that no virtual model has; ValueError otherwise."""
    if not isinstance(llm_id, str) or not ID.fullmatch(llm_id) or len(llm_id) > LONGEST_ID:
        raise ValueError(
            f"the id {llm_id!r} is not a slug of at most {LONGEST_ID} of a-z, 0-9 and '-', starting with a letter or digit (no dots)."
            + _suggestion(llm_id)
        )
    if llm_id.isdigit():
        raise ValueError(f"the id {llm_id!r} is a number to YAML: add a letter.")
    if llm_id in RESERVED:
        raise ValueError(f"the id {llm_id!r} is the name of a virtual model of the server.")
    return llm_id


def _suggestion(name: object) -> str:
    """An id for what a vendor calls an LLM, as the end of a sentence; empty where there is none."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") if isinstance(name, str) and name.isascii() else ""
    fits = slug and len(slug) <= LONGEST_ID and not slug.isdigit()
    return f" Its id may be {slug}; a vendor's own name is the served name (served_name)." if fits else ""


def _not_needed(name: str) -> str:
    if name in NEEDED:
        raise ValueError(f"{name} is what every request needs: it can neither be renamed nor left out")
    return name


FieldName = Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_.-]*$"), AfterValidator(_not_needed)]
Count = Annotated[int, BeforeValidator(number), Field(ge=1)]


def _level_or_budget(value: object) -> object:
    """`value` itself where it is an effort. YAML and a command line may write a budget as text; YAML 1.1 reads `off` as a truth value."""
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0) or value in LEVELS:
        return value
    raise ValueError(f"{value!r} is no effort: write one of {', '.join(LEVELS)}, or a number of thinking tokens")


EffortEntry = Annotated[Level | Count | None, BeforeValidator(_level_or_budget)]


class StrictMapping(BaseModel):
    """A mapping that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=False)


class EndpointEntry(StrictMapping):
    """Where the LLM is reached."""

    base_url: str
    served_name: str = Field(min_length=1)
    api_key_env: str | None = None
    dialects: list[Dialect] = ["chat"]

    @field_validator("served_name")
    @classmethod
    def _as_the_vendor_writes_it(cls, value: str) -> str:
        if value != value.strip() or not value.isprintable():
            raise ValueError("has spaces around it or characters that do not print: write it as the vendor does, such as openai/gpt-4o")
        return value

    @field_validator("base_url")
    @classmethod
    def _plain_http(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("is not an http(s) address such as http://127.0.0.1:8000/v1")
        _ = parts.port  # raises ValueError for one that is none
        if parts.username or parts.password:
            raise ValueError("holds credentials: name an environment variable in api_key_env instead")
        if parts.query or parts.fragment:
            raise ValueError("has a query or fragment: an address ends before /chat/completions")
        return value.rstrip("/").removesuffix("/chat/completions")

    @field_validator("api_key_env")
    @classmethod
    def _variable_name(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", value):
            raise ValueError("is not the name of an environment variable (A-Z, 0-9, _): never write a key itself into the pool")
        return value

    @field_validator("dialects")
    @classmethod
    def _chat_among_them(cls, value: list[Dialect]) -> list[Dialect]:
        if "chat" not in value or len(set(value)) < len(value):
            raise ValueError("must have chat, which every request can be asked in, and each dialect once")
        return value

    def endpoint(self) -> Endpoint:
        """The frozen endpoint that this describes."""
        return Endpoint(**{**self.model_dump(), "dialects": frozenset(self.dialects)})


class PromptEntry(StrictMapping):
    """How the LLM is asked."""

    system: str = DEFAULTS.prompt.system
    suffix: str = DEFAULTS.prompt.suffix


class DecodingEntry(StrictMapping):
    """Sampling settings."""

    temperature: Amount = DEFAULTS.decoding.temperature
    max_tokens: Count = DEFAULTS.decoding.max_tokens
    seed: int | None = DEFAULTS.decoding.seed


class RequestFieldsEntry(StrictMapping):
    """How fields of a request are sent to an endpoint that does not take them as they are: under another name, or not at all."""

    rename: dict[FieldName, FieldName] = {}
    omit: list[FieldName] = []

    @model_validator(mode="after")
    def _says_one_thing(self) -> "RequestFieldsEntry":
        if twice := sorted(self.rename.keys() & set(self.omit)):
            raise ValueError(f"{twice[0]} is both renamed and left out")
        return self


class LimitsEntry(StrictMapping):
    """Concurrency and time-outs (seconds)."""

    concurrency: Count = DEFAULTS.limits.concurrency
    connect_s: Seconds = DEFAULTS.limits.connect_s
    first_token_s: Seconds = DEFAULTS.limits.first_token_s
    between_chunks_s: Seconds = DEFAULTS.limits.between_chunks_s
    total_s: Seconds = DEFAULTS.limits.total_s


class PoolEntry(StrictMapping):
    """One LLM of pool.yaml. `endpoint: null` is a recorded LLM: its answers come from files, and it is never asked."""

    name: str = Field(min_length=1)
    status: Status = DEFAULTS.status
    endpoint: EndpointEntry | None
    prompt: PromptEntry = PromptEntry()
    decoding: DecodingEntry = DecodingEntry()
    price: PriceEntry | None
    context_window: Count = DEFAULTS.context_window
    capabilities: list[Capability] = []
    data_policy: list[str] = []
    limits: LimitsEntry = LimitsEntry()
    request_fields: RequestFieldsEntry = RequestFieldsEntry()
    max_training_queries: Count | None = DEFAULTS.max_training_queries
    trained: Trained = DEFAULTS.trained
    self_assessment: SelfAssessment = DEFAULTS.self_assessment
    pace: PaceEntry | None = None
    energy: EnergyEntry | None = None
    effort: EffortEntry = None
    effort_way: Way | None = None

    @model_validator(mode="after")
    def _endpoint_can_be_told(self) -> "PoolEntry":
        effort: Effort | None = self.effort
        if effort is not None:
            try:
                effort_fields(self.llm("entry"), effort, self.decoding.max_tokens)
            except ValueError as exc:
                raise ValueError(f"effort {effort}: {exc}") from exc
        return self

    def spelled_out(self) -> dict[str, Any]:
        """The entry with every field that DVC depends on spelled out, ready for YAML."""
        return self.model_dump(mode="json") | {"price": self.price and self.price.spelled_out()}

    def llm(self, llm_id: str) -> LLM:
        """The frozen LLM called `id` that this entry describes."""
        return LLM(
            id=llm_id,
            name=self.name,
            price=price_of(self.price),
            endpoint=self.endpoint.endpoint() if self.endpoint else None,
            prompt=Prompt(**self.prompt.model_dump()),
            decoding=Decoding(**self.decoding.model_dump()),
            limits=Limits(**self.limits.model_dump()),
            request_fields=RequestFields(dict(self.request_fields.rename), frozenset(self.request_fields.omit)),
            context_window=self.context_window,
            capabilities=frozenset(self.capabilities),
            data_policy=frozenset(self.data_policy),
            status=self.status,
            max_training_queries=self.max_training_queries,
            trained=self.trained,
            self_assessment=self.self_assessment,
            pace=Pace(**self.pace.model_dump()) if self.pace else None,
            energy=self.energy.energy() if self.energy else None,
            effort=self.effort,
            effort_way=self.effort_way,
        )
