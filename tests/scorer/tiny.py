"""A tiny but complete scorer artifact, made by the real exporter: a random two-layer BERT, LLMs a, b and c.

The exported encoder is kept in the temporary folder (about 10 s of CPU the first time, milliseconds from then on, torch not imported).

Use it from any test:

    from tests.scorer import tiny
    folder = tiny.tiny_artifact(tmp_path / "scorer")          # scorer.runtime.load(folder) works on it
    other = tiny.tiny_artifact(tmp_path / "v2", seed=1)       # another version: other scores, another content hash
    mine = tiny.tiny_artifact(tmp_path / "v3", roster=("smollm2-135m", "qwen-coder-0-5b"))
"""

import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from scorer.recorded_calls import RecordedCalls

SENTENCES = """
what is the sum of and write a function that who law select from ? 1 2 3 + - plus minus divided by number give python code list
returns reversed sorted index read story anna ben house street lives which medicine fever hospital doctor patient
"""
DIMS = 32


def tiny_encoder(seed: int = 0, max_tokens: int = 32):
    """A random BERT over a few words and all letters; texts that share words get embeddings that are close."""
    import torch
    from sentence_transformers.sentence_transformer.modules import Pooling
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    from scorer.encoder import Encoder

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)] + list("0123456789.,:()")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *SENTENCES.split(), *letters, *("##" + letter for letter in letters)]
    vocabulary = {piece: place for place, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        backbone = BertModel(
            BertConfig(
                vocab_size=len(vocabulary),
                hidden_size=DIMS,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=64,
                max_position_embeddings=64,
                initializer_range=0.5,
                attn_implementation="eager",
            ),
            add_pooling_layer=False,
        )
    return Encoder(backbone, tokenizer, [Pooling(DIMS, "mean")], max_tokens=max_tokens)


@functools.cache
def _exported() -> Path:
    """The encoder is exported once per machine and state of the exporter; artifacts copy its files."""
    import scorer.export

    sources = (Path(__file__), *sorted(Path(scorer.export.__file__).parent.glob("e*.py")))
    key = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"routemoa-tiny-encoder-{os.getuid()}-{key}"
    if not folder.is_dir():
        made = Path(tempfile.mkdtemp(prefix="tiny-encoder-"))
        scorer.export.export_encoder(tiny_encoder(), made)
        try:
            made.replace(folder)
        except OSError:  # another test process was first
            shutil.rmtree(made)
    return folder


def tiny_artifact(
    folder: Path,
    *,
    roster: tuple[str, ...] = ("a", "b", "c"),
    seed: int = 0,
    text_features: bool = False,
    recorded_calls: Mapping[str, RecordedCalls] | None = None,
) -> Path:
    """Writes a valid artifact with random weights to `folder` and returns it; `seed` decides the weights."""
    from scorer.export import Profile, write
    from scorer.text_features import NAMES, identity
    from scorer.weights import Calibration, HeadWeights, unit

    numbers = np.random.default_rng(seed)
    normal = lambda *shape: numbers.normal(size=shape).astype(np.float32)  # noqa: E731
    llms, width = len(roster), DIMS + len(NAMES) * text_features
    weights = HeadWeights(
        roster=roster,
        groups_GD=unit(normal(4, width)),
        bias_G=np.zeros(4, dtype=np.float32),
        prior_GL=normal(4, llms),
        softness=0.1,
        centre_D=normal(width) * 0.01,
        projection_DK=normal(width, 8),
        llms_LK=normal(llms, 8),
        temperature_L=np.full(llms, 0.5, dtype=np.float32),
    )
    calibration = Calibration(np.ones(llms), np.zeros(llms))
    trained, held = unit(normal(60, DIMS)), unit(normal(40, DIMS))
    logits = lambda queries_QD: weights.logits(np.pad(queries_QD, ((0, 0), (0, width - DIMS))))  # noqa: E731
    profile = Profile(
        queries_RD=trained,
        scores_RL=calibration.probabilities(logits(trained)),
        domains_R=["mathematics", "coding"] * 30,
        held_queries_HD=held,
        held_scores_HL=calibration.probabilities(logits(held)),
        held_domains_H=["mathematics", "coding"] * 20,
    )
    encoder = {"name": "tiny", "fingerprint": "0" * 64, "max_tokens": 32, "dims": DIMS} | (
        {"text_features": identity()} if text_features else {}
    )
    write(
        folder,
        exported=_exported(),
        weights=weights,
        calibration=calibration,
        profile=profile,
        recorded_calls=recorded_calls,
        encoder=encoder,
        dataset_sha256=f"tiny-{seed}",
    )
    return folder
