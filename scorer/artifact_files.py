"""Reads each file of an artifact and refuses what does not belong in it: finite numbers of fitting shapes, plain text, no code."""

import mmap
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scorer import manifest as files
from scorer import text_features
from scorer.errors import ArtifactRefused
from scorer.manifest import NEXT, Manifest
from scorer.strict_json import parse, typed
from scorer.types import Floats
from scorer.weights import Calibration, HeadWeights, Trust

SLUG = re.compile(r"[a-z0-9][a-z0-9-]*")
SHAPES = {
    "groups_GD": "GD",
    "bias_G": "G",  # versions trained before tags made groups lack it: their groups have none
    "prior_GL": "GL",
    "softness": "1",
    "centre_D": "D",
    "projection_DK": "DK",
    "llms_LK": "LK",
    "temperature_L": "L",
}
TRUST = {"landmarks_MD": "MD", "trust": "2", "spread_L": "L"}  # all or none
EARLIER = {"landmarks_MD": "MD", "edge": "1"}  # before there was trust: nothing was believed beyond an edge, everything before it
STEP = 1e6  # a share so steep that it is that edge
PROFILE = {
    "queries_RD": "RD",
    "scores_RL": "RL",
    "domains_R": "R",
    "held_queries_HD": "HD",
    "held_scores_HL": "HL",
    "held_domains_H": "H",
}
# How every binary pickle since protocol 2 starts; a safetensors file may too: the length of its header, 8 bytes, and then a brace.
PICKLE = re.compile(rb"\A\x80[\x02-\x05](?!..\0{4}\{)", re.DOTALL)
EXTERNAL_DATA = b"\x0a\x08location"  # an ONNX tensor kept in another file: key "location" of its external_data


def refuse_pickles(folder: Path, manifest: Manifest) -> None:
    """Raises ArtifactRefused where any file starts as a pickle does."""
    for name in manifest.files:
        with (folder / name).open("rb") as file:
            if PICKLE.match(file.read(9)):
                raise ArtifactRefused(f"{folder / name}: is a pickle.", next_step=NEXT)


def check_graphs(folder: Path) -> None:
    """Raises ArtifactRefused where an ONNX graph keeps weights in another file, or the tokenizer is not JSON."""
    parse(folder / files.TOKENIZER)
    for name in files.ENCODERS.values():
        with (folder / name).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as graph:
            external = graph.find(EXTERNAL_DATA) >= 0  # mapped: a worker that serves int8 never holds the fp32 graph
        if external:
            raise ArtifactRefused(f"{folder / name}: keeps weights in another file.", next_step=NEXT)


def read_roster(folder: Path, manifest: Manifest) -> tuple[str, ...]:
    """LLM ids in column order; the manifest must name the same."""
    path = folder / files.ROSTER
    llms = typed(path, parse(path), "llms", list)
    if not llms or not all(isinstance(llm, str) and SLUG.fullmatch(llm) for llm in llms) or len(set(llms)) != len(llms):
        raise ArtifactRefused(f"{path}: llms must be one or more distinct ids of a-z, 0-9 and -, found {llms!r}.", next_step=NEXT)
    if tuple(llms) != manifest.roster:
        raise ArtifactRefused(f"{path}: another roster than in {files.MANIFEST}.", next_step=NEXT)
    return tuple(llms)


def read_weights(folder: Path, manifest: Manifest) -> HeadWeights:
    """scorer.safetensors, its shapes fitting encoder and roster."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = folder / files.WEIGHTS
    try:
        arrays = load(files.read_checked(folder, manifest, files.WEIGHTS))
    except (SafetensorError, ValueError, KeyError, TypeError) as exc:
        raise ArtifactRefused(f"{path}: not a safetensors file ({exc}).", next_step=NEXT) from exc
    sizes = {"D": manifest.dims + len(text_features.NAMES) * manifest.text_features, "L": len(manifest.roster), "1": 1, "2": 2}
    if "groups_GD" in arrays:
        arrays.setdefault("bias_G", np.zeros(len(arrays["groups_GD"]), dtype=np.float32))
    beside = EARLIER if "edge" in arrays else TRUST if set(TRUST) & set(arrays) else {}
    _check_arrays(path, arrays, {**SHAPES, **beside}, sizes)
    if any(array.dtype != np.float32 for array in arrays.values()):
        raise ArtifactRefused(f"{path}: a weight is not float32.", next_step=NEXT)
    if not (arrays["temperature_L"] > 0).all() or not arrays["softness"][0] > 0:
        raise ArtifactRefused(f"{path}: a temperature is not positive.", next_step=NEXT)
    trust = _trust(path, {name: arrays.pop(name) for name in beside}, len(manifest.roster))
    softness = float(arrays.pop("softness")[0])
    return HeadWeights(roster=manifest.roster, softness=softness, trust=trust, **arrays)


def _trust(path: Path, arrays: dict[str, Floats], llms: int) -> Trust | None:
    """What the arrays of TRUST say, or of EARLIER; None where there are none."""
    if not arrays:
        return None
    landmarks_MD = arrays["landmarks_MD"]
    if not len(landmarks_MD):
        raise ArtifactRefused(f"{path}: a trust without landmarks.", next_step=NEXT)
    if "edge" in arrays:
        return Trust(landmarks_MD, -STEP * float(arrays["edge"][0]), STEP, np.zeros(llms, dtype=np.float32))
    offset, slope = map(float, arrays["trust"])
    if slope < 0 or (arrays["spread_L"] < 0).any():
        raise ArtifactRefused(f"{path}: a trust that falls with nearness, or a negative spread.", next_step=NEXT)
    return Trust(landmarks_MD, offset, slope, arrays["spread_L"])


def read_calibration(folder: Path, manifest: Manifest) -> Calibration:
    """calibration.json: slope and intercept per LLM of the roster; slopes must not turn the order around."""
    path = folder / files.CALIBRATION
    llms = typed(path, parse(path), "llms", dict)
    if set(llms) != set(manifest.roster):
        raise ArtifactRefused(f"{path}: other LLMs than in {files.ROSTER}.", next_step=NEXT)
    fitted = [typed(path, llms, llm, dict) for llm in manifest.roster]
    if not all(set(row) == {"slope", "intercept"} and all(type(value) in (int, float) for value in row.values()) for row in fitted):
        raise ArtifactRefused(f"{path}: each LLM needs the numbers slope and intercept.", next_step=NEXT)
    slope_L = np.array([row["slope"] for row in fitted], dtype=np.float64)
    intercept_L = np.array([row["intercept"] for row in fitted], dtype=np.float64)
    if not (np.isfinite(slope_L).all() and np.isfinite(intercept_L).all() and (slope_L >= 0).all()):
        raise ArtifactRefused(f"{path}: a slope is negative or a number not finite.", next_step=NEXT)
    return Calibration(slope_L, intercept_L)


def read_answers(folder: Path) -> dict[str, float]:
    """calibration.json: how the pool's answers are weighed, constants by name; none in an artifact that was written without them."""
    path = folder / files.CALIBRATION
    constants = parse(path).get("answers", {})
    if not isinstance(constants, dict) or not all(type(value) in (int, float) and np.isfinite(value) for value in constants.values()):
        raise ArtifactRefused(f"{path}: answers must be finite numbers by name, found {constants!r}.", next_step=NEXT)
    return {name: float(value) for name, value in constants.items()}


