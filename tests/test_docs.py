"""The docs: what they say of the commands is what the commands are; the site builds, its links lead somewhere, and it
asks nothing of the network."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urldefrag

import click
import pytest

import toolkit
from docs.commands import PAGE, page
from unfreeze.cli import cli

ROOT = Path(__file__).parents[1]
PACKAGES = Path(toolkit.__file__).parents[1]  # the checkout, or where the wheel is installed
PAGES = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").rglob("*.md") if path != PAGE)]
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
TYPED = re.compile(r"^ *(?:\$ |- run: |run: )?(unfreeze .+)$", re.MULTILINE)
INLINE = re.compile(r"`(unfreeze [^`\n]+)`")
ANYWHERE = {"--debug", "--quiet", "-q"}  # may also stand behind the command
DORMANT = {  # hosts that the theme's script knows, and what would have to be on a page for it to ask them
    "unpkg.com": 'class="mermaid"',
    "api.github.com": 'data-md-component="source"',
}
OURS = {"toolkit", "tuning", "export", "unfreeze"}
NAMESPACE = "www.w3.org"


def typed() -> Iterator[tuple[str, str]]:
    """Where, and each command line in a code block, joined where it is continued."""
    for path in PAGES:
        for _, language, block in FENCE.findall(path.read_text(encoding="utf-8")):
            if language != "text":
                for line in TYPED.findall(block.replace("\\\n", " ")):
                    yield str(path.relative_to(ROOT)), line


def words(line: str) -> list[str]:
    """The words of the first command in a line of shell, without its comment."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    found = []
    for word in lexer:
        if set(word) <= set("();<>|&"):
            break
        found.append(word)
    return found


def parse(line: str) -> None:
    """click parses the line, and nothing runs; UsageError where it would not."""
    arguments = [word for word in words(line)[1:] if word not in ANYWHERE]
    with suppress(click.exceptions.Exit):  # --help
        context = cli.make_context("unfreeze", arguments)
        name, command, rest = cli.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        command.make_context(name, rest, parent=context)


def test_the_page_of_commands_is_what_the_help_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(cli), "run: python docs/commands.py"


def test_every_option_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name, command in cli.commands.items():
        section = text.partition(f"## unfreeze {name}\n")[2].partition("\n## ")[0]
        for parameter in command.params:
            assert all(f"`{option}`" in section for option in parameter.opts if option.startswith("-")), (
                name,
                parameter,
            )


@pytest.mark.parametrize(("where", "line"), [pytest.param(*at, id=f"{at[0]}: {at[1][:60]}") for at in typed()])
def test_a_command_line_parses(where: str, line: str) -> None:
    parse(line)


