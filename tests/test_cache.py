from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import filelock
import keras
import numpy as np
import pytest

from tests.tiny import ROW, SETTINGS
from toolkit.errors import UnfreezeError
from toolkit.models.applications import BACKBONES
from toolkit.models.build import build_model, prefix_and_suffix
from toolkit.run import Run, prepare
from toolkit.training.batches import augmented, load_part, unaugmented
from tuning.activations import cache, passes
from tuning.activations.cache import Activations, compute_activations

DEPTHS = (0, 1, 2)
with patch.dict(BACKBONES, Tiny=ROW):  # a record is checked when it is made
    CACHED = replace(SETTINGS, views=2, head_epochs=2, tune_epochs=2, cache_dtype="float32")


@pytest.fixture
def run(tiny: str, pictures: Path, tmp_path: Path) -> Run:
    return prepare(pictures, tmp_path / "run", CACHED)


def computed(run: Run, depths=DEPTHS, seed: int = 5) -> tuple[keras.Model, Activations, list[tuple[int, int]]]:
    """The model, its activations, and what was reported while they were computed."""
    keras.utils.set_random_seed(seed)
    spec = run.settings.spec(2, 0, 0.0, 0)
    model = build_model(spec)
    calls: list[tuple[int, int]] = []
    parts = {"train": load_part(run, "train", antialiased=True), "val": load_part(run, "val")}
    made = compute_activations(run, model, spec, parts, depths, lambda what, done, total: calls.append((done, total)))
    return model, made, calls


@pytest.mark.parametrize("depth", DEPTHS)
def test_they_are_what_the_prefix_gives_on_the_same_views(run: Run, depth: int) -> None:
    model, made, _ = computed(run)
    prefix, _ = prefix_and_suffix(model, run.settings.spec(2, 0, 0.0, 0), depth)
    rows = np.array([3, 0, 11])
    pixels = {
        "train": augmented(load_part(run, "train", antialiased=True), run.settings),
        "val": unaugmented(load_part(run, "val")),
    }
    for part, own in (("train", rows), ("val", np.array([2, 0]))):
        for epoch in (0, 1, 3):
            expected = prefix.predict(pixels[part].inputs(epoch, own), verbose=0)
            np.testing.assert_allclose(made.source(part, depth).inputs(epoch, own), expected, atol=1e-5)


def test_what_is_there_is_not_computed_again(run: Run) -> None:
    computed(run, depths=(0, 2))
    assert computed(run, depths=(0, 2))[2] == []
    assert computed(run, depths=(0,))[2] == []


def test_a_depth_more_costs_a_pass_and_leaves_the_others(run: Run) -> None:
    made = computed(run, depths=(0,))[1]
    before = {path.name: path.stat().st_mtime_ns for path in made.folder.glob("*.npy")}
    assert computed(run, depths=(0, 1))[2]
    after = {path.name: path.stat().st_mtime_ns for path in made.folder.glob("*.npy")}
    assert before.items() < after.items()


def test_other_weights_have_other_activations(run: Run) -> None:
    first = computed(run)[1]
    assert computed(run, seed=6)[1].folder != first.folder


@pytest.mark.parametrize("changes", [{"augment": "strong"}, {"seed": 1}, {"cache_dtype": "float16"}])
def test_other_settings_have_other_activations(changes: dict, run: Run) -> None:
    first = computed(run)[1]
    other = computed(Run(run.path, run.images, replace(run.settings, **changes)))[1]
    assert other.folder != first.folder


def test_a_damaged_file_is_noticed_and_made_anew(run: Run) -> None:
    made = computed(run)[1]
    file = made.folder / "train-view1-depth2.npy"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    calls = computed(run)[2]
    assert calls[-1][1] == len(run.images.select("train"))  # one view, and that depth alone
    assert file.read_bytes() == whole


def interrupted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """From now on a pass is interrupted after as many batches as the item of this list says."""
    real, left = cache.prefix, [0]

    def cut(*call):
        forward = real(*call)

        def once(images):
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return forward(images)

        return once

    monkeypatch.setattr(cache, "prefix", cut)
    return left


def test_a_pass_that_was_cut_short_goes_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "IMAGES_PER_STEP", 8)  # from the start: the last bits depend on the size of a batch
    whole = {path.name: path.read_bytes() for path in computed(run)[1].folder.glob("*.npy")}
    for path in computed(run)[1].folder.iterdir():
        path.unlink()
    monkeypatch.setattr(passes, "MARK_SECONDS", -1.0)
    left = interrupted(monkeypatch)
    left[0] = 3
    with pytest.raises(KeyboardInterrupt):
        computed(run)
    left[0] = 99
    _, made, calls = computed(run)
    assert calls[1][0] == 24  # three batches of eight were done
    assert {path.name: path.read_bytes() for path in made.folder.glob("*.npy")} == whole
    assert not list(made.folder.glob("*.part*"))


