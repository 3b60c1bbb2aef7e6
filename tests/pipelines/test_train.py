"""The stage `train` in a project of its own: real encoder classes, real export, a world whose best LLM is known."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mixture.choose.posterior import AgreementPosterior, Observation, query_easiness
from pipelines import dataset, embeddings, tables, train, training_parts
from pipelines.errors import ParamsRefused, TableRefused
from pipelines.fit_posterior import Episode
from pipelines.project import Project
from pipelines.recorded_calls import recorded_calls
from scorer import artifact, probes, runtime
from scorer.errors import EncoderUnknown, TrainingError
from scorer.recorded_calls import RecordedCalls
from scorer.types import Floats
from tests.pipelines import trained_home as homes
from tests.scorer import world


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A project after training."""
    return homes.trained_home(tmp_path / "home")


def test_the_artifact_is_sound_and_chooses_well(home: Path) -> None:
    """What training wrote verifies, loads without torch's help, and picks the known best LLM of new queries."""
    served = runtime.load(Project(home).scorer)
    fresh = world.world(60, seed=9)
    chosen = served.score(fresh.texts).scores_QL.argmax(axis=1)
    assert served.roster == world.ROSTER
    known = fresh.kinds_Q < 3  # the fourth kind is out of domain
    assert (chosen == fresh.best_Q)[known].mean() > 0.75  # a random encoder blurs kinds; a lookup of the best LLM has .33


def test_an_llm_with_too_few_labels_is_left_out_and_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its id and both counts are said; it is in no roster."""
    whole, by_row = training_parts.apart(homes.loaded(home), 20)
    assert (whole.roster, by_row.roster) == (world.ROSTER, ())
    assert f"{homes.NEWCOMER} has " in capsys.readouterr().err
    assert json.loads((Project(home).training).read_text())["left_out"] == [homes.NEWCOMER]


def test_train_json_tells_the_way(home: Path) -> None:
    """Figures, the loss of every epoch, CPU seconds, and the artifact's content hash."""
    report = json.loads((Project(home).training).read_text())
    assert report["content_hash"] == artifact.verify(Project(home).scorer).content_hash
    assert [row["epoch"] for row in report["history"]] == list(range(len(report["history"])))
    assert report["validation_loss"] == min(row["validation"] for row in report["history"])
    assert report["cpu_s"]["all"] >= report["cpu_s"]["head"] > 0
    assert artifact.verify(Project(home).scorer).metrics["validation_ece"] == report["validation_ece"]


def test_the_reference_profile_is_what_a_server_sees(home: Path) -> None:
    """Training and held-out queries, apart, embedded and scored as served; out-of-domain ones are in neither."""
    profile = artifact.open(Project(home).scorer).reference
    data = homes.loaded(home)
    scorer = runtime.load(Project(home).scorer)
    assert "biomedicine" not in set(profile["domains_R"]) | set(profile["held_domains_H"])
    for queries, scores, splits in (
        ("queries_RD", "scores_RL", ("train",)),
        ("held_queries_HD", "held_scores_HL", ("calibration", "validation")),
    ):
        part = data.take(*splits)
        labelled_Q = (~np.isnan(part.labels_QL)).any(axis=1)
        served = scorer.score(part.queries["text"][labelled_Q].tolist())
        np.testing.assert_allclose(served.queries_QD, profile[queries].astype(np.float32), atol=1e-3)
        np.testing.assert_allclose(served.scores_QL, profile[scores], atol=1e-5)


def test_the_artifact_says_what_recorded_answers_took(home: Path) -> None:
    """Of each LLM of the roster, on training and calibration queries alone."""
    data = homes.loaded(home).take("train", "calibration")
    answers = dict(zip(data.roster, (~np.isnan(data.labels_QL)).sum(axis=0).tolist(), strict=True))  # each is labelled in this world
    taken = runtime.load(Project(home).scorer).recorded_calls
    assert taken == {llm: RecordedCalls(answers[llm], 50.0, 20.0, 1.0) for llm in world.ROSTER}