@pytest.mark.parametrize(
    "line", ["unfreeze bake", "unfreeze scan", "unfreeze scan a --deep", "unfreeze tune a b --seed x"]
)
def test_a_wrong_command_line_does_not(line: str) -> None:
    with pytest.raises(click.UsageError):
        parse(line)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_in_running_text_exist(path: Path) -> None:
    """Shortened as they may be, the command and its options are real."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    for line in INLINE.findall(text):
        name = line.split()[1]
        if name.startswith("-") or name.isupper():
            continue
        known = {option for p in cli.commands[name].params for option in (*p.opts, *p.secondary_opts)} | {"--help"}
        assert set(re.findall(r"(?<!\S)--?[a-z][\w-]*", line)) <= known | ANYWHERE, line


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_python_in_the_docs_is_python_and_imports_what_there_is(path: Path) -> None:
    for _, language, block in FENCE.findall(path.read_text(encoding="utf-8")):
        if language != "python":
            continue
        assert unknown_names(ast.parse(block)) == []


CODE = sorted(path for folder in ("benchmarks", "scripts", "examples", "docs") for path in (ROOT / folder).glob("*.py"))
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


@pytest.mark.parametrize("path", [*CODE, *NOTEBOOKS], ids=lambda path: path.name)
def test_scripts_and_notebooks_import_what_there_is(path: Path) -> None:
    """They run for minutes or by hand only, so that nothing else shows a name that was renamed."""
    text = path.read_text(encoding="utf-8")
    if path in NOTEBOOKS:
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        lines = "".join("".join(cell["source"]) + "\n" for cell in cells).splitlines()
        text = "\n".join("pass" if line.startswith(("%", "!")) else line for line in lines)
    assert unknown_names(ast.parse(text)) == []


def unknown_names(tree: ast.AST) -> list[str]:
    """The names that a tree imports from our packages, or reads from `unfreeze`, and that are not there."""
    wrong = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (module := node.module or "").split(".")[0] in OURS:
            wrong += [f"{module}.{one.name}" for one in node.names if one.name not in defined(module)]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "unfreeze":
            wrong += [] if node.attr in defined("unfreeze") else [f"unfreeze.{node.attr}"]
    return wrong


def defined(module: str) -> set[str]:
    """The names at the top of one of our modules, and the modules in a package; nothing is imported for it."""
    path = PACKAGES / Path(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not path.is_file():
        return set()
    names = {other.stem for other in path.parent.iterdir()} if path.stem == "__init__" else set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            names |= {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
    return names


class _Page(HTMLParser):
    """The ids on a page, where it leads, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value is not None}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and values.get("rel") not in ("next", "prev", "canonical"):
            self.loads.append(values.get("href", ""))
        else:
            self.loads += [values[name] for name in ("src", "srcset", "poster", "data") if name in values]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with warnings as errors."""
    if find_spec("mkdocs") is None or find_spec("material") is None:
        pytest.skip("mkdocs-material is not installed: pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    # Not --quiet, which hides the warnings from --strict, too.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder


@pytest.fixture(scope="module")
def built(site: Path) -> dict[Path, _Page]:
    return {path: _Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


def test_every_page_is_built(site: Path, built: dict[Path, _Page]) -> None:
    sources = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert {site / source for source in sources} <= set(built)


def test_a_drawing_is_part_of_its_page(site: Path) -> None:
    text = (site / "how-it-works.html").read_text(encoding="utf-8")
    assert re.search(r'<figure class="drawing">\s*<svg.*</svg>', text, re.DOTALL)  # else it would not have its colours


def test_links_inside_the_site_lead_somewhere(built: dict[Path, _Page]) -> None:
    for path, html in built.items():
        if path.name == "404.html":
            continue
        for link in html.links:
            target, anchor = urldefrag(link)
            if re.match(r"[a-z]+:", target) or link == "javascript:void(0)":
                continue
            other = (path.parent / unquote(target)).resolve() if target else path.resolve()
            other = other / "index.html" if other.is_dir() else other
            assert other.is_file(), f"{path.name}: {link}"
            assert not anchor or unquote(anchor) in built[other].ids, f"{path.name}: {link}"


def test_the_site_asks_nothing_of_the_network(site: Path, built: dict[Path, _Page]) -> None:
    for path, html in built.items():
        assert not [address for address in html.loads if re.match(r"(https?:)?//", address)], path.name
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(url\(|@import\s*)['\"]?\s*(https?:)?//", text), path.name
    for path in site.rglob("bundle*.js"):
        hosts = set(re.findall(r"[\"'`]https?://([\w.-]+)", path.read_text(encoding="utf-8")))
        assert hosts <= {*DORMANT, NAMESPACE}, path.name
    for path in built:
        text = path.read_text(encoding="utf-8")
        assert not [mark for mark in DORMANT.values() if mark in text], path.name


def test_what_holds_a_promise_is_there() -> None:
    """docs/reliability.md names a test or a script for each promise."""
    text = (ROOT / "docs" / "reliability.md").read_text()
    named = set(re.findall(r"`(test_\w+\.py)(?:::(\w+))?|`(benchmarks/\w+\.py)", text))
    assert len(named) > 20
    for file, function, script in named:
        path = ROOT / (script or f"tests/{file}")
        assert f"def {function}" in path.read_text()


def test_every_promise_has_a_figure_or_a_test() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text()
    rows = re.findall(r"^\| (?!promise|---)(.*?) \| (.*?) ?\|(.*)\|$", text, re.MULTILINE)
    assert len(rows) > 40
    assert [promise for promise, held, figure in rows if not held.strip() and not figure.strip()] == []
    assert not re.search(r"\| [A-Z]{4,} \|", text)
