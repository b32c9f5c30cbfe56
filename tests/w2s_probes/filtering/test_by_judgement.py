"""Filters that say themselves how many rows go: beside the definition, and beside cleanlab called directly."""

import subprocess
import sys
from importlib.machinery import ModuleSpec
from typing import Any, get_args

import numpy as np
import pytest

from tests.conftest import planted
from w2s_probes import InputError, LogisticProbe, relabel
from w2s_probes.filtering import channel_filter, confident_filter, judges
from w2s_probes.filtering.judges import PruneBy
from w2s_probes.labels import LabelSet

DATA = planted(n=300, noise=0.2)
X, Y = DATA.X, DATA.weak
P = relabel(LogisticProbe(), X, Y)
IDS = np.array([f"r{i}" for i in range(len(X))], dtype=object)


def test_the_channel_drops_what_its_posterior_contradicts_or_the_farthest_of_it() -> None:
    y, q = np.array([0.9, 0.8, 0.2, 0.1, 0.7, 0.3]), np.array([0.4, 0.9, 0.8, 0.3, 0.1, 0.5])
    result = channel_filter(y, q)
    assert result.mask.tolist() == [False, True, False, True, False, True]  # a posterior of ½ is not above it
    assert result.reasons[0] == "posterior contradicts the label"
    assert result.requested == 3 == len(result.removed)
    assert channel_filter(y, q, 0.34).removed.tolist() == [2, 4]  # |y - q| .6 and .6, before .5
    assert channel_filter(y, q, 0.34, per_class=True).removed.tolist() == [2, 4]
    assert len(channel_filter(y, q, 0.9).removed) == 3  # no others are added
    assert channel_filter(y, y).mask.all()


@pytest.mark.parametrize("filter_by", get_args(PruneBy))
def test_confident_learning_drops_what_cleanlab_finds(filter_by: PruneBy) -> None:
    filtering, rank = pytest.importorskip("cleanlab.filter"), pytest.importorskip("cleanlab.rank")
    both, classes = np.column_stack([1 - P, P]), (Y > 0.5).astype(int)
    expected = filtering.find_label_issues(classes, both, filter_by=filter_by, n_jobs=1)
    result = confident_filter(Y, P, filter_by=filter_by)
    assert (~result.mask).tolist() == expected.tolist()
    assert result.scores.tolist() == pytest.approx((1 - rank.get_label_quality_scores(classes, both)).tolist())
    assert 0 < expected.sum() < len(Y)
    wrong = Y != DATA.truth
    assert wrong[expected].mean() > 2 * wrong.mean()
    few = confident_filter(Y, P, 0.02, filter_by=filter_by)
    worst = np.argsort(-result.scores[expected], kind="stable")[: len(few.removed)]
    assert len(few.removed) == min(6, expected.sum())
    assert set(few.removed) <= set(np.flatnonzero(expected))
    assert few.scores[few.removed].min() >= result.scores[expected][worst].min() - 1e-12


def test_soft_labels_count_by_their_side_and_ids_stay() -> None:
    pytest.importorskip("cleanlab")
    soft = np.where(Y > 0.5, 0.7, 0.2)
    assert confident_filter(soft, P).mask.tolist() == confident_filter(Y, P).mask.tolist()
    for result in (confident_filter(LabelSet(IDS, soft, "weak"), P), channel_filter(LabelSet(IDS, soft, "weak"), P)):
        assert result.ids is not None
        assert result.ids.tolist() == IDS.tolist()


def test_wrong_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cleanlab")
    wrong: Any = "prune_by_noise"
    with pytest.raises(InputError, match="filter_by='prune_by_noise'"):
        confident_filter(Y, P, filter_by=wrong)
    with pytest.raises(InputError, match="one class only"):
        confident_filter(np.ones(len(P)), P)
    with pytest.raises(InputError, match="299 labels but 300 probe scores"):
        confident_filter(Y[1:], P)
    with pytest.raises(InputError, match="299 labels but 300 posteriors"):
        channel_filter(Y[1:], P)
    with pytest.raises(InputError, match=r"contamination=1.5"):
        channel_filter(Y, P, 1.5)
    with pytest.raises(InputError, match="per_class shares out a contamination"):
        channel_filter(Y, P, per_class=True)

    def none(name: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(judges, "find_spec", none)
    with pytest.raises(InputError, match=r"pip install 'w2s-probes\[cleanlab\]'"):
        confident_filter(Y, P)


def test_cleanlab_is_not_imported_before_it_is_needed() -> None:

    call = "f.channel_filter([0, 1], [0.1, 0.9])"
    code = f"import sys, w2s_probes.filtering.by_judgement as f; {call}; print('cleanlab' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
