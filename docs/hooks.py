"""What mkdocs does beside its own: pages that live outside docs/, and drawings that follow the theme's colours.

Pages link to `../benchmarks/RESULTS.md` as a reader of the repository would; on the site such a link leads to a page.
A picture that is an SVG goes into the page itself, so that its colours are the page's, light or dark.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {"benchmarks/RESULTS.md": "results.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
OUTSIDE = re.compile(rf"\]\((?:\.\./)+({'|'.join(map(re.escape, PAGES))})")
INSIDE = re.compile(r"\]\((?:\.\./)+docs/")
DRAWING = re.compile(r"^!\[[^]]*\]\(([^)]+\.svg)\)$", re.MULTILINE)


def on_files(files: Files, config: Any) -> Files:
    for source, target in PAGES.items():
        files.append(File.generated(config, target, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    folder = Path(page.file.src_uri).parent
    up = "../" * len(folder.parts)
    linked = INSIDE.sub(f"]({up}", OUTSIDE.sub(lambda found: f"]({up}{PAGES[found[1]]}", markdown))
    return DRAWING.sub(lambda found: _drawn(ROOT / "docs" / folder / found[1]), linked)


def _drawn(path: Path) -> str:
    return f'<figure class="drawing">\n{path.read_text(encoding="utf-8").strip()}\n</figure>'
