"""The page and the card: what is in them, whatever of a run is there, and whatever its classes and files are called."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from markdown_it import MarkdownIt
from markupsafe import Markup
from PIL import Image

import unfreeze
from export.proof.parity import Parity, read_parities, write_parities
from export.settings import ExportSettings, VerifySettings
from toolkit.errors import UnfreezeError
from toolkit.models.spec import ModelSpec
from toolkit.run import Run, load_run, prepare
from toolkit.settings import Settings
from toolkit.stats.accuracy_lost import FAILS, HOLDS, UNDECIDED
from toolkit.stats.metrics import evaluate
from tuning.results import SearchResult, write_left_out
from unfreeze import cli
from unfreeze.pages.card import render_card
from unfreeze.pages.page import render_page
from unfreeze.pages.run_facts import read_run_facts
from unfreeze.pages.sentences import escape_controls, signed_points
from unfreeze.pages.sentences import test_images_words as images_words
from unfreeze.pages.write_report import write_report
from unfreeze.screen.tables import show_search

VOID = {"meta", "link", "img", "br", "input", "hr"}
HOSTILE = (  # what a folder, and so a class, may be called, and worse
    "\"><img src=x onerror=alert(1)>' onmouseover='alert(2)",
    "<script>alert(1)</script>\n\n# heading | `cell` [link](http://evil.example) ${1+1} \\(2) {{ 7*7 }} 😀 --- &lt;",
)


class Page(HTMLParser):
    """What a page is made of; fails where an element is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def structure(self) -> list[tuple[str, tuple[str, ...]]]:
        """Elements with the names of their attributes."""
        return [(tag, tuple(attributes)) for tag, attributes in self.elements]

    @property
    def headings(self) -> list[int]:
        return [int(tag[1]) for tag, _ in self.elements if re.fullmatch(r"h[1-6]", tag)]


@pytest.fixture
def copy(finished: Run, tmp_path: Path) -> Path:
    """A finished run that a test may change."""
    return Path(shutil.copytree(finished.path, tmp_path / "run"))


def report(path: Path) -> tuple[Page, str]:
    page, card = write_report(load_run(path))
    return Page(page.read_text(encoding="utf-8")), card.read_text(encoding="utf-8")


def front_matter(card: str) -> dict[str, Any]:
    assert card.startswith("---\n")
    return yaml.safe_load(card.split("\n---\n")[0].removeprefix("---\n"))


def ids(page: Page) -> set[str]:
    return {attributes["id"] for _, attributes in page.elements if "id" in attributes}


SECTIONS = {"search", "curves", "test", "mistakes", "data", "files", "resize", "load", "again"}


@pytest.mark.parametrize("way", ["keep-together", "warn"])
def test_the_card_tells_near_duplicates_and_groups_in_two_parts(pictures: Path, tmp_path: Path, way: str) -> None:
    """With `warn` the draw itself may part near duplicates, so nobody gave them so."""
    run = prepare(pictures, tmp_path / "run", Settings(weights="none", near_duplicates=way))
    spec = ModelSpec("MobileNetV2", 1.0, 32, 2, 0, 0.2, 0)
    (run.path / "model.json").write_text(json.dumps({"spec": asdict(spec)}))
    digest = dict(zip(run.images.parts, run.images.digests, strict=True))
    near = replace(run, images=replace(run.images, near=((digest["train"], digest["test"]),)))
    torn = replace(run, images=replace(run.images, groups=("farm",) * len(run.images)))
    kept, apart, group = (read_run_facts(one) for one in (run, near, torn))
    given = "some of which stand in another part, too, as they were given"
    drawn = "some of which have a near duplicate in another part, as --near-duplicates warn allows"
    assert images_words(kept) == "that took no part in training or choosing"
    assert images_words(group) == given
    assert images_words(apart) == (given if way == "keep-together" else drawn)
    assert "two parts" not in render_card(kept)
    assert "1 group of nearly the same images stands in two parts" in render_card(apart)
    assert "1 group of images that belong together stands in two parts" in render_card(group)


