"""A session's choice in a sentence, for people."""

from mixture.choose.session import SessionChoice, Why

_IN_WORDS: dict[Why, str] = {
    "tool loop": "the results of its tool calls go back to the LLM that asked for them",
    "same turn": "the user said nothing new",
    "no gain": "no other LLM could be worth the switch",
    "new": "nobody served it before",
    "worth staying": "another LLM would bring less than it costs to read the conversation anew",
    "worth switching": "another LLM is expected to bring more than it costs to read the conversation anew",
    "cannot": "its LLM may not answer this request",
    "silent": "its LLM gave no answer lately",
    "layers": "layers are asked anew for each request",
    "failed": "the LLM that was asked first brought no answer",
    "another answer": "another LLM's answer scored higher",
}


def in_words(choice: SessionChoice, llm: str | None) -> str:
    """For people. llm: who answers, None for a synthesis."""
    how = (
        "begins"
        if choice.before is None
        else f"stays with {choice.before}"
        if choice.stayed
        else f"{choice.before} -> {llm or 'a synthesis'}"
    )
    gain = "" if choice.gain is None else f" (gain {choice.gain:.3f})"
    again = (
        f"; about {choice.rebilled_tokens} cached tokens were read anew, for {choice.rebilled_usd:.2g} USD"
        if choice.rebilled_tokens
        else ""
    )
    return f"{how}: {_IN_WORDS[choice.why]}{gain}{again}"
