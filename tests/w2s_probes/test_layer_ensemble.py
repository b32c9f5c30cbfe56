"""Several layers that judge together: the mean of clipped log-odds, and how often they agree."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit

from tests.worlds.sweeping import Swept, planted_store
from w2s_probes import InputError, LabelSet, LogisticProbe, auroc, relabel
from w2s_probes.layer_ensemble import LayerEnsemble, layer_agreement, layer_ensemble, mean_log_odds
from w2s_probes.probes import MeanDifferenceProbe


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    return planted_store(tmp_path_factory.mktemp("layers") / "acts", n=400, apart=(0.0, 1.5, 1.5, 1.5))


def weak_of(world: Swept) -> LabelSet:
    return LabelSet(world.table["id"].to_numpy(dtype=object), world.table["label"].to_numpy(), "weak")


def test_scores_are_means_of_log_odds_that_no_sure_layer_outvotes() -> None:
    scores = np.random.default_rng(0).uniform(size=(5, 40))
    by_hand = [expit(sum(logit(min(max(p, 0.01), 0.99)) for p in of_row) / 5) for of_row in scores.T]
    assert mean_log_odds(scores) == pytest.approx(by_hand)
    assert mean_log_odds([[1.0], [0.2], [0.2]]) == pytest.approx(expit((logit(0.99) + 2 * logit(0.2)) / 3))
    assert mean_log_odds([[1.0], [0.0]]) == pytest.approx([0.5])


def test_agreement_counts_pairs_of_layers() -> None:
    scores = np.random.default_rng(1).uniform(size=(4, 60))
    classes = scores > 0.5
    by_hand = np.mean([classes[a] == classes[b] for a, b in combinations(range(4), 2)], axis=0)
    assert layer_agreement(scores) == pytest.approx(by_hand)
    assert layer_agreement([[0.9, 0.5], [0.6, 0.51]]).tolist() == [1, 0]
    ensemble = LayerEnsemble([3, 5, 6, 7], np.arange(60).astype(object), scores)
    above = ensemble.pairs.to_numpy()[np.triu_indices(4, 1)]
    assert above.mean() == pytest.approx(ensemble.agreement.mean())
    assert (np.diag(ensemble.pairs) == 1).all()


def test_layers_of_a_store_are_scored_as_relabel_scores_each(world: Swept) -> None:
    weak, groups = weak_of(world), np.arange(400) // 2
    found = layer_ensemble(world.store, weak, LogisticProbe(0.1), [1, 3], groups=groups, seed=2)
    at = world.rows(weak.ids)
    for layer, scores in zip((1, 3), found.scores, strict=True):
        expected = relabel(LogisticProbe(0.1), world.layers[layer][at], weak.p, groups=groups, seed=2)
        assert scores == pytest.approx(expected)
    assert found.layers == [1, 3]
    frame = found.to_frame()
    assert frame["id"].tolist() == weak.ids.tolist()
    assert frame.columns.tolist() == ["id", "p", "agreement", 1, 3]
    assert repr(found).startswith("LayerEnsemble(400 rows, layers 1, 3 agree in ")


def test_layers_that_each_know_something_know_more_together_and_layers_of_noise_agree_by_chance(world: Swept) -> None:
    weak, truth = weak_of(world), world.table["truth"].to_numpy()
    found = layer_ensemble(world.store, weak, MeanDifferenceProbe(), "1-3")
    alone = [auroc(truth, scores) for scores in found.scores]
    assert auroc(truth, found.p) > max(alone) + 0.02  # their noise is independent here
    assert found.agreement.mean() > 0.6
    blank = np.random.default_rng(0).uniform(size=(3, 4000))
    assert layer_agreement(blank).mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("layers", "said"),
    [("2", "one layer alone is no ensemble: name two at least"), ([1, 9], "layer 9 is outside"), ([], "no layer")],
)
def test_layers_that_are_none_are_refused(world: Swept, layers: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        layer_ensemble(world.store, weak_of(world), LogisticProbe(), layers)


@pytest.mark.parametrize("scores", [[[0.5, 0.5]], [0.1, 0.2], [[0.1, np.nan], [0.1, 0.2]], [[1.2], [0.1]]])
def test_scores_that_are_none_are_refused(scores: Any) -> None:
    for function in (mean_log_odds, layer_agreement):
        with pytest.raises(InputError, match="scores must be"):
            function(scores)