def test_recorded_answers_that_nobody_counted_or_timed(tmp_path: Path) -> None:
    """Answers without tokens are left out, and so is an LLM that has no others; means of seconds are of those that were timed."""
    meta = pd.DataFrame(
        [
            ("q1", "a", 10.0, 2.0, 0.5),
            ("q2", "a", 30.0, 4.0, np.nan),
            ("q3", "a", np.nan, np.nan, 9.0),
            ("other", "a", 900.0, 900.0, 90.0),
            ("q1", "b", np.nan, np.nan, 0.5),
            ("q1", "c", 10.0, 2.0, np.nan),
        ],
        columns=["query_id", "llm", "input_tokens", "output_tokens", "latency_s"],
    ).assign(cost_usd=0.0, mean_logprob=np.nan, final_answer="42")
    tables.write(tmp_path / "answers_meta.parquet", meta, dataset.ANSWERS_META)
    found = recorded_calls(tmp_path, ("a", "b", "c"), ("q1", "q2", "q3"))
    assert found == {"a": RecordedCalls(2, 20.0, 3.0, 0.5), "c": RecordedCalls(1, 10.0, 2.0, None)}


def test_training_again_gives_the_same_scorer_and_embeds_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same data and params: same content hash, from cached embeddings and a cached export; the probes alone are embedded each time."""
    before = artifact.verify(Project(home).scorer).content_hash

    def embedded_again(*_: object, **__: object) -> None:
        raise AssertionError("a cached text was embedded again")

    embed = runtime.OnnxEncoder.embed

    def only_probes(encoder: runtime.OnnxEncoder, texts: Sequence[str]) -> Floats:
        assert set(texts) <= set(probes.TEXTS), "a cached text was embedded again"
        return embed(encoder, texts)

    monkeypatch.setattr("scorer.encoder.Encoder.embed_batch", embedded_again)
    monkeypatch.setattr("scorer.runtime.OnnxEncoder.embed", only_probes)
    monkeypatch.setattr("scorer.export.export_encoder", embedded_again)
    assert train.run(Project(home))["content_hash"] == before


def test_a_new_llm_joins_by_training_again(home: Path) -> None:
    """Once it has labels enough, the roster has it."""
    homes.write_params(home, encoder=str(home / "encoder"), min_labels=2)
    assert train.run(Project(home))["roster"] == [*world.ROSTER, homes.NEWCOMER]


@pytest.mark.slow
def test_one_of_several_encoders_is_chosen(home: Path) -> None:
    """By cross-validation on the training queries: one that tells kinds of queries apart stands in the place of one that does not."""
    blind = homes.write_encoder(home / "blind", weights=0.0)
    telling = str(home / "encoder")
    for named in ([str(blind), telling], [telling, str(blind)]):
        homes.write_params(home, encoder=named)
        report = train.run(Project(home))
        assert report["chosen"]["encoder"] == telling
        assert [trial["name"] for trial in report["chosen"]["encoders_tried"]] == named
        assert artifact.open(Project(home).scorer).manifest.encoder["name"] == telling


def by_row(home: Path, *llms: str) -> None:
    """As if the pool said of these LLMs that they join by their row."""
    path = home / "build" / "dataset" / "roster.json"
    changed = [replace(llm, trained="row" if llm.id in llms else "jointly") for llm in dataset.read_roster(path)]
    dataset.write_roster(path, tuple(changed))


def test_a_new_llm_joins_by_its_row_and_nobody_elses_score_changes(home: Path) -> None:
    """The head is trained as it would be without it: what a server computes for the others is the same to the last bit."""
    texts = world.world(40, seed=9).texts
    before = runtime.load(Project(home).scorer)
    homes.write_params(home, encoder=str(home / "encoder"), min_labels=2)
    by_row(home, homes.NEWCOMER)
    report = train.run(Project(home))
    after = runtime.load(Project(home).scorer)
    assert after.roster == (*before.roster, homes.NEWCOMER)
    counts = {llm: row["labels"] for llm, row in report["rows"].items()}
    assert counts == {homes.NEWCOMER: 3}  # of its five labels one is of a validation query, one out of domain
    assert np.array_equal(after.score(texts).scores_QL[:, :-1], before.score(texts).scores_QL)
    assert 0.5 < after.score(texts).scores_QL[:, -1].mean() < 1.0  # right each time it was asked


def test_beside_fewer_than_two_others_it_is_trained_whole(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row needs rows to lean on; that it was not fitted alone is said."""
    by_row(home, *world.ROSTER[1:])
    report = train.run(Project(home))
    assert report["roster"] == list(world.ROSTER)
    assert report["rows"] == {}
    assert f"Trained jointly, not by row: {', '.join(world.ROSTER[1:])}; fewer than 2 others" in capsys.readouterr().err


