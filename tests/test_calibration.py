from __future__ import annotations

import numpy as np
import pytest

from export.quantise.calibration import stratified_rows

LABELS = np.random.default_rng(1).permutation(np.repeat([0, 1, 2], [700, 250, 50]))


@pytest.mark.parametrize("count", [3, 20, 200, 999])
def test_each_class_has_its_share_and_one_image_at_least(count: int) -> None:
    rows = stratified_rows(LABELS, count, seed=0)
    assert len(set(rows.tolist())) == count
    assert list(rows) == sorted(rows)
    counts = np.bincount(LABELS[rows], minlength=3)
    assert (counts >= 1).all()
    if count > 3:
        np.testing.assert_allclose(counts, count * np.array([0.7, 0.25, 0.05]), atol=1.01)


def test_the_seed_decides() -> None:
    first = stratified_rows(LABELS, 100, seed=0)
    np.testing.assert_array_equal(first, stratified_rows(LABELS, 100, seed=0))
    assert len(set(first) - set(stratified_rows(LABELS, 100, seed=1))) > 50


def test_all_where_there_are_not_more() -> None:
    np.testing.assert_array_equal(stratified_rows(LABELS[:7], 200, seed=0), np.arange(7))
    assert len(stratified_rows(LABELS, 0, seed=0)) == 0