def test_a_finished_run_has_every_section(copy: Path) -> None:
    page, card = report(copy)
    metrics = json.loads((copy / "metrics.json").read_text())
    wrong = metrics["accuracy"] < 1
    assert ids(page) & SECTIONS == SECTIONS - {"resize"} - (set() if wrong else {"mistakes"})
    text = " ".join(page.text)
    assert f"{metrics['accuracy']:.2%}" in text
    for artefact in json.loads((copy / "export" / "manifest.json").read_text())["artefacts"]:
        assert artefact["name"] in text
        assert artefact["name"] in card
    assert json.loads((copy / "run.json").read_text())["fingerprint"] in text


def check_page(page: Page) -> None:
    """What holds for every page."""
    assert page.named("html")[0]["lang"] == "en"
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(below - above <= 1 for above, below in zip(page.headings, page.headings[1:], strict=False))
    policy = next(meta["content"] for meta in page.named("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert not {tag for tag, _ in page.elements} & {"script", "iframe", "object", "embed", "form", "base"}
    marks = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(marks) == len(set(marks))
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
                assert value.startswith(("#", "data:")), (tag, name, value[:80])
                if value.startswith("#") and len(value) > 1:
                    assert value[1:] in marks
            for target in re.findall(r"url\(\s*['\"]?([^)'\"]*)", value):
                assert target.startswith("#")
                assert target[1:] in marks
    for picture in page.named("img"):
        assert len(picture["alt"]) > 10
    for picture in page.named("svg"):
        assert picture["role"] == "img"
        assert len(picture["aria-label"]) > 20
    assert "@import" not in "".join(page.text)


def test_a_page_loads_nothing_and_can_be_read_by_all(copy: Path) -> None:
    page, _ = report(copy)
    check_page(page)
    assert len(page.named("svg")) >= 6
    assert (copy / "report.html").stat().st_size < 2_000_000


def test_the_check_of_pages_fails_for_bad_ones(copy: Path) -> None:
    write_report(load_run(copy))
    good = (copy / "report.html").read_text(encoding="utf-8")
    for bad in (
        '<img src="http://a.example/x.png" alt="a picture from elsewhere">',
        '<img src="data:," alt="">',
        '<p style="background: url(http://a.example/x.png)">a</p>',
        '<p onclick="a">a</p>',
        "<script>1</script>",
        "<h6>a</h6>",
        '<svg role="img"></svg>',
    ):
        with pytest.raises((AssertionError, KeyError)):
            check_page(Page(good.replace("</main>", bad + "</main>")))
    with pytest.raises(AssertionError):
        Page(good.replace("</main>", "<b></main>"))


@pytest.mark.parametrize(
    ("gone", "without"),
    [
        (("search",), set()),
        (("search", "trials.csv"), {"search"}),
        (("history.csv",), {"curves"}),
        (("parity.json",), set()),
        (("export", "parity.json"), {"files"}),
        (("export/manifest.json",), {"files"}),
        (("test_probabilities.npz",), set()),
        (("test_probabilities.npz", "export", "parity.json"), {"mistakes", "files"}),
        (("test_probabilities.npz", "metrics.json", "export", "parity.json"), {"test", "mistakes", "files"}),
        (("cache",), set()),
        (("model.keras",), set()),
        (("plots",), set()),
        (
            ("search", "trials.csv", "history.csv", "export", "parity.json", "metrics.json", "test_probabilities.npz"),
            {"search", "curves", "test", "mistakes", "files"},
        ),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else "",
)
def test_what_was_not_made_is_left_out(gone: tuple[str, ...], without: set[str], copy: Path) -> None:
    for name in gone:
        path = copy / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    page, card = report(copy)
    check_page(page)
    assert not ids(page) & without
    assert {"data", "load", "again"} <= ids(page)
    assert front_matter(card)["library_name"] == "keras"


def test_page_and_card_say_which_way_to_int8_was_taken(copy: Path) -> None:
    file = copy / "export" / "manifest.json"
    manifest = json.loads(file.read_text())
    (kept,) = (one["attempts"][0] for one in manifest["artefacts"] if one["name"] == "model_int8.onnx")
    first = "was made by min-max calibration, the first way that was tried."
    page, card = report(copy)
    assert [first in line for line in page.text].count(True) == 2
    assert f"`model_int8.onnx` {first}" in card
    for one in manifest["artefacts"]:
        if one["name"] == "model_int8.onnx":
            one["float_layers"] = ["a" * 100, "b" * 100]
            one["attempts"] = [
                kept | {"accepted": False, "step": f"min-max calibration, float: {', '.join(one['float_layers'])}"},
                kept | {"accepted": False, "kept": False, "step": "other"},
            ]
    file.write_text(json.dumps(manifest))
    page, card = report(copy)
    taken = (
        "was made by min-max calibration with 2 layers in float, one of 2 ways that were tried; none was accepted, and "
        "this is the fastest of those that lose least."
    )
    assert any(taken in line for line in page.text)
    assert f"`model_int8.onnx` {taken}" in card


def test_a_run_without_a_model_has_nothing_to_report(copy: Path) -> None:
    (copy / "model.json").unlink()
    with pytest.raises(UnfreezeError, match="no model yet"):
        write_report(load_run(copy))


@pytest.mark.parametrize("content", ["{}", '{"spec": {}}', '{"spec": {"backbone": 3}}', '{"a": 1}'])
def test_a_model_json_without_its_spec_is_damaged(content: str, copy: Path) -> None:
    (copy / "model.json").write_text(content)
    with pytest.raises(UnfreezeError, match=r"model\.json is damaged"):
        write_report(load_run(copy))


@pytest.mark.parametrize(
    "name", ["metrics.json", "parity.json", "model.json", "export/manifest.json", "test_probabilities.npz"]
)
def test_a_damaged_file_is_named(name: str, copy: Path) -> None:
    (copy / name).write_bytes(b"{")
    with pytest.raises(UnfreezeError, match=Path(name).name):
        write_report(load_run(copy))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("test_probabilities.npz", b"PK\x03\x04 and no more"),
        ("test_probabilities.npz", b""),
        ("trials.csv", b"trial,val_loss,val_accuracy,unfreeze\nx,0.1,0.5,1\n"),
        ("trials.csv", b"trial\n1\n"),
        ("history.csv", b"epoch,loss,accuracy,val_loss,val_accuracy,seconds\nx,1,1,1,1,1\n"),
        ("parity.json", b"{}"),
        ("parity.json", b"[1]"),
        ("model.json", b"[]"),
        ("metrics.json", b"[]"),
        ("export/manifest.json", b'{"artefacts": [{}]}'),
        ("export/manifest.json", b"[]"),
    ],
)
def test_a_file_of_another_form_is_named(name: str, content: bytes, copy: Path) -> None:
    (copy / name).write_bytes(content)
    with pytest.raises(UnfreezeError, match=Path(name).name):
        write_report(load_run(copy))


def test_a_block_of_code_in_the_card_cannot_be_ended() -> None:
    from unfreeze.pages.card import fenced

    text = "a\n`````\n<img>"
    first, *inside, last = fenced(text, "python").splitlines()
    assert (first, last) == ("``````python", "``````")
    assert "\n".join(inside) == text


def test_page_and_card_say_with_which_versions_a_run_went_on(copy: Path) -> None:
    page, card = report(copy)
    assert "Continued with" not in "".join(page.text) + card
    stored = json.loads((copy / "run.json").read_text())
    later = [{"keras": "3.98.7", "numpy": "2.98.6"}, {"keras": "3.99.1"}]
    (copy / "run.json").write_text(json.dumps(stored | {"later_versions": later}))
    page, card = report(copy)
    for text in ("".join(page.text), card):
        assert text.count("Continued with") == 2
        assert "keras 3.98.7, numpy 2.98.6" in text
        assert "keras 3.99.1" in text
    for damaged in ("x", [1, "x"]):
        (copy / "run.json").write_text(json.dumps(stored | {"later_versions": damaged}))
        assert "Continued with" not in report(copy)[1]


def test_files_of_an_earlier_model_are_not_recommended(copy: Path) -> None:
    with (copy / "model.keras").open("ab") as file:
        file.write(b"x")
    page, card = report(copy)
    assert "earlier model" in " ".join(page.text)
    assert "earlier model" in card
    assert not [attributes for _, attributes in page.elements if attributes.get("class") == "cards"]


def test_a_file_that_changed_since_its_verification_is_not_verified(copy: Path) -> None:
    path = copy / "export" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["artefacts"][1]["sha256"] = "0" * 64
    path.write_text(json.dumps(manifest))
    page, _ = report(copy)
    assert " ".join(page.text).count("not verified") >= 1


def change_parities(path: Path, change: Any) -> None:
    """Write what `change` makes of each verdict."""
    write_parities(path / "parity.json", [change(parity) for parity in read_parities(path / "parity.json")])


def test_each_file_stands_beside_the_margin_that_it_was_held_against(copy: Path) -> None:
    """A verdict that is kept from a verification with another margin is not shown under this one's."""

    def widened(one: Parity) -> Parity:
        return replace(one, margin=0.1, margin_chosen=True) if one.artefact.precision == "int8" else one

    change_parities(copy, widened)
    parities = read_parities(copy / "parity.json")
    assert {parity.margin for parity in parities} == {0.1, 0.02}  # the latter follows from so few images
    page, card = report(copy)
    text = " ".join(" ".join(page.text).split())
    assert "which has to be within the file's own margin" in text
    assert "within 2.00 points" not in text + card
    rows = re.findall(r"<tr><th scope=\"row\" class=\"file\">.*?</tr>", (copy / "report.html").read_text(), re.DOTALL)
    lines = [line for line in card.splitlines() if line.startswith("| `")]
    for parity in parities:
        (row,) = [row for row in rows if f">{parity.artefact.name}<" in row]
        (line,) = [line for line in lines if f"`{parity.artefact.name}`" in line]
        cells = [float(cell) for cell in re.findall(r'<td class="r">([\d.]+)</td>', row)]
        assert 100 * (parity.margin or 0) in cells
        assert f"| {100 * (parity.margin or 0):.2f} |" in line
    lines = [line for line in card.splitlines() if line.startswith("unfreeze verify")]
    typed = [shlex.split(line) for line in lines]
    assert typed[0] == ["unfreeze", "verify", "run"]  # all at first, then those of another margin
    assert {(line[4], line[6], line[8]) for line in typed[1:]} == {
        (one.artefact.format, "int8", "10") for one in parities if one.margin == 0.1
    }


def test_one_margin_for_all_is_said_once(copy: Path) -> None:
    change_parities(copy, lambda one: replace(one, margin=0.025))
    page, card = report(copy)
    assert "within 2.50 points" in " ".join(page.text)
    assert "within 2.50 points" in card
    assert ">Margin<" not in (copy / "report.html").read_text()


def test_the_bounds_of_several_files_are_not_said_to_hold_at_once(copy: Path) -> None:
    """Each bound has 95 % confidence; that all hold together has less."""
    change_parities(copy, lambda one: replace(one, verdict=HOLDS, reason="", lost_at_most=0.004))
    page, card = report(copy)
    for text in (" ".join(" ".join(page.text).split()), card):
        assert "each loses at most 0.40 points of accuracy, with 95% confidence for each file by itself" in text
        assert "none loses" not in text
    manifest = json.loads((copy / "export" / "manifest.json").read_text())
    manifest["artefacts"] = manifest["artefacts"][:1]
    (copy / "export" / "manifest.json").write_text(json.dumps(manifest))
    assert "it loses at most 0.40 points of accuracy, with 95% confidence." in report(copy)[1]


def test_files_that_too_few_images_decide_share_one_sentence(copy: Path) -> None:
    bounds = iter(range(100))
    change_parities(
        copy, lambda one: replace(one, verdict=UNDECIDED, reason="a reason", lost_at_most=0.05 + next(bounds) / 100)
    )
    names = [parity.artefact.name for parity in read_parities(copy / "parity.json")]
    page, card = report(copy)
    text = " ".join(" ".join(page.text).split())
    assert [one.get("class") for one in page.named("p")].count("warn unsure") == 1
    for told in (text, card.replace("\\", "")):
        (sentence,) = re.findall(r"Too few images to tell of .*?would tell[^.]*\.", told)
        assert all(name in sentence for name in names)
        assert "a reason" not in told


def test_page_and_card_say_which_images_count_and_what_of_the_smallest_class(copy: Path) -> None:
    page, card = report(copy)
    parts = {one.part: one.images for one in read_parities(copy / "parity.json")[0].evidence}
    for told in (" ".join(" ".join(page.text).split()), card.replace("\\", "")):
        assert f"Bounds: from {parts['test']} test and {parts['val']} validation images; int8 on " in told
        assert "Allowed: 2 points, which " in told
        assert told.count("Smallest class: ") == 1


def test_page_and_card_say_at_their_top_which_class_collapses(copy: Path) -> None:
    def collapsed(one: Parity) -> Parity:
        first, *others = one.classes
        lost = replace(first, lost_images=first.images, gained_images=0, lost_at_most=1.0, lost_at_least=0.7)
        return replace(one, verdict=FAILS, reason="a class collapses", classes=(lost, *others))

    assert read_parities(copy / "parity.json")[0].classes
    page, card = report(copy)
    assert " collapses: " not in " ".join(page.text) + card
    change_parities(copy, collapsed)
    page, card = report(copy)
    for told in (" ".join(" ".join(page.text).split()), card.replace("\\", "")):
        assert told.count(" collapses: ") == 2
        assert ", 70.0 points at least" in told


def test_page_and_card_say_what_was_left_out_for_lack_of_time(copy: Path) -> None:
    page, card = report(copy)
    assert "ime limit" not in " ".join(page.text) + card
    write_left_out(copy, "time limit 30m: 5 of 8 heads, 2 of 6 fine-tunings")
    page, card = report(copy)
    for told in (" ".join(" ".join(page.text).split()), card.replace("\\", "")):
        assert "Time limit 30m: 5 of 8 heads, 2 of 6 fine-tunings." in told


def test_a_model_no_better_than_chance_proves_nothing(copy: Path) -> None:
    change_parities(copy, lambda one: replace(one, verdict=HOLDS, reason=""))
    page, card = report(copy)
    assert "The exports are proven" in " ".join(page.text)
    assert "no more than by chance" not in " ".join(page.text) + card
    change_parities(copy, lambda one: replace(one, reference_at_chance=True, reference_accuracy=0.5))
    page, card = report(copy)
    assert "The exports are proven" not in " ".join(page.text)
    for told in (" ".join(page.text), card):
        assert told.count("The model itself is right on 50.0% of") == 1


@pytest.mark.parametrize(
    ("stage", "depth", "said"),
    [
        ("head", 2, "its backbone is as it came: its best epoch lies in the head stage"),
        ("tune", 2, "the last 2 stages of its backbone were fine-tuned"),
        ("refit", 1, "the last stage of its backbone was fine-tuned"),
        ("head", 0, "its backbone is as it came: no stage was unfrozen"),
        ("tune", 0, "its backbone is as it came: no stage was unfrozen"),
    ],
)
def test_console_page_and_card_say_the_same_of_the_backbone(
    stage: str, depth: int, said: str, finished: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = read_run_facts(finished)
    assert facts.spec is not None
    taken = facts.search["taken"]
    trials = tuple(
        replace(one, unfreeze=depth, best_stage=stage) if one.trial == taken else one for one in facts.trials
    )
    spec, kept = replace(facts.spec, unfreeze=depth), facts.best_epoch | {"stage": stage}
    facts = replace(facts, trials=trials, spec=spec, best_epoch=kept)
    page = " ".join("".join(Page(render_page(facts)).text).split())
    card = render_card(facts)
    show_search(SearchResult(taken, taken, (), taken, spec, trials, 0, kept))
    sentence = said[0].upper() + said[1:]
    for text in (page, card):
        assert sentence in text
        assert "unfrozen" not in text.replace(sentence, "")
    console = capsys.readouterr().out
    assert (said in console) == (stage == "head" and depth > 0)  # elsewhere the depth has said it


def renamed(path: Path, names: tuple[str, ...], prefix: str) -> Path:
    """The run with other class names, and with other paths of its images."""
    run = json.loads((path / "run.json").read_text())
    old = run["class_names"]
    run["class_names"] = list(names)
    run["data"]["root"] = "/nowhere/" + names[0].replace("/", "")
    renaming = {name: f"{prefix}{name}" for name in run["data"]["paths"]}
    run["data"]["paths"] = list(renaming.values())
    run["data"]["rejected"] = [[f"{prefix}broken.jpg", f"cut short {prefix}"]]
    run["data"]["notices"] = [f"{prefix} was taken"]
    run["data"]["sha256"][1] = run["data"]["sha256"][0]  # a duplicate, whose paths are shown
    (path / "run.json").write_text(json.dumps(run))
    metrics = json.loads((path / "metrics.json").read_text())
    metrics["classes"] = {names[old.index(name)]: values for name, values in metrics["classes"].items()}
    (path / "metrics.json").write_text(json.dumps(metrics))
    manifest = json.loads((path / "export" / "manifest.json").read_text())
    manifest["description"] |= {"class_names": list(names), "license": f"Own licence {names[0]}"}
    manifest["failed"] = {"model_x.onnx": f"because {names[1]}"}
    (path / "export" / "manifest.json").write_text(json.dumps(manifest))
    for file in (path / "test_probabilities.npz", path / "export" / "reference.npz"):
        with np.load(file) as arrays:
            values = dict(arrays)
        values["paths"] = np.array([renaming[name] for name in values["paths"].tolist()])
        np.savez(file, **values)
    return path


def test_names_never_become_markup(copy: Path, tmp_path: Path) -> None:
    """The page of a hostile run has the very elements and attributes of a harmless one's."""
    plain = renamed(Path(shutil.copytree(copy, tmp_path / "plain" / "run")), ("aaaa", "bbbb"), "c")
    hostile = renamed(copy.rename(copy.with_name("<b onclick=alert(3)>'\"")), HOSTILE, "<i>&amp;\"'|`\n" + "x" * 255)
    (before, _), (after, card) = report(plain), report(hostile)
    assert after.structure() == before.structure()
    check_page(after)
    text = " ".join(after.text)
    assert "<script>alert(1)</script>" in text
    assert "{{ 7*7 }}" in text

    values = front_matter(card)
    assert values["model-index"][0]["name"] == hostile.name
    assert values["license"] == "other"
    assert values["license_name"] == f"Own licence {HOSTILE[0]}"
    tokens = MarkdownIt("gfm-like", {"linkify": False, "html": True}).parse(card.split("\n---\n", 1)[1])
    kinds = {token.type for block in tokens for token in [block, *(block.children or [])]}
    assert "table_open" in kinds
    assert not kinds & {"html_inline", "html_block", "link_open", "image"}
    headings = [tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"]
    assert headings[1:] == [
        *("What it is", "Intended use and limits", "Data", "Training", "Evaluation", "Artefacts", "How to load"),
        "Reproduce",
    ]


def test_the_model_card_says_what_hubs_read(copy: Path) -> None:
    _, card = report(copy)
    values = front_matter(card)
    metrics = json.loads((copy / "metrics.json").read_text())
    assert values["pipeline_tag"] == "image-classification"
    assert values["license"] == "unknown"
    assert "keras" in values["tags"]
    result = values["model-index"][0]["results"][0]
    assert result["task"] == {"type": "image-classification"}
    measured = {one["type"]: one["value"] for one in result["metrics"]}
    assert measured["accuracy"] == pytest.approx(metrics["accuracy"], abs=1e-6)
    mean = np.mean([one["f1"] for one in metrics["classes"].values()])
    assert measured["f1"] == pytest.approx(mean, abs=1e-6)


def test_the_evaluation_keeps_the_answers(copy: Path) -> None:
    """They are those that the export's reference holds, and the report is the same with either."""
    with np.load(copy / "test_probabilities.npz") as own, np.load(copy / "export" / "reference.npz") as exported:
        np.testing.assert_array_equal(own["paths"], exported["paths"])
        np.testing.assert_array_equal(own["labels"], exported["labels"])
        np.testing.assert_array_equal(own["probabilities"], exported["probabilities"])
        assert own["probabilities"].dtype == np.float32
    write_report(load_run(copy))
    before = (copy / "report.html").read_text()
    (copy / "test_probabilities.npz").unlink()
    write_report(load_run(copy))
    assert (copy / "report.html").read_text() == before


def mistaken(path: Path) -> int:
    """Make the first test image a mistake; its row."""
    with np.load(path / "test_probabilities.npz") as arrays:
        values = dict(arrays)
    label = values["labels"][0]
    values["probabilities"][0] = np.where(np.arange(2) == label, 0.0001, 0.9999)
    np.savez(path / "test_probabilities.npz", **values)
    return 0


def pixels(uri: str) -> np.ndarray:
    import base64
    import io

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGB")).astype(int)


def test_mistakes_show_the_image_else_its_decoded_copy_else_none(copy: Path) -> None:
    row = mistaken(copy)
    run = load_run(copy)
    images = run.images.select("test")
    with Image.open(images.root / images.paths[row]) as original:
        wanted = np.asarray(original.convert("RGB")).astype(int)
    shown = report(copy)[0].named("img")[0]
    assert images.paths[row] in shown["alt"]
    assert images.class_names[int(images.labels[row])] in shown["alt"]
    assert pixels(shown["src"]).shape == wanted.shape
    assert np.abs(pixels(shown["src"]) - wanted).mean() < 12

    stored = json.loads((copy / "run.json").read_text())
    stored["data"]["root"] = "/nowhere"
    (copy / "run.json").write_text(json.dumps(stored))
    size = run.settings.image_size
    assert pixels(report(copy)[0].named("img")[0]["src"]).shape == (size, size, 3)

    shutil.rmtree(copy / "cache")
    page, _ = report(copy)
    assert "picture not found" in " ".join(page.text)


def test_thumbnails_stand_upright(tmp_path: Path) -> None:
    from toolkit.pixels.decode import decode_whole
    from unfreeze.pages.thumbnails import THUMBNAIL_SIDE, thumbnail

    file, exif = tmp_path / "a.jpg", Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    Image.fromarray(np.zeros((200, 600, 3), np.uint8)).save(file, exif=exif)
    assert pixels(thumbnail(decode_whole(file))).shape == (THUMBNAIL_SIDE, THUMBNAIL_SIDE // 3, 3)


def test_a_report_loads_no_tensorflow(copy: Path) -> None:
    code = """
import sys
from unfreeze import cli
code = cli._main(["report", sys.argv[1], "--json"])
heavy = [name for name in ("tensorflow", "keras", "onnxruntime", "ai_edge_litert", "sklearn") if name in sys.modules]
sys.exit(f"loaded {heavy}" if heavy else code)
"""
    ended = subprocess.run([sys.executable, "-c", code, str(copy)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert Path(told["page"]) == copy / "report.html"
    assert Path(told["card"]).is_file()


NOT_ADOPTED = ("fine-tuned", "unfrozen", "took no part in training", "dropout", "Adam", "None ", "as training did")


@pytest.fixture
def adopted(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run of a model of logits from elsewhere, exported and verified; model, images and labels lie beside it."""
    import keras

    keras.utils.set_random_seed(4)
    layers = [keras.layers.Conv2D(4, 3, strides=4), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
    keras.Sequential([keras.Input((32, 32, 3)), *layers], name="own").save(tmp_path / "a model.keras")
    shutil.copytree(pictures, tmp_path / "photos")
    (tmp_path / "labels.txt").write_text("stripes\ndots\n")
    monkeypatch.chdir(tmp_path)
    unfreeze.adopt(
        "a model.keras",
        "photos",
        "own",
        pixels="-1..1",
        labels="labels.txt",
        reading=unfreeze.DataSettings(test=0.3, seed=2),
    )
    unfreeze.evaluate("own")
    unfreeze.export("own", ExportSettings(formats=["onnx"], precisions=["float32"]))
    unfreeze.verify("own", VerifySettings(threads=()))
    return Path("own")


def test_a_model_from_elsewhere_is_not_said_to_be_trained_here(adopted: Path) -> None:
    page, card = report(adopted)
    check_page(page)
    assert not ids(page) & {"search", "curves"}
    assert {"test", "data", "files", "load", "again"} <= ids(page)
    for text in (" ".join(page.text), card):
        assert "at 32 px that was trained elsewhere to tell 2 classes" in " ".join(text.split())
        assert "if it was not trained on them" in text
        assert (
            "made for the pixel range -1..1 and gave logits. It now has inside the step from 0..255 to that range and"
            in text
        )
        assert not [false for false in NOT_ADOPTED if false in text]
        assert json.loads((adopted / "model.json").read_text())["adopted"]["sha256"] in text
    assert front_matter(card)["tags"] == ["image-classification", "keras", "unfreeze", "onnx"]
    assert f"{json.loads((adopted / 'metrics.json').read_text())['accuracy']:.2%}" in card


def test_a_model_from_elsewhere_is_adopted_again_as_the_report_says(adopted: Path) -> None:
    page, card = report(adopted)
    (line,) = [line for line in card.splitlines() if line.startswith("unfreeze adopt ")]
    assert line in "".join(page.text)
    assert "unfreeze tune" not in card
    assert "unfreeze train" not in card
    before = adopted.rename("before")
    assert cli._main(shlex.split(line)[1:]) == 0
    for name, keys in (("run.json", ("fingerprint", "class_names", "settings")), ("model.json", ("adopted",))):
        first, second = (json.loads((run / name).read_text()) for run in (before, adopted))
        assert [first[key] for key in keys] == [second[key] for key in keys]


def test_a_model_that_came_as_an_object_has_no_file(adopted: Path, pictures: Path, tmp_path: Path) -> None:
    import keras

    unfreeze.adopt(keras.saving.load_model("a model.keras"), pictures, tmp_path / "object")
    _, card = report(tmp_path / "object")
    assert "It came as an object of Python; own.keras stands for a file of it." in card
    assert f"unfreeze adopt own.keras {pictures.name} object\n" in card


@pytest.mark.parametrize(
    ("share", "points"),
    [(None, "–"), (0.0, "0.00"), (-0.00001, "0.00"), (0.00001, "0.00"), (-0.005, "\u22120.50"), (0.0123, "+1.23")],
)
def test_points_have_a_sign_unless_they_are_none(share: float | None, points: str) -> None:
    assert signed_points(share) == points


def test_what_hides_or_reverses_text_is_written_as_an_escape() -> None:
    assert escape_controls("a\u202eb\x1b]0;c\x07") == "a\\u202eb\\x1b]0;c\\x07"
    assert escape_controls(Markup("<b>\u2066</b>\n\tx")) == Markup("<b>\\u2066</b>\n\tx")
    assert isinstance(escape_controls(Markup("\u2066")), Markup)
    assert escape_controls("größe 猫 👩\u200d🔬") == "größe 猫 👩\u200d🔬"
    assert escape_controls(5) == 5


@pytest.mark.parametrize(("few", "beaten"), [(0, False), (3, False), (18, True)])
def test_page_and_card_say_where_the_majority_is_not_beaten(few: int, beaten: bool, finished: Run) -> None:
    """400 of one class and 20 of the other, of which the model knows `few`."""
    names = ("dots", "stripes")
    labels = np.repeat([0, 1], [400, 20])
    said = np.where(np.arange(420) < 420 - few, 0, 1)
    facts = replace(read_run_facts(finished), evaluation=evaluate(np.eye(2)[said], labels, names), answers=None)
    for text in (render_page(facts), render_card(facts)):
        assert ("not shown to beat the majority" in text) == (not beaten)
        assert "95.24%" in text or "95.2%" in text


def test_each_item_of_the_model_card_has_a_line(finished: Run) -> None:
    card = render_card(read_run_facts(finished))
    assert "- Head: " in card
    assert not re.findall(r"^- .*[^ \n]- [A-Z].*$", card, re.MULTILINE)