@dataclass(frozen=True, slots=True)
class Probes:
    """Texts that show whether an encoder's arithmetic is right on this machine, and their fp32 scores, scores_PL."""

    texts: tuple[str, ...]
    scores_PL: Floats

    def as_json(self, roster: tuple[str, ...]) -> Mapping[str, Any]:
        """The content of probes.json; scores to four digits, which are the same on every processor."""
        rows = [
            {"text": text, "fp32": [round(score, 4) for score in row]}
            for text, row in zip(self.texts, self.scores_PL.tolist(), strict=True)
        ]
        return {"llms": list(roster), "probes": rows}


def read_probes(folder: Path, manifest: Manifest) -> Probes:
    """probes.json: at least one text, each with a score in [0, 1] per LLM of the roster."""
    path = folder / files.PROBES
    content = parse(path)
    rows = typed(path, content, "probes", list)
    if tuple(typed(path, content, "llms", list)) != manifest.roster:
        raise ArtifactRefused(f"{path}: other LLMs than in {files.ROSTER}.", next_step=NEXT)
    if not rows or not all(isinstance(row, dict) and type(row.get("text")) is str and _is_probe(row.get("fp32"), manifest) for row in rows):
        raise ArtifactRefused(f"{path}: each probe needs a text and {len(manifest.roster)} scores in [0, 1].", next_step=NEXT)
    return Probes(tuple(row["text"] for row in rows), np.array([row["fp32"] for row in rows], dtype=np.float32))


def _is_probe(scores: Any, manifest: Manifest) -> bool:
    if not isinstance(scores, list) or len(scores) != len(manifest.roster):
        return False
    return all(type(score) in (int, float) and 0 <= score <= 1 for score in scores)


def read_reference(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """reference.npz by the names documented in `scorer.artifact`, without pickle and without a bomb."""
    path = folder / files.REFERENCE
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > 4 * files.MOST_BYTES[files.REFERENCE]:
            raise ArtifactRefused(f"{path}: unpacks to {unpacked} bytes.", next_step=NEXT)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive_of_arrays:
            arrays = {name: archive_of_arrays[name] for name in archive_of_arrays.files}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError, MemoryError, NotImplementedError) as exc:
        raise ArtifactRefused(f"{path}: not plain numpy arrays ({exc}).", next_step=NEXT) from exc
    _check_arrays(path, arrays, PROFILE, {"D": manifest.dims, "L": len(manifest.roster)})
    return arrays


def _check_arrays(path: Path, arrays: dict[str, Floats], shapes: dict[str, str], sizes: dict[str, int]) -> None:
    """The named arrays and no other, axes of one letter equally long, every number finite."""
    if set(arrays) != set(shapes):
        raise ArtifactRefused(f"{path}: arrays {', '.join(sorted(set(arrays) ^ set(shapes)))} missing or unknown.", next_step=NEXT)
    for name, axes in shapes.items():
        array = arrays[name]
        if array.ndim != len(axes) or any(sizes.setdefault(axis, length) != length for axis, length in zip(axes, array.shape, strict=True)):
            raise ArtifactRefused(f"{path}: {name} has shape {array.shape}, which does not fit {axes} with {sizes}.", next_step=NEXT)
        if array.dtype.kind not in "fiU" or (array.dtype.kind == "f" and not np.isfinite(array).all()):
            raise ArtifactRefused(f"{path}: {name} holds something other than finite numbers or text.", next_step=NEXT)
