from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from toolkit.data.image_set import ImageSet
from toolkit.data.split import split
from toolkit.errors import UnfreezeError

PARTS = ("train", "val", "test")


def folder(counts: list[int], *, seed: int = 0, copies: float = 0.0, parts: tuple[str, ...] = ("",)) -> ImageSet:
    """A folder on paper: `counts` files of each class, a share of them copies of the one before."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    contents = [f"{seed} {i}" for i in range(len(labels))]
    for i in range(1, len(labels)):
        if labels[i] == labels[i - 1] and rng.random() < copies:
            contents[i] = contents[i - 1]
    return ImageSet(
        root=Path(),
        class_names=tuple(f"class{c}" for c in range(len(counts))),
        paths=tuple(f"{i:05d}.jpg" for i in range(len(labels))),
        labels=labels,
        digests=tuple(hashlib.sha256(content.encode()).hexdigest() for content in contents),
        parts=tuple(str(part) for part in rng.choice(parts, len(labels))),
        sizes=np.ones((len(labels), 2), np.int32),
    )


def by_digest(data: ImageSet) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for digest, part in zip(data.digests, data.parts, strict=True):
        found.setdefault(digest, set()).add(part)
    return found


def distinct(data: ImageSet, label: int, part: str | None = None) -> int:
    rows = zip(data.digests, data.labels, data.parts, strict=True)
    return len({digest for digest, own, given in rows if own == label and part in (None, given)})


def shuffled(data: ImageSet, seed: int) -> ImageSet:
    order = np.random.default_rng(seed).permutation(len(data))
    return replace(
        data,
        paths=tuple(f"renamed/{i}.jpg" for i in range(len(data))),
        labels=data.labels[order],
        digests=tuple(data.digests[i] for i in order),
        parts=tuple(data.parts[i] for i in order),
    )


@pytest.mark.parametrize("seed", range(30))
def test_every_class_is_divided_by_the_fractions_and_no_file_twice(seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = folder(list(rng.integers(20, 120, rng.integers(2, 6))), seed=seed, copies=0.3 * (seed % 2))
    val, test = rng.uniform(0.1, 0.4, 2)
    done = split(data, val=val, test=test, seed=seed)
    assert set(done.parts) == set(PARTS)
    assert all(len(parts) == 1 for parts in by_digest(done).values())
    for label in range(len(data.class_names)):
        n = distinct(data, label)
        assert abs(distinct(done, label, "test") - test * n) <= 1
        assert abs(distinct(done, label, "val") - val * (n - distinct(done, label, "test"))) <= 1
        assert distinct(done, label, "train") >= 1
    assert replace(done, parts=data.parts).fingerprint() == data.fingerprint()  # nothing else has changed


@pytest.mark.parametrize("seed", range(5))
def test_names_and_order_do_not_matter_and_the_seed_does(seed: int) -> None:
    data = folder([40, 25], seed=seed, copies=0.2)
    once = by_digest(split(data, seed=seed))
    assert by_digest(split(data, seed=seed)) == once
    assert by_digest(split(shuffled(data, seed), seed=seed)) == once
    assert by_digest(split(data, seed=seed + 1)) != once


def test_one_more_image_moves_few_others() -> None:
    data = folder([100, 100])
    fewer = replace(
        data,
        **{k: getattr(data, k)[1:] for k in ("paths", "labels", "digests", "parts")},
    )
    before, after = by_digest(split(fewer)), by_digest(split(data))
    assert sum(before[digest] != after[digest] for digest in before) <= 2


@pytest.mark.parametrize("val", [0.01, 0.99])
def test_no_part_is_without_a_class(val: float) -> None:
    done = split(folder([3, 4, 200]), val=val, test=0.99)
    for part in PARTS:
        assert done.counts(part).min() >= 1


def test_given_parts_are_kept() -> None:
    data = folder([60, 60], parts=PARTS)
    assert split(data).parts == data.parts


def test_val_is_split_off_train_where_test_is_given() -> None:
    data = folder([100, 50], parts=("train", "test"))
    done = split(data)
    for before, after in zip(data.parts, done.parts, strict=True):
        assert after in (("test",) if before == "test" else ("train", "val"))
    assert np.abs(done.counts("val") - 0.2 * data.counts("train")).max() <= 1


def test_test_and_val_are_split_off_where_only_train_is_given() -> None:
    done = split(folder([100, 50], parts=("train",)))
    assert [done.counts(part).tolist() for part in PARTS] == [[64, 32], [16, 8], [20, 10]]


def test_what_is_given_to_train_is_divided_like_what_has_no_part() -> None:
    """A CSV whose one row without a split would otherwise have to be the whole of val."""
    data = folder([200, 200], parts=("train",))
    mixed = replace(data, parts=("", *data.parts[1:]))
    assert split(mixed).parts == split(data).parts
    assert set(split(mixed).parts) == set(PARTS)


def test_all_that_is_left_is_for_training() -> None:
    data = folder([30, 30], parts=("val", "test", ""))
    expected = tuple(part or "train" for part in data.parts)
    assert split(data).parts == expected


@pytest.mark.parametrize("given", [("", "test"), ("train", "test"), ("", "val"), ("", "train", "test"), ("", "train")])
@pytest.mark.parametrize("seed", range(4))
def test_splitting_adds_no_leak(given: tuple[str, ...], seed: int) -> None:
    data = folder([80, 80], seed=seed, copies=0.4, parts=given)
    done = split(data, seed=seed)
    already = {digest for digest, parts in by_digest(data).items() if len(parts - {""}) > 1}
    after = {digest for digest, parts in by_digest(done).items() if len(parts) > 1}
    assert after <= already
    assert len(data.duplicates()) > 10


@pytest.mark.parametrize(
    ("counts", "parts", "message"),
    [
        (
            [2, 9],
            ("",),
            "class class0 has 2 distinct images to split test and val off from, and needs at least 3",
        ),
        ([9, 1], ("train",), "class class1 has 1 distinct image to split test and val"),
        ([9, 0], ("",), "class class1 has 0 distinct images"),
    ],
)
def test_too_few_images(counts: list[int], parts: tuple[str, ...], message: str) -> None:
    with pytest.raises(UnfreezeError, match=message):
        split(folder(counts, parts=parts))


def test_copies_do_not_make_a_class_large_enough() -> None:
    data = folder([9, 9])
    data = replace(data, digests=(data.digests[0],) * 9 + data.digests[9:])
    with pytest.raises(UnfreezeError, match="class class0 has 1 distinct image "):
        split(data)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_fractions_that_are_none(fraction: float) -> None:
    with pytest.raises(UnfreezeError, match="the val fraction is"):
        split(folder([9, 9]), val=fraction)
    with pytest.raises(UnfreezeError, match="the test fraction is"):
        split(folder([9, 9]), test=fraction)
    assert split(folder([30, 30], parts=PARTS), val=fraction).parts  # not needed, not looked at
