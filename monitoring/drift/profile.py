"""The reference profile of a scorer artifact: the queries it was trained on, and held-out ones of the same distribution."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitoring.errors import ProfileRefused

Floats = NDArray[np.float32]
Names = NDArray[np.str_]
KEYS = ("queries_RD", "scores_RL", "domains_R", "held_queries_HD", "held_scores_HL", "held_domains_H")


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceProfile:
    """What traffic is compared with: R training queries and H held-out ones, unit-norm embeddings of D dims, scores of L LLMs.

    The scorer never saw the held-out queries, as it never saw the traffic: they show what traffic without shift looks like.
    """

    roster: tuple[str, ...]
    queries_RD: Floats
    scores_RL: Floats
    domains_R: Names
    held_queries_HD: Floats
    held_scores_HL: Floats
    held_domains_H: Names

    def __post_init__(self) -> None:
        for queries, scores, domains in (
            (self.queries_RD, self.scores_RL, self.domains_R),
            (self.held_queries_HD, self.held_scores_HL, self.held_domains_H),
        ):
            shapes = f"queries {queries.shape}, scores {scores.shape}, domains {domains.shape}, roster of {len(self.roster)}"
            if queries.ndim != 2 or scores.shape != (len(queries), len(self.roster)) or domains.shape != (len(queries),):
                raise ProfileRefused(f"Reference profile of shapes that do not fit: {shapes}.", next_step="Train the scorer again.")
            if not (np.isfinite(queries).all() and np.isfinite(scores).all()):
                raise ProfileRefused(f"Reference profile with numbers that are not finite ({shapes}).", next_step="Train the scorer again.")
        if not len(self.queries_RD) or self.queries_RD.shape[1] != self.held_queries_HD.shape[1]:
            raise ProfileRefused(
                f"Reference profile with training queries {self.queries_RD.shape} and held-out queries {self.held_queries_HD.shape}.",
                next_step="Train the scorer again.",
            )


def read(folder: Path) -> ReferenceProfile:
    """The profile in scorer artifact `folder` (`reference.npz`, `roster.json`). Raises ProfileRefused."""
    path = folder / "reference.npz"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            missing = [key for key in KEYS if key not in arrays]
            if missing:
                raise ProfileRefused(f"{path}: without {', '.join(missing)}.", next_step="Train the scorer again with this platform.")
            content = {key: arrays[key] for key in KEYS}
        roster = tuple(map(str, json.loads((folder / "roster.json").read_text(encoding="utf-8"))["llms"]))
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as exc:
        raise ProfileRefused(f"{folder}: no readable reference profile ({exc}).", next_step="Publish the scorer version again.") from exc
    return ReferenceProfile(
        roster=roster,
        queries_RD=content["queries_RD"].astype(np.float32),
        scores_RL=content["scores_RL"].astype(np.float32),
        domains_R=content["domains_R"].astype(np.str_),
        held_queries_HD=content["held_queries_HD"].astype(np.float32),
        held_scores_HL=content["held_scores_HL"].astype(np.float32),
        held_domains_H=content["held_domains_H"].astype(np.str_),
    )
