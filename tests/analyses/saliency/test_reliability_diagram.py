"""The reliability diagram of a notebook: what is drawn are the bins, and it says each one's calibration error."""

import numpy as np
import pytest
from scipy.special import expit

from analyses.saliency import reliability_diagram
from w2s_probes.calibration import cross_calibrated, reliability_bins
from w2s_probes.errors import InputError
from w2s_probes.labels.label_set import LabelSet
from w2s_probes.metrics import METRICS

RNG = np.random.default_rng(0)
Z = RNG.normal(size=400)
P, TRUTH = expit(3 * Z + 1), (RNG.uniform(size=400) < expit(Z)).astype(float)


def test_points_and_bars_are_those_of_the_bins() -> None:
    sides = {"before": P, "after $x$": cross_calibrated(P, TRUTH)}
    picture = reliability_diagram(TRUTH, sides)
    upper, lower = picture.axes
    points = [line for line in upper.lines if line.get_marker() not in ("None", "", None)]
    assert len(points) == len(lower.collections) == 2
    for line, bars, (name, p) in zip(points, lower.collections, sides.items(), strict=True):
        bins = reliability_bins(TRUTH, p)
        assert np.array_equal(line.get_xdata(), bins["mean_score"])
        assert np.array_equal(line.get_ydata(), bins["share"])
        ends = [segment[:, 1] for segment in bars.get_segments()]  # type: ignore[attr-defined]
        assert np.array_equal(ends, [[0, rows] for rows in bins["rows"]])
        error = f"{METRICS['ece'](TRUTH, p):.3f}"
        assert any(error in text for text in upper.get_legend_handles_labels()[1]), name
    assert picture.png()[:4] == b"\x89PNG"


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(InputError, match="0 scores: a diagram shows one to 5"):
        reliability_diagram(TRUTH, {})
    ids = np.array([f"r{row}" for row in range(400)], dtype=object)
    with pytest.raises(InputError, match="of other rows, or in another order"):
        reliability_diagram(LabelSet(ids, TRUTH, "truth"), {"a": LabelSet(ids[::-1], P)})
