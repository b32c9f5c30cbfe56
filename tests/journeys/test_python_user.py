"""Someone who knows scikit-learn and numpy, and tries what works there."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.journeys.conftest import Study
from w2s_probes import (
    ActivationStore,
    KNNProbe,
    LabelSet,
    LogisticProbe,
    auroc,
    disagreement_filter,
    performance_gap_recovered,
    relabel,
    topo_filter,
)
from w2s_probes.errors import InputError
from w2s_probes.sweep import sweep


def test_a_label_set_goes_wherever_an_array_goes(here: Study) -> None:
    store, weak = ActivationStore.open("acts"), LabelSet.read("weak.jsonl")
    truth = LabelSet.read("weak.jsonl", role="truth")
    assert store.shape[0] == 900
    X = store.layer(here.layer, ids=weak.ids)
    np.testing.assert_array_equal(np.asarray(weak), weak.p)
    assert KNNProbe(20).fit(X, weak).predict_proba(X).shape == (600, 2)
    assert auroc(truth, weak) == auroc(truth.p, weak.p)
    p = relabel(LogisticProbe(0.1), X, weak)
    np.testing.assert_array_equal(p, relabel(LogisticProbe(0.1), X, weak.p))
    assert disagreement_filter(weak, p).to_frame().shape[0] == 600
    assert len(topo_filter(X, weak, k_cc=15, k_zeta=15).to_frame()) == 600
    gap = performance_gap_recovered(truth, weak, p, 0.5 * p + 0.5 * truth.p, n_boot=100)
    assert {"pgr", "pgr_low", "pgr_high", "gap", "status"} <= set(gap.to_frame().columns)


def test_scikit_learns_searches_work_with_soft_labels_or_say_what_does(here: Study) -> None:
    store, weak = ActivationStore.open("acts"), LabelSet.read("weak.jsonl")
    X, y = store.layer(here.layer, ids=weak.ids), weak.p
    probe = LogisticProbe(0.1).fit(X, y)
    assert probe.score(X, y) == pytest.approx(-np.mean((probe.predict_proba(X)[:, 1] - y) ** 2), abs=1e-9)
    searched = GridSearchCV(LogisticProbe(), {"l2": [0.01, 1.0]}, cv=3).fit(X, y)
    assert -0.25 < searched.best_score_ < 0
    scaled: Any = make_pipeline(StandardScaler(), LogisticProbe())
    assert GridSearchCV(scaled, {"logisticprobe__l2": [0.01, 1.0]}, cv=3).fit(X, y).best_score_ < 0
    with pytest.raises(InputError, match=r"scikit-learn has numbered .* relabel\(probe, X, y\)"):
        cross_val_predict(LogisticProbe(0.1), X, y, cv=3, method="predict_proba")


def test_single_values_file_names_and_frames_are_taken_as_they_come(here: Study) -> None:
    result = sweep("acts", "weak.jsonl", layers=here.layer, knn_k=20)
    assert result.to_frame()["k"].dropna().unique().tolist() == [20]
    assert isinstance(result.to_frame(), pd.DataFrame)
    store = ActivationStore.open("acts")
    for shown in (store, LabelSet.read("weak.jsonl"), result):
        assert "\n" not in repr(shown)
        assert "<" in shown._repr_html_()