def test_a_mark_of_other_depths_is_not_gone_on_from(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut after a mark; then a pass over other depths, cut before its first; then the first again."""
    monkeypatch.setattr(passes, "IMAGES_PER_STEP", 8)
    whole = {path.name: path.read_bytes() for path in computed(run, depths=(0, 1))[1].folder.glob("*.npy")}
    for path in computed(run, depths=(0, 1))[1].folder.iterdir():
        path.unlink()
    left = interrupted(monkeypatch)
    for depths, seconds, batches in (((0, 1), -1.0, 2), ((0, 2), 99.0, 1)):  # the second overwrites less than is marked
        left[0] = batches
        monkeypatch.setattr(passes, "MARK_SECONDS", seconds)
        with pytest.raises(KeyboardInterrupt):
            computed(run, depths=depths)
    left[0] = 99
    made = computed(run, depths=(0, 1))[1]
    assert {path.name: path.read_bytes() for path in made.folder.glob("*depth[01].npy")} == whole


def test_a_pass_that_was_cut_has_room_to_go_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has written already is not needed once more."""
    made = computed(run)[1]
    size = sum(path.stat().st_size for path in made.folder.glob("*.npy"))
    for path in list(made.folder.glob("*.npy")):
        path.rename(path.with_name(path.name.replace(".npy", ".part.npy")))
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": size // 2})())
    computed(run)


def test_a_fault_in_the_pass_ends_the_search_and_not_its_trials(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from tuning.search import search

    def full(*call, **more) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(passes, "_open", full)
        with pytest.raises(OSError, match="No space left"):
            search(run)
    assert all(trial.status == "COMPLETED" for trial in search(run).trials)


def test_too_much_for_the_limit_or_the_disk_is_told_before_it_is_written(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnfreezeError, match=r"--cache-limit leaves 0\.0 GB"):
        computed(Run(run.path, run.images, replace(run.settings, cache_limit=1e-6)))
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 30_000_000})())
    computed(run)
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(UnfreezeError, match=r"the disk has 0\.0 GB"):
        computed(Run(run.path, run.images, replace(run.settings, seed=9)), depths=(0,))


def test_half_precision_that_overflows_is_an_error(run: Run) -> None:
    half = Run(run.path, run.images, replace(run.settings, cache_dtype="float16"))
    keras.utils.set_random_seed(5)
    spec = half.settings.spec(2, 0, 0.0, 0)
    model = build_model(spec)
    model.get_layer("third_bn").gamma.assign(np.full(16, 1e6))
    parts = {"train": load_part(half, "train", antialiased=True), "val": load_part(half, "val")}
    with pytest.raises(UnfreezeError, match="--cache-dtype float32"), np.errstate(over="ignore"):
        compute_activations(half, model, spec, parts, (0,))


def test_what_lies_in_the_cache_counts_for_its_limit(run: Run) -> None:
    made = computed(run)[1]
    size = sum(path.stat().st_size for path in made.folder.glob("*.npy"))
    limited = replace(run.settings, cache_limit=1.5 * size / 1e9)
    computed(Run(run.path, run.images, limited))  # all there: nothing is needed
    with pytest.raises(UnfreezeError, match="--cache-limit leaves"):
        computed(Run(run.path, run.images, replace(limited, augment="strong")))


def test_two_searches_at_once_compute_them_once(run: Run) -> None:
    """While another holds the lock, the second waits; what the first made is there then."""
    made = computed(run)[1]
    lock = filelock.FileLock(made.folder.with_suffix(".lock"))
    lock.acquire()
    calls: list[str] = []
    made.folder.rename(made.folder.with_name("there"))

    def waiting(what: str, done: int, total: int) -> None:
        calls.append(what)
        if len(calls) == 1:
            made.folder.with_name("there").rename(made.folder)  # the other has finished
            lock.release()

    keras.utils.set_random_seed(5)
    parts = {"train": load_part(run, "train", antialiased=True), "val": load_part(run, "val")}
    model = build_model(run.settings.spec(2, 0, 0.0, 0))
    compute_activations(run, model, run.settings.spec(2, 0, 0.0, 0), parts, DEPTHS, waiting)
    assert calls == ["waiting for another search that computes the same activations"] * 2  # begun and ended
