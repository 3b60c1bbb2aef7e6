"""Grader `reward_model`: a sequence classifier scores answers to open questions; each score is computed once and kept.

Any Hugging Face name (`NAME@REVISION` holds it to one) or local folder with safetensors weights and one logit, or two classes of which
the second is the good one. Query and answer go in as the model's chat template has them, as a pair where it has none; what is longer than
the model takes is cut (`Rewards.cut` says how many). Its version is the hash of weights and tokenizer: another model regrades.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixture.reading.thinking import spoken
from pipelines import journal
from pipelines.errors import GraderFailed
from pipelines.executor import door
from pipelines.graders.kinds import Graded
from pipelines.graders.query import Query

VERSION = "1"
BATCH = 8
SHARD = 4  # batches, where scoring is spread
MOST_TOKENS = 1024
_NEXT = "Set label.reward_model to a sequence classifier: a Hugging Face name or a local folder with safetensors weights."


@dataclass
class RewardModel:
    """A loaded classifier; `version` names the weights, the tokenizer and how texts are cut. `cut`: texts shortened so far."""

    model: Any
    tokenizer: Any
    max_tokens: int
    version: str
    cut: int = field(default=0)

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The score in [0, 1] of each (query, answer), in the order given."""
        scores = dict(self.scores(pairs))
        return [scores[place] for place in range(len(pairs))]

    def scores(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[int, float]]:
        """The place of each (query, answer) and its score in [0, 1], as it is known: alike lengths together (padding is paid for)."""
        order = sorted(range(len(pairs)), key=lambda place: sum(map(len, pairs[place])))
        batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
        as_pairs = [[pairs[place] for place in places] for places in batches]
        for at, (scored, cut) in door.chosen().map(self.scored, as_pairs, size=SHARD):
            self.cut += cut
            yield from zip(batches[at], scored, strict=True)

    def scored(self, batches: Sequence[Sequence[tuple[str, str]]]) -> Iterator[tuple[int, tuple[list[float], int]]]:
        """Each batch's place, its scores, and how many of its texts were cut."""
        import torch

        for at, pairs in enumerate(batches):
            inputs, cut = self._batch(pairs)
            with torch.inference_mode():
                logits = self.model(**inputs).logits.double()
            margins = logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]
            yield at, (torch.sigmoid(margins).tolist(), cut)

    def _batch(self, pairs: Sequence[tuple[str, str]]) -> tuple[Any, int]:
        """Token ids and masks, and how many texts were cut: of a pair the longer one at its end first, of a chat its beginning."""
        texts: list[Any] = list(map(list, zip(*pairs, strict=True)))
        chat = bool(getattr(self.tokenizer, "chat_template", None))
        if chat:
            texts = [[self._chat(*pair) for pair in pairs]]
        self.tokenizer.truncation_side = "left" if chat else "right"
        special = {"add_special_tokens": not chat}  # a template writes its own
        cut = sum(len(ids) > self.max_tokens for ids in self.tokenizer(*texts, **special)["input_ids"])
        return self.tokenizer(*texts, **special, truncation=True, max_length=self.max_tokens, padding=True, return_tensors="pt"), cut

    def _chat(self, query: str, answer: str) -> str:
        turns = [{"role": "user", "content": query}, {"role": "assistant", "content": answer}]
        return str(self.tokenizer.apply_chat_template(turns, tokenize=False))


def load(name: str) -> RewardModel:
    """The classifier `name`. Raises GraderFailed where it cannot be had, has no safetensors weights, or has other outputs."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    place, _, revision = (name, "", "") if Path(name).exists() else name.partition("@")
    where: dict[str, Any] = {"trust_remote_code": False, **({"revision": revision} if revision else {})}
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, **where)
        model, loaded = AutoModelForSequenceClassification.from_pretrained(
            place, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **where
        )
    except (OSError, ValueError, ImportError, KeyError) as exc:
        reason = (str(exc).strip().splitlines() or [type(exc).__name__])[0]
        raise GraderFailed(f"reward model {name}: {reason}.", next_step=_NEXT) from exc
    if loaded["missing_keys"]:
        missing = ", ".join(sorted(loaded["missing_keys"])[:3])
        raise GraderFailed(f"reward model {name} has no weights for {missing}: it would score at random.", next_step=_NEXT)
    if model.config.num_labels not in {1, 2}:
        raise GraderFailed(f"reward model {name} has {model.config.num_labels} outputs, 1 or 2 are needed.", next_step=_NEXT)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id
    limits = (getattr(model.config, "max_position_embeddings", None) or MOST_TOKENS, tokenizer.model_max_length, MOST_TOKENS)
    max_tokens = int(min(limits))
    return RewardModel(model.eval(), tokenizer, max_tokens, _version(model, tokenizer, max_tokens))


def _version(model: Any, tokenizer: Any, max_tokens: int) -> str:
    """VERSION and a hash of all that a score depends on."""
    import torch

    template = getattr(tokenizer, "chat_template", None)
    backend = tokenizer.backend_tokenizer.to_str() if getattr(tokenizer, "is_fast", False) else sorted(tokenizer.get_vocab().items())
    digest = hashlib.sha256(json.dumps([VERSION, max_tokens, template, backend, model.config.model_type]).encode())
    for name, weight in sorted(model.state_dict().items()):
        digest.update(name.encode() + weight.detach().contiguous().to(torch.float32).numpy().tobytes())
    return f"{VERSION}-{digest.hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Rewards:
    """What a reward model says of answers, and how many had to be cut to fit it."""

    graded: list[Graded]
    cut: int


def grade(model: RewardModel, answers: Sequence[tuple[Query, str]], kept: Path, advance: Callable[[], None] = lambda: None) -> Rewards:
    """One result an answer, in order; what this version scored before is read from `kept`, not computed again."""
    answers = [(query, spoken(answer)) for query, answer in answers]
    scores = {row["key"]: float(row["score"]) for row in journal.rows(kept)}
    keys = [hashlib.sha256(json.dumps([model.version, query.text, answer]).encode()).hexdigest() for query, answer in answers]
    fresh = {key: (query.text, answer) for key, (query, answer) in zip(keys, answers, strict=True) if key not in scores}
    before = model.cut
    with journal.Journal(kept) as computed:
        hashes = list(fresh)
        for place, score in model.scores(list(fresh.values())):
            advance()
            key = hashes[place]
            if math.isfinite(score):
                scores[key] = score
                computed.append({"key": key, "score": score})
    failure = "the reward model's output is not a number"
    graded = [
        Graded(query.query_id, scores.get(key), "" if key in scores else failure) for (query, _), key in zip(answers, keys, strict=True)
    ]
    return Rewards(graded, model.cut - before)
