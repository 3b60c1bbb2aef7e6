"""Encoders by transformers: pooling, truncation, DeBERTa, and the way to ONNX."""

import json
import logging
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertModel, DebertaV2Config, DebertaV2Model, MPNetConfig, MPNetModel, PreTrainedTokenizerFast

from scorer import encoder, export
from scorer.errors import EncoderUnknown
from scorer.manifest import ENCODERS, TOKENIZER
from scorer.runtime import OnnxEncoder
from scorer.trim_deberta import without_unused

TEXTS = ["what is the sum of 1 and 2 ?", "write a function", "who", "law " * 50]


def saved(folder: Path, backbone: torch.nn.Module, tokenizer: Tokenizer) -> Path:
    """A folder as `save_pretrained` leaves it."""
    backbone.save_pretrained(folder)  # type: ignore[operator]
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    return folder


def deberta_of(tiny: ModuleType, max_tokens: int, **changes: Any) -> encoder.Encoder:
    """A small random DeBERTa-v3 (v2 architecture with v3's shared, log-bucketed positions): distances up to 8 have a bucket each."""
    tokenizer = tiny.tiny_encoder().tokenizer
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "relative_attention": True,
        "position_buckets": 16,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "type_vocab_size": 0,
        "initializer_range": 0.3,
    }
    backbone = DebertaV2Model(DebertaV2Config(**shape | changes))
    return encoder.Encoder(backbone, tokenizer, [Pooling(32, "cls")], max_tokens=max_tokens)