def test_no_llm_with_labels_enough_is_an_error(home: Path) -> None:
    """Nothing is trained on nothing, and the old artifact stays."""
    homes.write_params(home, encoder=str(home / "encoder"), min_labels=10_000)
    with pytest.raises(TrainingError, match="no LLM has 10000 training labels"):
        train.run(Project(home))
    artifact.verify(Project(home).scorer)


@pytest.mark.parametrize(
    ("spoil", "error", "reason"),
    [
        (lambda home: (home / "params.yaml").write_text("train: {}"), ParamsRefused, "params.yaml"),
        (lambda home: (home / "build" / "dataset" / "labels.parquet").write_bytes(b"x"), TableRefused, "labels.parquet"),
        (lambda home: homes.write_params(home, encoder=str(home / "nowhere")), EncoderUnknown, "nowhere"),
    ],
)
def test_bad_input_is_said_in_a_sentence(home: Path, spoil, error: type[Exception], reason: str) -> None:
    """Params, dataset and encoder each name what is wrong; the old artifact stays."""
    spoil(home)
    with pytest.raises(error, match=reason):
        train.run(Project(home))
    artifact.verify(Project(home).scorer)


@pytest.mark.slow
def test_the_packaged_encoder_agrees_with_its_runtime(tmp_path: Path) -> None:
    """MiniLM, the default: what is served in fp32 is what was trained on, to 1e-4; int8 nearly always chooses alike."""
    homes.write_dataset(tmp_path / "build" / "dataset", queries=120)
    homes.write_params(tmp_path, encoder="packaged:all-MiniLM-L6-v2", min_labels=5)
    train.run(Project(tmp_path))
    texts = world.world(20, seed=9).texts
    full, served = (runtime.load(Project(tmp_path).scorer, precision=precision).score(texts) for precision in ("fp32", "int8"))
    encoder = embeddings.load_encoder(train.params.load(Project(tmp_path).params).train)
    np.testing.assert_allclose(full.queries_QD, encoder.embed(texts)[:, : encoder.dims], atol=1e-4)
    assert (full.scores_QL.argmax(axis=1) == served.scores_QL.argmax(axis=1)).mean() >= 0.9


def test_the_artifact_says_how_the_pools_answers_are_weighed(home: Path) -> None:
    """The constants are fitted to this pool's held-out answers, and a server reads them."""
    train.run(Project(home))
    weighed = AgreementPosterior(**runtime.load(home / "build" / "scorer").answers)
    assert weighed != AgreementPosterior()
    assert (
        weighed.scores({"a": Observation(0.5, "42"), "b": Observation(0.5, "42")})["a"] > weighed.scores({"a": Observation(0.5, "42")})["a"]
    )


def test_answers_of_llms_that_cannot_be_called_weigh_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mixture never hears them, nor counts their priors; where no two can be called, all count."""
    homes.write_dataset(tmp_path / "build" / "dataset", newcomer=False)
    held = dataset.load(tmp_path / "build" / "dataset").take("calibration", "validation")
    scores_L = np.linspace(0.2, 0.8, len(held.roster), dtype=np.float32)
    told: list[tuple[set[str], float]] = []

    def fit(episodes: list[Episode]) -> AgreementPosterior:
        observations = [one for episode in episodes for one in episode.observations.items()]
        told.append(({llm for llm, _ in observations}, observations[0][1].easiness))
        return AgreementPosterior()

    monkeypatch.setattr(train.fit_posterior, "fit", fit)
    for served in (held.roster[:2], held.roster[:1]):
        llms = tuple(replace(llm, served=llm.id in served) for llm in held.llms)
        train.answer_posterior(Project(tmp_path).dataset, replace(held, llms=llms), np.tile(scores_L, (len(held.labels_QL), 1)))
    assert [llms for llms, _ in told] == [set(held.roster[:2]), set(held.roster)]
    assert [ease for _, ease in told] == pytest.approx([query_easiness(map(float, scores_L[:2])), query_easiness(map(float, scores_L))])
