"""What the semantic conventions call the provider at an address."""

from urllib.parse import urlsplit

KNOWN = {
    "openai.com": "openai",
    "anthropic.com": "anthropic",
    "openrouter.ai": "openrouter",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "azure.com": "azure.ai.openai",
    "amazonaws.com": "aws.bedrock",
    "mistral.ai": "mistral_ai",
    "deepseek.com": "deepseek",
    "groq.com": "groq",
    "x.ai": "x_ai",
    "cohere.com": "cohere",
    "perplexity.ai": "perplexity",
}


def provider(base_url: str) -> str:
    """The conventions' name of a known provider, else the host."""
    host = urlsplit(base_url).hostname or ""
    return next((name for domain, name in KNOWN.items() if host == domain or host.endswith(f".{domain}")), host)
