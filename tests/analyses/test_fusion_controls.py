"""The shuffled controls of fusion: numbers of other rows, dealt out by id."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from analyses.methods.fusions import fused_answers
from analyses.results.names import OTHER_ALPHA, OTHER_CHANGE
from tests.worlds.experiments import experiment
from tests.worlds.fusing import GivenFound


@pytest.mark.parametrize("way", [OTHER_ALPHA, OTHER_CHANGE])
def test_shuffled_controls_deal_by_id_whatever_the_order_of_rows(way: str, tmp_path: Path) -> None:
    made = experiment(tmp_path)
    test, given = made.rows["test"], made.fusing
    assert given is not None
    every = given.of({"test": test})["test"]

    def dealt(places: NDArray[np.intp], prefix: str = "") -> NDArray[np.float64]:
        named = test.iloc[places].assign(id=prefix + test["id"].iloc[places]).reset_index(drop=True)
        found: Any = GivenFound({"test": every.of(places)})
        outcome = fused_answers(replace(made, rows={**made.rows, "test": named}, fusing=found), way=way)
        return outcome.scores["test"]

    plain, order = np.arange(len(test)), np.random.default_rng(0).permutation(len(test))
    scores = dealt(plain)
    assert scores.shape == (5, len(test))
    assert len({draw.tobytes() for draw in scores}) == 5
    assert np.array_equal(dealt(order), scores[:, order])
    assert not np.allclose(dealt(plain, "of another task "), scores)
