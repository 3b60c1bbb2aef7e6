"""The models that are no LLM: how a request that names one is answered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mixture.choose.options import Options
from mixture.choose.posterior import AgreementPosterior
from mixture.choose.strategy import Strategy
from serving.settings import ServingSettings


@dataclass(frozen=True, slots=True)
class VirtualModel:
    """options: what a request may spend that starts now. strategy: for a pool whose answers are weighed by this posterior."""

    description: str
    options: Callable[[ServingSettings], Options]
    strategy: Callable[[ServingSettings, AgreementPosterior], Strategy]


VIRTUAL: Mapping[str, VirtualModel] = {
    "routemoa": VirtualModel(
        "a mixture of LLMs, chosen for each query",
        lambda settings: settings.mixture.options(),
        lambda settings, posterior: settings.mixture.strategy_for(posterior),
    ),
    "routemoa-layers": VirtualModel(
        "RouteMoA as published: layers of LLMs that see and score each other's answers",
        lambda settings: settings.layers.options(settings.mixture),
        lambda settings, _: settings.layers.strategy(),
    ),
    "routemoa-single": VirtualModel(
        "the one LLM of best expected value for each query",
        lambda settings: settings.mixture.options().as_single(),
        lambda settings, posterior: settings.mixture.strategy_for(posterior),
    ),
}
