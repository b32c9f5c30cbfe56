"""Choosing by a few true labels, against a bootstrap by hand."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from w2s_probes import InputError
from w2s_probes.randomness import stream
from w2s_probes.selection import choose_by_gold

RNG = np.random.default_rng(0)
TRUTH = np.arange(40) % 2
SCORES = {float(k): TRUTH * k + RNG.normal(size=40) for k in (0.5, 0.2, 1.0, 1.1)}


def test_the_best_is_chosen_and_its_lead_has_the_interval_of_a_bootstrap_over_rows() -> None:
    choice = choose_by_gold(TRUTH, SCORES, n_boot=300, seed=3)
    by_hand = {k: roc_auc_score(TRUTH, p) for k, p in SCORES.items()}
    first, second, *_ = sorted(by_hand, key=lambda k: -by_hand[k])
    assert (choice.chosen, choice.second) == (first, second)
    assert choice.scores == pytest.approx(by_hand)
    rng, leads, best = stream(3, "bootstrap"), [], []
    for rows in rng.integers(40, size=(300, 40)):
        drawn = {k: roc_auc_score(TRUTH[rows], p[rows]) for k, p in SCORES.items()}
        leads.append(drawn[first] - drawn[second])
        top = [k for k, value in drawn.items() if value > max(drawn.values()) - 1e-9]
        best.append((first in top) / len(top))
    assert (choice.lead.low, choice.lead.high) == pytest.approx(tuple(np.quantile(leads, [0.025, 0.975])))
    assert choice.stability == pytest.approx(np.mean(best))
    assert not choice.told_apart


def test_groups_widen_and_equal_candidates_are_the_first() -> None:
    same = choose_by_gold(TRUTH, {7: SCORES[1.0], 5: SCORES[1.0]}, n_boot=50)
    assert (same.chosen, same.lead.value, same.lead.high, same.stability) == (7, 0, 0, 0.5)
    twice, groups = np.repeat(TRUTH, 2), np.repeat(np.arange(40), 2)
    doubled = {k: np.repeat(p, 2) for k, p in SCORES.items()}
    together = choose_by_gold(twice, doubled, groups=groups, seed=1).auroc
    apart = choose_by_gold(twice, doubled, seed=1).auroc
    assert together.high - together.low > 1.2 * (apart.high - apart.low)


def test_nothing_to_choose_among_or_by_is_refused() -> None:
    with pytest.raises(InputError, match="no candidates"):
        choose_by_gold(TRUTH, {})
    with pytest.raises(InputError, match="class"):
        choose_by_gold(np.ones(40), SCORES)
