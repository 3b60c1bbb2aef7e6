"""An artifact is refused for every way it can be wrong, before anything in it is used."""

import io
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from scorer import artifact, runtime
from scorer import manifest as files
from scorer.errors import ArtifactRefused
from scorer.recorded_calls import RecordedCalls
from tests.scorer.tiny import tiny_artifact

Break = Callable[[Path], object]


def resign(folder: Path) -> None:
    """Puts the true hashes of changed files into the manifest: the break must be found by what the file holds."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = {name: files.sha256(folder / name) for name in manifest["files"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def manifest(change: Callable[[dict], object]) -> Break:
    """Changes the manifest's content."""

    def broken(folder: Path) -> None:
        content = json.loads((folder / "manifest.json").read_text())
        change(content)
        (folder / "manifest.json").write_text(json.dumps(content))

    return broken


def written(name: str, content: bytes) -> Break:
    """Replaces a file by a signed other one."""

    def broken(folder: Path) -> None:
        (folder / name).write_bytes(content)
        resign(folder)

    return broken


def edited(name: str, change: Callable[[dict], object]) -> Break:
    """Changes a JSON file and signs it."""

    def broken(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        change(content)
        (folder / name).write_text(json.dumps(content))
        resign(folder)

    return broken


def weights(change: Callable[[dict], object]) -> Break:
    """Changes the weights and signs them."""

    def broken(folder: Path) -> None:
        arrays = load_file(folder / "scorer.safetensors")
        change(arrays)
        save_file(arrays, folder / "scorer.safetensors")
        resign(folder)

    return broken


def reference(change: Callable[[dict], object]) -> Break:
    """Changes the drift profile and signs it."""

    def broken(folder: Path) -> None:
        with np.load(folder / "reference.npz") as stored:
            arrays = dict(stored)
        change(arrays)
        np.savez(folder / "reference.npz", **arrays)
        resign(folder)

    return broken


CALLS = {"answers": 3, "input_tokens": 40.0, "output_tokens": 2.0, "latency_s": 0.3}


class Evil:
    """Runs a command when unpickled."""

    def __reduce__(self):
        return (os.system, ("touch executed",))


def objects(arrays: dict) -> None:
    arrays["domains_R"] = np.array([Evil()] * len(arrays["domains_R"]), dtype=object)


def bomb() -> bytes:
    """A zip of 600 MB of zeros in a few hundred kilobytes."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("queries_RD.npy", "w", force_zip64=True) as member:
        for _ in range(600):
            member.write(b"\0" * (1 << 20))
    return held.getvalue()


def linked(folder: Path) -> None:
    shutil.move(folder / "roster.json", folder.parent / "elsewhere.json")
    (folder / "roster.json").symlink_to(folder.parent / "elsewhere.json")


def sparse(folder: Path) -> None:
    with (folder / "scorer.safetensors").open("r+b") as file:
        file.truncate(files.MOST_BYTES["scorer.safetensors"] + 1)


BROKEN: dict[str, tuple[Break, str]] = {
    "no manifest": (lambda f: (f / "manifest.json").unlink(), "manifest.json missing"),
    "a file missing": (lambda f: (f / "encoder.onnx").unlink(), "encoder.onnx missing"),
    "an extra file": (lambda f: (f / "notes.txt").write_text("hello"), "notes.txt: does not belong"),
    "an extra pickle": (lambda f: (f / "model.pkl").write_bytes(pickle.dumps(Evil())), "model.pkl: does not belong"),
    "a folder inside": (lambda f: (f / "more").mkdir(), "more: does not belong"),
    "a link to a file": (linked, "roster.json: not a regular file"),
    "a named pipe": (lambda f: ((f / "roster.json").unlink(), os.mkfifo(f / "roster.json")), "not a regular file"),
    "an empty file": (lambda f: (f / "tokenizer.json").write_bytes(b""), "0 bytes"),
    "a file too large": (sparse, "bytes, allowed are"),
    "a changed byte": (lambda f: (f / "encoder.int8.onnx").write_bytes(b"x" + (f / "encoder.int8.onnx").read_bytes()[1:]), "sha256"),
    "another hash": (manifest(lambda m: m["files"].update({"roster.json": "0" * 64})), "sha256 is not the one"),
    "a hash that is none": (manifest(lambda m: m["files"].update({"roster.json": 3})), "not 64 hexadecimal digits"),
    "a path upwards": (manifest(lambda m: m["files"].update({"../secret": "0" * 64})), r"\.\./secret"),
    "an absolute path": (manifest(lambda m: m["files"].update({"/etc/passwd": "0" * 64})), "/etc/passwd"),
    "a file unnamed": (manifest(lambda m: m["files"].pop("roster.json")), "names other files"),
    "a later schema": (manifest(lambda m: m.update(schema_version=99)), "schema_version 99, this code reads 3"),
    "a schema that is true": (manifest(lambda m: m.update(schema_version=True)), "schema_version True, this code reads 3"),
    "an unknown field": (manifest(lambda m: m.update(run="x")), "run missing or unknown"),
    "a field of another type": (manifest(lambda m: m.update(dataset_sha256=3)), "dataset_sha256 is 3, not a str"),
    "no tokens": (manifest(lambda m: m["encoder"].update(max_tokens=0)), "out of range"),
    "tokens that are true": (manifest(lambda m: m["encoder"].update(max_tokens=True)), "max_tokens is True"),
    "a metric in words": (manifest(lambda m: m["metrics"].update(loss="low")), "metric is not a number"),
    "a manifest that is a list": (lambda f: (f / "manifest.json").write_text("[]"), "not an object"),
    "a manifest that is not JSON": (lambda f: (f / "manifest.json").write_text("{"), "not JSON"),
    "NaN in the manifest": (lambda f: (f / "manifest.json").write_text('{"schema_version": NaN}'), "not a finite number"),
    "a key twice": (lambda f: (f / "manifest.json").write_text('{"roster": [], "roster": []}'), "written twice"),
    "nesting without end": (lambda f: (f / "manifest.json").write_text('{"a":' * 100_000), "not JSON"),
    "another roster": (edited("roster.json", lambda r: r.update(llms=["a", "c", "b"])), "another roster"),
    "an id with a path": (edited("roster.json", lambda r: r.update(llms=["../a", "b", "c"])), "distinct ids"),
    "an LLM twice": (edited("roster.json", lambda r: r.update(llms=["a", "a", "c"])), "distinct ids"),
    "an empty roster": (edited("roster.json", lambda r: r.update(llms=[])), "distinct ids"),
    "calibration of others": (edited("calibration.json", lambda c: c["llms"].pop("a")), "other LLMs"),
    "a slope that reverses": (edited("calibration.json", lambda c: c["llms"]["a"].update(slope=-1.0)), "slope is negative"),
    "answers in words": (
        edited("calibration.json", lambda c: c.update(answers={"base": "1"})),
        "answers must be finite numbers",
    ),
    "a slope in words": (edited("calibration.json", lambda c: c["llms"]["a"].update(slope="1")), "needs the numbers"),
    "an endless intercept": (
        lambda f: (
            (f / "calibration.json").write_text((f / "calibration.json").read_text().replace("0.0", "1e999", 1)),
            resign(f),
        ),
        "not finite",
    ),
    "weights that are NaN": (weights(lambda w: w["llms_LK"].fill(np.nan)), "llms_LK holds something other than finite"),
    "weights of another shape": (weights(lambda w: w.update(llms_LK=np.ones((2, 8), np.float32))), "llms_LK has shape"),
    "weights in double": (weights(lambda w: w.update(centre_D=np.ones(32))), "not float32"),
    "weights missing": (weights(lambda w: w.pop("prior_GL")), "prior_GL missing"),
    "weights too many": (weights(lambda w: w.update(more=np.ones(1, np.float32))), "more missing or unknown"),
    "no temperature": (weights(lambda w: w["temperature_L"].fill(0)), "temperature is not positive"),
    "weights that are no file": (written("scorer.safetensors", b"\xff" * 100), "not a safetensors file"),
    "weights that are a pickle": (written("scorer.safetensors", pickle.dumps(Evil())), "is a pickle"),
    "probes of other LLMs": (edited("probes.json", lambda p: p.update(llms=["a", "c", "b"])), "other LLMs"),
    "no probe": (edited("probes.json", lambda p: p.update(probes=[])), "each probe needs a text and 3 scores"),
    "a probe without a score": (edited("probes.json", lambda p: p["probes"][0]["fp32"].pop()), "each probe needs a text and 3 scores"),
    "a probe that is true": (edited("probes.json", lambda p: p["probes"][0].update(fp32=[True] * 3)), "each probe needs a text"),
    "a probe beyond 1": (edited("probes.json", lambda p: p["probes"][0].update(fp32=[0.1, 0.2, 1.3])), "each probe needs a text"),
    "recorded calls of a stranger": (
        edited("recorded_calls.json", lambda r: r["llms"].update(stranger=dict(CALLS))),
        "stranger not in roster.json",
    ),
    "recorded calls without a mean": (
        edited("recorded_calls.json", lambda r: r["llms"].update(a={"answers": 3})),
        "a needs answers, input_tokens, latency_s, output_tokens",
    ),
    "recorded calls of no answer": (
        edited("recorded_calls.json", lambda r: r["llms"].update(a={**CALLS, "answers": 0})),
        "of one or more answers",
    ),
    "recorded calls in words": (
        edited("recorded_calls.json", lambda r: r["llms"].update(a={**CALLS, "output_tokens": "two"})),
        "no finite number from 0 on",
    ),
    "recorded calls before they began": (
        edited("recorded_calls.json", lambda r: r["llms"].update(a={**CALLS, "latency_s": -1.0})),
        "no finite number from 0 on",
    ),
    "recorded calls gone": (lambda f: (f / "recorded_calls.json").unlink(), "recorded_calls.json: is missing"),
    "recorded calls unnamed": (
        manifest(lambda m: m["files"].pop("recorded_calls.json")),
        "recorded_calls.json: is not named in manifest.json",
    ),
    "any difference allowed": (manifest(lambda m: m["int8"].update(tolerance=1.5)), "int8.tolerance is 1.5"),
    "a tolerance in words": (manifest(lambda m: m["int8"].update(tolerance="much")), "int8: |tolerance is 'much'"),
    "nothing said of int8": (manifest(lambda m: m.pop("int8")), "int8 missing or unknown"),
    "a profile of objects": (reference(objects), "not plain numpy arrays"),
    "a profile of others": (reference(lambda r: r.update(scores_RL=np.ones((60, 9), np.float32))), "scores_RL has shape"),
    "a profile that is NaN": (reference(lambda r: r["held_scores_HL"].fill(np.nan)), "held_scores_HL holds"),
    "a profile without domains": (reference(lambda r: r.pop("domains_R")), "domains_R missing"),
    "a profile that is a pickle": (written("reference.npz", pickle.dumps(Evil())), "is a pickle"),
    "a profile that is a bomb": (written("reference.npz", bomb()), "unpacks to"),
    "a graph with weights elsewhere": (
        lambda f: ((f / "encoder.onnx").write_bytes((f / "encoder.onnx").read_bytes() + b"\x0a\x08location"), resign(f)),
        "keeps weights in another file",
    ),
    "a tokenizer that is not JSON": (written("tokenizer.json", b"nonsense"), "tokenizer.json: not JSON"),
}
UNLOADABLE: dict[str, Break] = {  # files that hold what they may, and are still no encoder
    "a graph that is none": written("encoder.int8.onnx", b"nonsense"),
    "a tokenizer that is none": written("tokenizer.json", b"{}"),
}


def test_a_sound_artifact_passes(sound: Path) -> None:
    """The manifest comes back, with what it names."""
    found = artifact.verify(sound)
    assert found.roster == ("a", "b", "c")
    assert set(found.files) == set(files.MOST_BYTES) - {files.MANIFEST}


def test_what_recorded_answers_took_travels_with_it(tmp_path: Path) -> None:
    """Means by LLM, to four digits; seconds that nobody measured stay unknown, and an LLM without answers is not listed."""
    recorded = {"a": RecordedCalls(400, 52.123456, 2.0, 0.31), "c": RecordedCalls(7, 10.0, 300.0)}
    folder = tiny_artifact(tmp_path / "scorer", recorded_calls=recorded)
    assert runtime.load(folder).recorded_calls == {"a": RecordedCalls(400, 52.12, 2.0, 0.31), "c": RecordedCalls(7, 10.0, 300.0)}


def test_an_artifact_from_before_recorded_calls_is_read(copied: Path) -> None:
    """It lacks the file and does not name it: what its LLMs' answers took is unknown."""
    (copied / "recorded_calls.json").unlink()
    manifest(lambda content: content["files"].pop("recorded_calls.json"))(copied)
    assert artifact.open(copied).recorded_calls == {}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_artifact_is_refused(name: str, copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused, with the reason; nothing in it is executed; the runtime refuses it too."""
    monkeypatch.chdir(copied.parent)
    breaks, reason = BROKEN[name]
    breaks(copied)
    with pytest.raises(ArtifactRefused, match=reason):
        artifact.verify(copied)
    with pytest.raises(ArtifactRefused, match=reason):
        runtime.load(copied)
    assert not (copied.parent / "executed").exists()


@pytest.mark.parametrize("name", UNLOADABLE)
def test_an_encoder_that_cannot_be_loaded_is_refused(name: str, copied: Path) -> None:
    """What onnxruntime and tokenizers raise comes out as ArtifactRefused."""
    UNLOADABLE[name](copied)
    with pytest.raises(ArtifactRefused, match="cannot be loaded"):
        runtime.load(copied)


def test_a_graph_of_other_dims_is_refused(copied: Path) -> None:
    """An encoder that embeds into other dims than its manifest says is found at load, not at a user's query."""
    content = json.loads((copied / "manifest.json").read_text())
    content["encoder"]["dims"] = 16
    (copied / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(ArtifactRefused, match="does not fit"):
        runtime.load(copied)


def test_no_folder_is_refused(sound: Path, tmp_path: Path) -> None:
    """Neither a missing folder, nor a file, nor a link to a sound one."""
    (tmp_path / "link").symlink_to(sound)
    (tmp_path / "file").write_text("x")
    for place in ("nowhere", "link", "file"):
        with pytest.raises(ArtifactRefused, match="not a folder"):
            artifact.verify(tmp_path / place)


def test_bytes_are_checked_again_when_read(copied: Path) -> None:
    """A file swapped between the check and its use is refused."""
    found = artifact.verify(copied)
    (copied / "tokenizer.json").write_text("{}")
    with pytest.raises(ArtifactRefused, match="changed after it was verified"):
        files.read_checked(copied, found, "tokenizer.json")


def test_equal_content_has_an_equal_hash(tiny: ModuleType, sound: Path, tmp_path: Path) -> None:
    """Made again from the same parts: the same hash; from others: another."""
    assert artifact.verify(tiny.tiny_artifact(tmp_path / "again")).content_hash == artifact.verify(sound).content_hash
    assert artifact.verify(tiny.tiny_artifact(tmp_path / "other", seed=1)).content_hash != artifact.verify(sound).content_hash


def test_writing_replaces_the_whole_folder(tiny: ModuleType, copied: Path) -> None:
    """What lay there before does not survive into the new artifact."""
    (copied / "stale.txt").write_text("old")
    tiny.tiny_artifact(copied, seed=1)
    assert artifact.verify(copied).dataset_sha256 == "tiny-1"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(files.MOST_BYTES)), where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_any_flipped_byte_is_refused_or_harmless(sound: Path, tmp_path: Path, name: str, where: float, flip: int) -> None:
    """A changed byte anywhere is refused; in the manifest it may only spoil what decides nothing (a metric, the commit)."""
    folder = tmp_path / "flipped"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(sound, folder)
    content = bytearray((folder / name).read_bytes())
    content[int(where * len(content))] ^= flip
    (folder / name).write_bytes(content)
    try:
        found = artifact.verify(folder)
    except ArtifactRefused:
        return
    assert name == files.MANIFEST
    assert found.files == artifact.verify(sound).files
    assert found.roster == artifact.verify(sound).roster
