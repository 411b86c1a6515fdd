"""The licences of all that `pip install unfreeze` brings, as docs/licences.md; what may not go unexplained.

    python scripts/licences.py             writes docs/licences.md anew, from what is installed here
    python scripts/licences.py --pins      prints NAME==VERSION for each, as pip and pip-audit read it

Read from each package's own metadata (importlib.metadata): `License-Expression` (PEP 639), else the classifiers,
else the field `License`. Extras (docs, formats, hub, mlflow, dev) are left out.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PAGE = Path(__file__).parents[1] / "docs" / "licences.md"
UNKNOWN = "unknown"
STRONG = re.compile(r"\b(A?GPL|GNU (Affero )?General Public)", re.IGNORECASE)  # not the LGPL
WEAK = re.compile(r"\b(LGPL|MPL|EPL|Lesser General|Mozilla)", re.IGNORECASE)
REASONS = {  # of each package whose licence is unknown or copyleft: why it may be here
    "certifi": "a list of certificates, used as it comes; copyleft by file, for changes to it alone",
    "namex": "Apache-2.0 by the LICENSE file that it brings; its metadata name none",
    "tqdm": "used as it comes; copyleft by file, for changes to it alone",
}
HEAD = """# Licences

What `pip install unfreeze` installs: {direct} packages that it names itself and {others} that those need. Each
package's licence is what its own metadata say; extras (`docs`, `formats`, `hub`, `mlflow`, `dev`) are left out. Written
by `python scripts/licences.py`; versions are not part of the page, as they move within the bounds of `pyproject.toml`.
Unfreeze itself is under the MIT licence.

A wheel may carry libraries under licences of their own, which its metadata do not name: numpy, scipy and
opencv-python-headless bring libgfortran and libquadmath (GPL-3.0 with the GCC runtime exception, LGPL-2.1), and
opencv-python-headless brings FFmpeg (LGPL-2.1), linked dynamically. Who redistributes an environment, in a container
say, redistributes those too.

The extra `formats` brings decoders alone: pi-heif (BSD-3-Clause) with libheif and libde265 (LGPL-3.0), and imagecodecs
(BSD-3-Clause) with libjxl and others. The packages that people know for HEIC and JPEG XL in Pillow, pillow-heif with
x265 and pillow-jxl-plugin, bring the GPL.

The extra `hub` brings KerasHub, tensorflow-text, tokenizers, sentencepiece, kagglehub and huggingface-hub (Apache-2.0)
with what these need (Apache-2.0, BSD-3-Clause, MIT, CNRI-Python). The weights of a preset have a licence of their own.

| package | named by | licence |
|---|---|---|
"""


@dataclass(frozen=True)
class Package:
    """One installed package; `by`: the packages that ask for it, `unfreeze` first."""

    name: str
    version: str
    licence: str
    by: tuple[str, ...]


def doubtful(licence: str) -> bool:
    """Whether a licence needs a reason: nobody knows it, or it asks more than a notice of who passes the package on."""
    return licence == UNKNOWN or bool(STRONG.search(licence) or WEAK.search(licence))


def licence(package: Distribution) -> str:
    """The shortest sure word for a package's licence, or `unknown`."""
    metadata = package.metadata
    if expression := metadata.get("License-Expression"):
        return expression
    classifiers = metadata.get_all("Classifier") or []
    ends = [line.split("::")[-1].strip() for line in classifiers if line.startswith("License ::")]
    if named := sorted(set(ends) - {"OSI Approved"}):
        return ", ".join(named)
    lines = (metadata.get("License") or "").strip().splitlines()  # some put the whole text there
    return lines[0].strip() if lines and lines[0].strip().upper() != "UNKNOWN" else UNKNOWN


def needed(name: str, extras: frozenset[str] = frozenset()) -> list[Requirement]:
    """What a package asks for here, with these of its extras."""
    asked = [Requirement(line) for line in distribution(name).requires or []]
    return [one for one in asked if one.marker is None or any(one.marker.evaluate({"extra": e}) for e in ("", *extras))]


def installed(root: str = "unfreeze") -> list[Package]:
    """All that an installation of `root` without extras needs, itself left out, in the order of names."""
    by: dict[str, set[str]] = {}
    todo: list[tuple[str, frozenset[str]]] = [(root, frozenset())]
    seen = set()
    while todo:
        name, extras = todo.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        for one in needed(name, extras):
            other = canonicalize_name(one.name)
            by.setdefault(other, set()).add(name)
            todo.append((other, frozenset(one.extras)))
    by.pop(root, None)
    found = {name: distribution(name) for name in sorted(by)}
    return [
        Package(name, one.version, licence(one), tuple(sorted(by[name], key=lambda asks: (asks != root, asks))))
        for name, one in found.items()
    ]


def page(packages: list[Package], root: str = "unfreeze") -> str:
    direct = sum(root in package.by for package in packages)
    lines = []
    for package in packages:
        reason = f": {REASONS[package.name]}" if package.name in REASONS else ""
        lines.append(f"| {package.name} | {', '.join(package.by)} | {package.licence}{reason} |")
    return HEAD.format(direct=direct, others=len(packages) - direct) + "\n".join(lines) + "\n"


def main() -> None:
    packages = installed()
    if "--pins" in sys.argv[1:]:
        print("\n".join(f"{package.name}=={package.version}" for package in packages))
        return
    PAGE.write_text(page(packages), encoding="utf-8")
    for package in packages:
        if doubtful(package.licence) and package.name not in REASONS:
            sys.exit(f"error: {package.name} is under {package.licence!r}: say in REASONS why it may be here")


if __name__ == "__main__":
    main()
