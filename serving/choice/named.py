"""What a request may name as its model, and the refusal of a name that is none."""

from mixture.client.native import NO_OTHER_WAY
from scorer.near_matches import did_you_mean
from serving.access.keys import KeyEntry
from serving.choice.routing import why_not
from serving.choice.virtual_models import VIRTUAL
from serving.errors import LLMNotAllowed, ModelUnknown
from serving.state import State


def model_unknown(state: State, name: str, *, dialect: str = "chat") -> ModelUnknown:
    """The refusal of a `model` nobody can call, with the near ones; of a dialect that is not routed, without the virtual ones."""
    unrouted = dialect in NO_OTHER_WAY
    names = [*(() if unrouted else VIRTUAL), *(llm.id for llm in state.llms.llms if why_not(llm) is None)]
    listed = next((llm for llm in state.llms.llms if llm.id == name), None)
    what = f"The model {name!r} does not exist" if listed is None else f"The LLM {name!r} cannot be called ({why_not(listed)})"
    way = f"Add an LLM to the pool whose endpoint offers {dialect}." if unrouted else "GET /v1/models lists all."
    return ModelUnknown(f"{what}.", next_step=f"{did_you_mean(name, names)} {way}", param="model")


def require_named(state: State, name: str, holder: KeyEntry) -> None:
    """Raises ModelUnknown for a name that a request of this key could not have as its model, LLMNotAllowed for another key's LLM."""
    if name in VIRTUAL:
        return
    if not any(llm.id == name and why_not(llm) is None for llm in state.llms.llms):
        raise model_unknown(state, name)
    if not holder.may_use(name):
        raise LLMNotAllowed(f"The key {holder.name!r} may not use {name}.", next_step=f"It may use {', '.join(holder.llms or ())}.")
