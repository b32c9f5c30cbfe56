"""Probes beside each other at one layer: cosines by brute force, their figure, and what chance reaches."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from analyses.saliency import as_png, probe_cosines
from tests.worlds.sweeping import planted_store
from w2s_probes import InputError, LogisticProbe
from w2s_probes.foretelling import compared_probes
from w2s_probes.probes.saving import save_probe


def test_probes_that_found_one_direction_are_alike_and_beyond_what_random_ones_reach(tmp_path: Path) -> None:
    world = planted_store(tmp_path / "acts", d=24)
    table = world.table.sort_values("id")
    ids = table["id"].to_numpy(dtype=object)
    X = world.layers[2][world.rows(ids)]
    labels, truth = (table[name].to_numpy(dtype=float) for name in ("label", "truth"))
    luck = np.random.default_rng(0).permutation(truth)
    probes = {"weak": LogisticProbe().fit(X, labels), "truth": LogisticProbe().fit(X, truth)}
    save_probe(LogisticProbe().fit(X, luck), tmp_path / "luck.safetensors")
    given = {**probes, "<luck>": tmp_path / "luck.safetensors"}
    found = probe_cosines(world.store, given, layer=2, ids=ids.tolist())
    matrix = found.cosines.matrix
    scores = X.astype(np.float64) @ np.stack([probes["weak"].coef_[0], probes["truth"].coef_[0]]).T
    assert matrix.loc["weak", "truth"] == pytest.approx(np.corrcoef(scores.T)[0, 1])
    assert np.array_equal(matrix, matrix.T)
    alike, other, _ = found.cosines.pairs
    assert alike.cosine.estimate.value > 0.8 > alike.by_chance
    assert (other.first, other.second) == ("weak", "<luck>")
    assert abs(other.cosine.estimate.value) < other.by_chance
    assert found.to_frame()["value"].tolist() == [pair.cosine.estimate.value for pair in found.cosines.pairs]
    assert "does not say which layer and model" in found.remarks[0]
    assert found.remarks[0] in repr(found)
    save_probe(LogisticProbe().fit(X, luck), tmp_path / "luck.safetensors", fitted_to=(world.store, 2))
    assert probe_cosines(world.store, given, layer=2, ids=ids.tolist()).remarks == ()
    with pytest.raises(InputError, match="fitted to layer 2, not 1"):
        probe_cosines(world.store, given, layer=1)
    html = found._repr_html_()
    assert "does not say which layer and model" in html
    assert "ProbeCosines</b>, layer 2" in html
    assert "&lt;luck&gt;" in html
    assert "layer 2, 160 rows" in repr(found)
    drawn = found.figure()
    assert isinstance(drawn, Figure)
    assert as_png(drawn).startswith(b"\x89PNG")
    assert "one in twenty random directions reaches" in drawn.get_supxlabel()
    groups = {name: at // 4 for at, name in enumerate(ids)}
    grouped = probe_cosines(world.store, probes, layer=2, ids=ids.tolist(), groups=groups).to_frame()
    assert grouped["value"][0] == pytest.approx(matrix.loc["weak", "truth"])
    assert grouped["low"][0] != pytest.approx(alike.cosine.estimate.low)
    with pytest.raises(InputError, match="wide: the direction is of width 3, the layer of width 24"):
        probe_cosines(world.store, {"weak": probes["weak"], "wide": np.ones(3)}, layer=2)
    with pytest.raises(InputError, match="1 probes: give two or more"):
        probe_cosines(world.store, {"weak": probes["weak"]}, layer=2)


def test_chance_is_what_random_directions_reach_where_few_components_hold_the_variance() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 20)) * np.r_[30, np.ones(19)]  # any direction ranks rows by the first number
    narrow = compared_probes({"a": rng.normal(size=20), "b": rng.normal(size=20)}, X)
    (pair,) = narrow.pairs
    assert pair.by_chance > 0.95
    even = compared_probes({"a": rng.normal(size=20), "b": rng.normal(size=20)}, rng.normal(size=(500, 20)))
    # The cosine of a random direction in d dimensions has variance 1 / d.
    assert even.pairs[0].by_chance == pytest.approx(1.96 / np.sqrt(20), rel=0.2)
    assert np.isnan(compared_probes({"a": np.ones(20), "b": X[0]}, X, draws=0).pairs[0].by_chance)
