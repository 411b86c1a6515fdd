from __future__ import annotations

from pathlib import Path

import pytest

from export.runtimes import cpu

X86 = "processor\t: 0\nflags\t\t: fpu sse2 avx2 fma avx512f avx512_vnni\nbugs\t\t: avx_vnni\n\nprocessor\t: 1\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd i8mm asimddp\n"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (X86, ("avx2", "avx512f", "avx512_vnni")),
        (ARM, ("asimddp", "i8mm")),
        ("processor\t: 0\nflags\t\t: fpu sse2\n", ()),
        ("\0\n::\n", ()),
        (None, ()),
    ],
)
def test_the_sets_that_matter(
    told: str | None, expected: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu, "CPUINFO", tmp_path / "cpuinfo")
    if told is not None:
        (tmp_path / "cpuinfo").write_text(told)
    assert cpu.instruction_sets() == expected
