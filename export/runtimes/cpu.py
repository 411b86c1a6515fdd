"""Which of the processor's instruction sets matter to integer kernels."""

from __future__ import annotations

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")  # Linux
KNOWN = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")  # as Linux names them


def instruction_sets() -> tuple[str, ...]:
    """The sets in KNOWN that the processor has, in that order; () if the system does not tell.

    On x86 without VNNI, onnxruntime adds pairs of 8-bit products in 16 bits (`vpmaddubsw`), where they may saturate. So
    an int8 file may give other answers there.
    """
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    told = (line.partition(":") for line in lines)
    flags = {flag for name, _, value in told if name.strip() in ("flags", "Features") for flag in value.split()}
    return tuple(name for name in KNOWN if name in flags)