@pytest.fixture(scope="module")
def deberta(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> encoder.Encoder:
    """The small DeBERTa, loaded from a folder, reading 32 tokens."""
    made = deberta_of(tiny, 32)
    return encoder.load(saved(tmp_path_factory.mktemp("deberta"), made.backbone, made.tokenizer), max_tokens=32)


@pytest.mark.parametrize("changes", [{}, {"share_att_key": False}, {"conv_kernel_size": 3}], ids=str)
@pytest.mark.parametrize(("max_tokens", "distances"), [(5, 10), (8, 16), (9, 32)])
def test_a_graph_keeps_the_distances_its_texts_have(tiny: ModuleType, max_tokens: int, distances: int, changes: dict[str, Any]) -> None:
    """Embeddings are the same but for rounding; where longer distances share buckets all stay; the encoder itself keeps all."""
    whole = deberta_of(tiny, max_tokens, **changes)
    before = whole.fingerprint()
    cut = without_unused(whole)
    assert len(cut.backbone.encoder.rel_embeddings.weight) == distances  # type: ignore[union-attr, arg-type]
    assert whole.batch(TEXTS)[0].shape[1] == max_tokens
    np.testing.assert_allclose(cut.embed(TEXTS), whole.embed(TEXTS), atol=1e-5)
    assert whole.fingerprint() == before


def test_distances_without_buckets_are_cut_too(tiny: ModuleType) -> None:
    whole = deberta_of(tiny, 8, position_buckets=-1)
    cut = without_unused(whole)
    assert len(cut.backbone.encoder.rel_embeddings.weight) == 16  # type: ignore[union-attr, arg-type]
    np.testing.assert_allclose(cut.embed(TEXTS), whole.embed(TEXTS), atol=1e-5)


def test_another_encoder_is_exported_as_it_is(tiny: ModuleType) -> None:
    bert = tiny.tiny_encoder()
    assert without_unused(bert) is bert


def test_deberta_is_pooled_by_its_first_token(deberta: encoder.Encoder) -> None:
    """As in the paper: the embedding is the first token's state, at length 1."""
    assert deberta.pooling == "first"
    ids, mask = deberta.batch(TEXTS[:1])
    with torch.no_grad():
        state_D = deberta.backbone(input_ids=ids, attention_mask=mask).last_hidden_state[0, 0]
    np.testing.assert_allclose(deberta.embed(TEXTS[:1])[0], (state_D / state_D.norm()).numpy(), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("max_tokens", [8, 32])
def test_deberta_survives_onnx(tiny: ModuleType, max_tokens: int, tmp_path: Path) -> None:
    """Its ONNX graph agrees to 1e-4 at every length, cut or whole; int8 points the same way."""
    deberta = deberta_of(tiny, max_tokens)
    export.export_encoder(deberta, tmp_path)
    tokenizer = (tmp_path / TOKENIZER).read_bytes()
    expected = deberta.embed(TEXTS)
    for precision, atol in (("fp32", 1e-4), ("int8", 0.3)):
        found = OnnxEncoder((tmp_path / ENCODERS[precision]).read_bytes(), tokenizer, max_tokens=max_tokens).embed(TEXTS)
        np.testing.assert_allclose(found, expected, atol=atol)
        assert ((found * expected).sum(axis=1) > 0.95).all()


def test_the_first_feed_forward_matrices_are_quantised_by_block(sound: Path) -> None:
    """Of two layers the first one's two, and they alone; the rest is dynamic int8, nothing stays fp32 but attention."""
    graph = onnx.load(str(sound / ENCODERS["int8"])).graph
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("MatMulNBits") == 2
    assert kinds[: kinds.index("MatMulNBits")].count("MatMulInteger") == 4  # query, key, value and output
    assert kinds.count("MatMulInteger") == 2 * 6 - 2
    constant = {matrix.name for matrix in graph.initializer}
    assert not [node.name for node in graph.node if node.op_type == "MatMul" and node.input[1] in constant]


def test_no_sum_of_two_products_can_saturate(sound: Path) -> None:
    """Weights of dynamic int8 keep within 7 bits: 2 * 255 * 64 fits into the 16 signed bits in which AVX2 adds two products."""
    graph = onnx.load(str(sound / ENCODERS["int8"])).graph
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    weights = [arrays[node.input[1]] for node in graph.node if node.op_type == "MatMulInteger"]
    assert len(weights) == 10
    assert max(int(np.abs(matrix.astype(int)).max()) for matrix in weights) <= 64


def test_the_root_logger_is_put_back() -> None:
    """What onnxruntime's quantisers do to it when they are imported does not last."""
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    with export.root_logger_as_it_is(logging.ERROR):
        assert root.level == logging.ERROR
        root.addHandler(logging.NullHandler())
        root.setLevel(logging.DEBUG)
    assert (root.level, root.handlers) == before


def test_the_end_of_a_text_is_read(tiny: ModuleType) -> None:
    """Truncation is from the left: what is asked stands at the end."""
    tiny_encoder = tiny.tiny_encoder(max_tokens=8)
    long, short = tiny_encoder.embed(["law " * 100 + "what is the sum of 1", "what is the sum of 1"])
    np.testing.assert_allclose(long, short, atol=1e-5)
    assert np.abs(tiny_encoder.embed(["what is the sum of 1 " + "law " * 100])[0] - short).max() > 0.01


def test_padding_changes_nothing(tiny: ModuleType) -> None:
    """A text in a batch of longer ones embeds as alone, in the order asked."""
    tiny_encoder = tiny.tiny_encoder()
    together = tiny_encoder.embed(TEXTS, batch_size=4)
    np.testing.assert_allclose(together, np.concatenate([tiny_encoder.embed([text]) for text in TEXTS]), atol=1e-5)


def as_the_library_saves(folder: Path, plain: Path, *after: torch.nn.Module, **settings: Any) -> SentenceTransformer:
    """An encoder of sentence-transformers around the one in `plain`, saved in `folder` by the library itself."""
    made = SentenceTransformer(modules=[Transformer(str(plain)), *after], device="cpu", **settings)
    made.save(str(folder))
    return made


@pytest.fixture(scope="module")
def plain(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT without settings of sentence-transformers."""
    made = tiny.tiny_encoder()
    assert isinstance(made.backbone, BertModel)
    return saved(tmp_path_factory.mktemp("bert") / "plain", made.backbone, made.tokenizer)


POOLINGS = ["mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken", ("cls", "mean")]


@pytest.mark.parametrize("pooling", POOLINGS, ids=str)
@pytest.mark.parametrize("normalised", [True, False])
def test_every_pooling_agrees_with_the_library(plain: Path, pooling: Any, normalised: bool, tmp_path: Path) -> None:
    """Read back by its folder, our embeddings are the library's at unit norm to 1e-4, padded or not."""
    wide = 32 * (1 if isinstance(pooling, str) else len(pooling))
    library = as_the_library_saves(tmp_path / "saved", plain, Pooling(32, pooling), *([Normalize()] if normalised else []))
    ours = encoder.load(tmp_path / "saved", max_tokens=64)
    expected = library.encode(TEXTS[:3], normalize_embeddings=True)
    assert ours.dims == wide == expected.shape[1]
    np.testing.assert_allclose(ours.embed(TEXTS[:3]), expected, atol=1e-4)


def test_a_projection_and_prompts_agree_with_the_library(plain: Path, tmp_path: Path) -> None:
    """A Dense after the pooling is part of the encoder; `query` is the prompt of queries, and another may be named in its place."""
    prompts = {"query": "what is ", "document": "story "}
    library = as_the_library_saves(
        tmp_path / "saved", plain, Pooling(32, "cls"), Dense(32, 8), Normalize(), prompts=prompts, default_prompt_name="document"
    )
    ours = encoder.load(tmp_path / "saved", max_tokens=64)
    assert ours.dims == 8
    np.testing.assert_allclose(ours.embed(TEXTS[:3]), library.encode(TEXTS[:3], prompt_name="query"), atol=1e-4)
    for prompt in ("", "give a list : "):
        named = encoder.load(tmp_path / "saved", max_tokens=64, prompt=prompt)
        np.testing.assert_allclose(named.embed(TEXTS[:3]), library.encode(TEXTS[:3], prompt=prompt), atol=1e-4)
        assert named.fingerprint() != ours.fingerprint()


@pytest.mark.slow
def test_every_pooling_survives_onnx(plain: Path, tmp_path: Path) -> None:
    """What a server computes, one after the other in one graph, prompt included, is what the library does."""
    each = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
    prompts = {"query": "what is ", "document": ""}
    library = as_the_library_saves(tmp_path / "saved", plain, Pooling(32, each), Dense(6 * 32, 6 * 32), prompts=prompts)
    export.export_encoder(encoder.load(tmp_path / "saved", max_tokens=64), tmp_path / "onnx")
    graph, tokenizer = ((tmp_path / "onnx" / name).read_bytes() for name in (ENCODERS["fp32"], TOKENIZER))
    expected = library.encode(TEXTS[:3], prompt_name="query", normalize_embeddings=True)
    np.testing.assert_allclose(OnnxEncoder(graph, tokenizer, max_tokens=64).embed(TEXTS[:3]), expected, atol=1e-4)


@pytest.fixture(scope="module")
def mpnet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SentenceTransformer]:
    """A folder as all-mpnet-base-v2 lies on the hub, small and random: a tokenizer with <s> 0, <pad> 1 and </s> 2, the mean, unit norm."""
    pieces = ["<s>", "<pad>", "</s>", "[UNK]", *dict.fromkeys(" ".join(TEXTS).split()), "+"]
    tokenizer = Tokenizer(models.WordPiece({piece: place for place, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=False)
    torch.manual_seed(0)
    shape = {"vocab_size": len(pieces), "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 64}
    backbone = MPNetModel(MPNetConfig(**shape, max_position_embeddings=66, pad_token_id=1, initializer_range=0.3), add_pooling_layer=False)
    folder = tmp_path_factory.mktemp("mpnet")
    backbone.save_pretrained(folder / "plain")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="[UNK]").save_pretrained(folder / "plain")
    return folder / "saved", as_the_library_saves(folder / "saved", folder / "plain", Pooling(32, "mean"), Normalize())


def test_an_mpnet_agrees_with_the_library(mpnet: tuple[Path, SentenceTransformer]) -> None:
    """Its positions start after the padding's id, and its pad is not token 0: padded or not, embeddings are the library's."""
    folder, library = mpnet
    ours = encoder.load(folder, max_tokens=32)
    assert (type(ours.backbone).__name__, ours.pooling) == ("MPNetModel", "mean")
    np.testing.assert_allclose(ours.embed(TEXTS[:3]), library.encode(TEXTS[:3]), atol=1e-5)


@pytest.mark.slow
def test_an_mpnet_survives_onnx(mpnet: tuple[Path, SentenceTransformer], tmp_path: Path) -> None:
    """As served, in fp32 and in int8, from the tokenizer that the artifact keeps."""
    folder, library = mpnet
    export.export_encoder(encoder.load(folder, max_tokens=32), tmp_path)
    expected, tokenizer = library.encode(TEXTS[:3]), (tmp_path / TOKENIZER).read_bytes()
    for precision, least in (("fp32", 0.9999), ("int8", 0.98)):
        found = OnnxEncoder((tmp_path / ENCODERS[precision]).read_bytes(), tokenizer, max_tokens=32).embed(TEXTS[:3])
        assert ((found * expected).sum(axis=1) > least).all()


@pytest.mark.slow
def test_int8_that_strays_goes_by_block_in_more_matrices(tiny: ModuleType, tmp_path: Path) -> None:
    """Where half of the feed-forward matrices by block leave embeddings too far from fp32, all of them go by block."""
    bert = tiny.tiny_encoder()
    layer = bert.backbone.encoder.layer[-1]
    with torch.no_grad():
        layer.intermediate.dense.weight[:1] *= 400.0  # an outlier before the last narrowing matrix drowns the rest in one scale
        layer.output.dense.weight[:, :1] = 0.0
    export.export_encoder(bert, tmp_path)
    kinds = [node.op_type for node in onnx.load(str(tmp_path / ENCODERS["int8"])).graph.node]
    assert kinds.count("MatMulNBits") == 4


@pytest.mark.parametrize("written", [{"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, {"pooling_mode": "cls"}], ids=str)
def test_settings_of_every_version_are_read(plain: Path, written: dict[str, Any], tmp_path: Path) -> None:
    """`bge-small-en-v1.5` says so in the words of version 2, version 6 in its own: the first token."""
    as_the_library_saves(tmp_path / "saved", plain, Pooling(32, "mean"), Normalize())
    (tmp_path / "saved" / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32} | written))
    assert encoder.load(tmp_path / "saved", max_tokens=16).pooling == "first"


def test_without_settings_the_mean_is_taken(plain: Path) -> None:
    """At most as many tokens as the encoder has positions for."""
    loaded = encoder.load(plain, max_tokens=9_999)
    assert (loaded.pooling, loaded.max_tokens) == ("mean", 64)
    assert encoder.load(plain, max_tokens=16, device="auto").max_tokens == 16


def test_a_device_that_is_not_here_is_said_in_a_sentence(plain: Path) -> None:
    with pytest.raises(EncoderUnknown, match=r"device 'cpuu'.*train\.device"):
        encoder.load(plain, max_tokens=16, device="cpuu")


def test_what_cannot_be_served_is_named(plain: Path, tmp_path: Path) -> None:
    """An encoder whose pooling leaves its prompt out is refused: a graph does not know how long that was."""
    as_the_library_saves(tmp_path / "saved", plain, Pooling(32, "mean", include_prompt=False), prompts={"query": "who ", "document": ""})
    with pytest.raises(EncoderUnknown, match="pools without its prompt"):
        encoder.load(tmp_path / "saved", max_tokens=16)
    assert encoder.load(tmp_path / "saved", max_tokens=16, prompt="").pooling == "mean"


def test_the_fingerprint_follows_everything_an_embedding_depends_on(tiny: ModuleType) -> None:
    """Same weights, same hash; other weights or another truncation, another."""
    assert tiny.tiny_encoder().fingerprint() == tiny.tiny_encoder().fingerprint()
    assert (
        len({tiny.tiny_encoder().fingerprint(), tiny.tiny_encoder(seed=1).fingerprint(), tiny.tiny_encoder(max_tokens=16).fingerprint()})
        == 3
    )


def test_an_unknown_encoder_is_said_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No such folder: what was asked for and what to set."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EncoderUnknown, match=r"encoder .*nowhere.*train\.encoder"):
        encoder.load(tmp_path / "nowhere", max_tokens=16)
