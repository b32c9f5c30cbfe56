"""The filter of raters: the most disputed rows go, rows of one rater stay."""

import numpy as np
import pytest

from tests.worlds.rated import rated
from w2s_probes import InputError, LabelSet
from w2s_probes.filtering import raters_filter
from w2s_probes.raters import disagreement


def test_the_most_disputed_rows_go_and_rows_of_one_rater_stay() -> None:
    labels = np.array([0.9, 0.6, 0.1, 0.4, 0.5])
    disputed = np.array([0.1, 0.4, 0.0, np.nan, 0.3])
    result = raters_filter(labels, disputed, 0.4)
    assert result.removed.tolist() == [1, 4]
    assert result.reasons.tolist() == ["", "raters disagree", "", "", "raters disagree"]
    assert result.probe == "raters"
    most = raters_filter(labels, disputed, 0.9)
    assert most.removed.tolist() == [0, 1, 4]  # of the others nothing is known, or all agree
    assert (most.requested, most.overshoot) == (4, 0)
    assert raters_filter(LabelSet(np.array(list("abcde"), dtype=object), labels), disputed, 0.2).ids is not None


def test_each_class_loses_the_same_share() -> None:
    p, _ = rated(400, share=0.2)
    labels = p.mean(axis=1)
    result = raters_filter(labels, disagreement(p), 0.1, per_class=True)
    assert result.mix.one.share == pytest.approx(0.1, abs=0.01)
    assert result.mix.zero.share == pytest.approx(0.1, abs=0.01)


def test_of_raters_who_err_alone_the_disputed_rows_are_more_often_wrong() -> None:
    p, truth = rated(2000)
    report = raters_filter(p.mean(axis=1), disagreement(p), 0.2).report(truth)
    assert report["precision"] > 1.3 * report["base_rate"]


def test_nothing_to_filter_by_is_refused() -> None:
    with pytest.raises(InputError, match="no two raters disagree about any of these rows"):
        raters_filter([0.1, 0.9], [0.0, np.nan])
    with pytest.raises(InputError, match="2 labels but the disagreement of 3 rows"):
        raters_filter([0.1, 0.9], [0.0, 0.1, 0.2])
    with pytest.raises(InputError, match="contamination=1 must be in"):
        raters_filter([0.1, 0.9], [0.0, 0.1], 1)
