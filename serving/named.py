"""What a request may name as its model, and the refusal of a name that is none."""

from scorer.near_matches import did_you_mean
from serving.errors import ModelUnknown
from serving.routing import why_not
from serving.state import State
from serving.virtual_models import VIRTUAL


def model_unknown(state: State, name: str) -> ModelUnknown:
    """The refusal of a `model` nobody can call, with the near ones."""
    names = [*VIRTUAL, *(llm.id for llm in state.llms.llms if why_not(llm) is None)]
    listed = next((llm for llm in state.llms.llms if llm.id == name), None)
    what = f"The model {name!r} does not exist" if listed is None else f"The LLM {name!r} cannot be called ({why_not(listed)})"
    return ModelUnknown(f"{what}.", next_step=f"{did_you_mean(name, names)} GET /v1/models lists all.", param="model")
