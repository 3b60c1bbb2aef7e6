"""The machine that a figure is attached to."""

from pathlib import Path

import pytest

from scorer import machine

ROME = "model name\t: AMD EPYC 7002\nflags\t\t: sse4_1 avx2 fma\n\nmodel name\t: another\nflags\t\t: avx512_vnni\n"


@pytest.mark.parametrize(
    ("flags", "instructions"),
    [
        ("sse4_1 avx2", "AVX2"),
        ("sse4_1 avx2 avx_vnni", "AVX-VNNI"),
        ("avx2 avx512bw", "AVX-512"),
        ("avx2 avx512bw avx512_vnni", "AVX-512 VNNI"),
    ],
)
def test_the_widest_int8_instructions_are_named(flags: str, instructions: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which kernels ONNX Runtime takes is decided by them."""
    (tmp_path / "cpuinfo").write_text(ROME.replace("sse4_1 avx2 fma", flags))
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    here = machine.this_machine()
    assert (here.processor, here.instructions) == ("AMD EPYC 7002", instructions)
    assert str(here) == f"AMD EPYC 7002 ({instructions}, onnxruntime {here.onnxruntime})"


def test_a_system_without_cpuinfo_has_a_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "nothing")
    here = machine.this_machine()
    assert here.processor
    assert here.instructions
