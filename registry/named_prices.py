"""Published prices by the names that logs give to LLMs: `gpt-4o-mini`, `azure/gpt-4o`, `anthropic/claude-3.5-haiku`."""

from dataclasses import dataclass
from datetime import UTC, datetime

from mixture.price import Price
from registry.errors import PriceUnknown
from registry.prices import genai

AGGREGATOR = "openrouter"  # its names are AUTHOR/LLM, as many logs have them
FREE = ":free"  # how it ends the names of those that cost nothing; any other price of 0 is one that nobody has published
PROVIDERS = {  # as LiteLLM and OpenTelemetry call them -> as genai-prices does
    "azure": "azure",
    "azure_ai": "azure",
    "az.ai.openai": "azure",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "bedrock": "aws",
    "aws.bedrock": "aws",
    "gemini": "google",
    "vertex_ai": "google",
    "gcp.vertex_ai": "google",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
    "xai": "x-ai",
    "x_ai": "x-ai",
    "mistral_ai": "mistral",
}


@dataclass(frozen=True, slots=True)
class NamedPrice:
    """USD per million tokens, and under which published name."""

    price: Price
    published_as: str


def named(name: str, provider: str | None = None) -> NamedPrice | None:
    """The published price of an LLM that a log calls `name`, at `provider` where the log names one; None where nobody publishes one."""
    today = datetime.now(UTC).date()
    for published in _candidates(name, provider):
        try:
            price = genai.published(published, today)
        except PriceUnknown:
            continue
        if (price.input or price.output) or name.endswith(FREE):
            return NamedPrice(price, published)
    return None


def _candidates(name: str, provider: str | None) -> list[str]:
    """What it may be published as, the likeliest first."""
    head, slash, tail = name.partition("/")
    wanted = []
    if provider:
        wanted.append(f"{PROVIDERS.get(provider, provider)}/{name}")
        wanted += [f"{PROVIDERS.get(provider, provider)}/{tail}"] if slash else []
    if slash:
        wanted += [f"{PROVIDERS.get(head, head)}/{tail}", f"{AGGREGATOR}/{name}"]
    elif not provider and (by_name := genai.provider_of(name)) is not None:
        wanted.append(f"{by_name}/{name}")
    return list(dict.fromkeys(wanted))
