"""Rows scored from neighbours that were searched before have the scores of a search of the probe's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import planted
from w2s_probes import InputError, KNNProbe, LogisticProbe, TopoProbe
from w2s_probes.neighbors import Neighbors, search
from w2s_probes.probes import Probe

TRAIN, NEW = planted(n=200, noise=0.2), planted(n=60, seed=1)


@pytest.mark.parametrize(
    "probe",
    [KNNProbe(7), TopoProbe(8, 5), TopoProbe(3, 20), TopoProbe(5, 5, "mutual"), LogisticProbe()],
    ids=lambda probe: repr(probe),
)
@pytest.mark.parametrize("spare", [0, 25])
def test_scores_are_those_of_the_probes_own_search(probe: Probe, spare: int) -> None:
    fitted = probe.fit(TRAIN.X, TRAIN.weak)
    nearest = search(TRAIN.X, max(20, probe.graph_k) + spare, NEW.X)
    np.testing.assert_array_equal(fitted.score_near(NEW.X, nearest), fitted.predict_proba(NEW.X)[:, 1])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 6))
def test_topo_searches_rows_again_whose_neighbours_the_components_leave_out(seed: int, k_cc: int, k_zeta: int) -> None:
    rng = np.random.default_rng(seed)
    X, y, new = rng.normal(size=(40, 3)), rng.random(40), rng.normal(size=(15, 3))
    probe = TopoProbe(k_cc, k_zeta)
    try:
        probe.fit(X, y)
    except InputError:  # the components are too small for k_zeta
        return
    few = search(X.astype(np.float32), k_zeta, new.astype(np.float32))  # often outside the components
    np.testing.assert_allclose(probe.score_near(new, few), probe.predict_proba(new)[:, 1], atol=1e-12)


def test_neighbours_of_other_rows_are_refused() -> None:
    for probe in (KNNProbe(5), TopoProbe(5, 5)):
        fitted = probe.fit(TRAIN.X, TRAIN.weak)
        nearest = search(TRAIN.X, 20, NEW.X)
        with pytest.raises(InputError, match=r"of 60 rows, the activations have 59"):
            fitted.score_near(NEW.X[1:], nearest)
        beyond = Neighbors(nearest.indices + 190, nearest.distances)
        with pytest.raises(InputError, match="200 rows were learned from"):
            fitted.score_near(NEW.X, beyond)
    with pytest.raises(InputError, match="has 3 neighbours a row"):
        KNNProbe(5).fit(TRAIN.X, TRAIN.weak).score_near(NEW.X, search(TRAIN.X, 3, NEW.X))
