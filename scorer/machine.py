"""Which machine a figure belongs to: int8 arithmetic depends on the processor's instructions, time on the processor."""

import platform
from dataclasses import dataclass
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
# The first that a processor has decides which int8 kernels ONNX Runtime uses (x86-64; flags as Linux names them).
INSTRUCTIONS = {"avx512_vnni": "AVX-512 VNNI", "avx_vnni": "AVX-VNNI", "avx512bw": "AVX-512", "avx2": "AVX2", "sse4_1": "SSE4.1"}


@dataclass(frozen=True, slots=True)
class Machine:
    """processor: its name; instructions: those that its int8 kernels use; onnxruntime: its version."""

    processor: str
    instructions: str
    onnxruntime: str

    def __str__(self) -> str:
        return f"{self.processor} ({self.instructions}, onnxruntime {self.onnxruntime})"


def this_machine() -> Machine:
    """The machine this process runs on."""
    from importlib.metadata import version

    flags = set(cpuinfo().get("flags", "").split())
    instructions = next((name for flag, name in INSTRUCTIONS.items() if flag in flags), platform.machine())
    return Machine(processor(), instructions, version("onnxruntime"))


def processor() -> str:
    """The processor's name where Linux gives it, else its architecture."""
    return cpuinfo().get("model name") or platform.processor() or platform.machine()


def cpuinfo() -> dict[str, str]:
    """What Linux says of the first core; empty on other systems."""
    if not CPUINFO.is_file():
        return {}
    first_core = CPUINFO.read_text(encoding="utf-8").split("\n\n", maxsplit=1)[0]
    pairs = (line.partition(":") for line in first_core.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
