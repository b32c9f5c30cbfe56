"""The MLP probe: a torch loop's numbers, finite differences, what a line cannot learn, and nothing in noise."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, log_expit, logit
from threadpoolctl import threadpool_limits

from tests.conftest import planted
from tests.w2s_probes.sweep.test_sweep import sides, value
from tests.worlds.sweeping import planted_store
from w2s_probes import InputError, LogisticProbe, auroc, load_probe, relabel, save_probe
from w2s_probes.probes import MLPProbe
from w2s_probes.probes.mlp_training import Networks, StandardColumns, batches, begun, train
from w2s_probes.rows.folds import fold_numbers
from w2s_probes.sweep import sweep


def xor(n: int, seed: int, d: int = 6, noise: float = 0.2) -> tuple[NDArray[np.float32], Any, Any]:
    """Rows (n, d) whose class is whether their first two columns have one sign; labels with an exact share wrong."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)).astype(np.float32)
    truth = (X[:, 0] * X[:, 1] > 0).astype(float)
    weak = truth.copy()
    wrong = rng.permutation(n)[: round(noise * n)]
    weak[wrong] = 1 - weak[wrong]
    return X, weak, truth


def test_its_slopes_are_those_of_finite_differences() -> None:
    rng = np.random.default_rng(0)
    sizes = ((2, 4, 3), (2, 4), (2, 4), (2,))
    networks = Networks(*(rng.normal(size=shape) for shape in sizes))  # type: ignore[arg-type]  # float64 here
    X: Any
    y: Any
    share: Any
    X, y, share = rng.normal(size=(7, 3)), rng.uniform(size=7), rng.uniform(size=(7, 2))

    def loss(of: Networks) -> float:
        hidden = np.maximum(np.einsum("nd,mhd->nmh", X, of.W1) + of.b1, 0)
        log_odds = (hidden * of.w2).sum(axis=2) + of.b2
        return float(-(share * (y[:, None] * log_expit(log_odds) + (1 - y[:, None]) * log_expit(-log_odds))).sum())

    slopes = networks.slopes(X, y, share)
    for name, weights in vars(networks).items():
        for at in np.ndindex(weights.shape):
            moved = []
            for step in (1e-6, -1e-6):
                other = {key: value.copy() for key, value in vars(networks).items()}
                other[name][at] += step
                moved.append(loss(Networks(**other)))
            assert getattr(slopes, name)[at] == pytest.approx((moved[0] - moved[1]) / 2e-6, abs=1e-6)


def test_networks_of_several_penalties_and_folds_are_those_of_a_loop_in_torch() -> None:
    torch: Any = pytest.importorskip("torch")
    X, weak, _ = xor(300, seed=0)
    taught = np.ones((3, 300), dtype=bool)
    taught[1, ::3], taught[2, 100:200] = False, False
    l2, epochs, hidden = [0.0, 1e-3, 1e-1], 4, 5
    standard = StandardColumns.of(X)
    assert standard.rows == pytest.approx((X - X.mean(axis=0)) / X.std(axis=0), abs=1e-5)
    found = train(standard.rows, weak, taught, l2, hidden=hidden, epochs=epochs, seed=3)
    first = begun(weak, taught, 6, hidden, 3)
    batch = 300 // 16
    steps = epochs * -(-300 // batch)
    rows, y = (torch.from_numpy(a).double() for a in (standard.rows, weak))
    for number in range(3):
        weights = {name: torch.tensor(w[number].astype(np.float64)).requires_grad_() for name, w in vars(first).items()}
        pulled = [weights["W1"], weights["w2"]]
        groups = [{"params": pulled, "weight_decay": 2 * l2[number]}, {"params": [weights["b1"], weights["b2"]]}]
        adam = torch.optim.Adam(groups, lr=3e-3)
        falling = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: 1 - step / steps)
        for some in batches(300, batch, epochs, 3):
            own = some[taught[number, some]]
            log_odds = torch.relu(rows[own] @ weights["W1"].T + weights["b1"]) @ weights["w2"] + weights["b2"]
            adam.zero_grad()
            torch.nn.functional.binary_cross_entropy_with_logits(log_odds, y[own]).backward()
            adam.step()
            falling.step()
        for name, weight in weights.items():
            assert getattr(found, name)[number] == pytest.approx(weight.detach().numpy(), abs=2e-4), name
    assert np.abs(found.W1[1] - first.W1[1]).max() > 0.05  # the control: training has moved them


def test_it_learns_what_no_line_can_and_sees_through_label_noise() -> None:
    X, weak, truth = xor(2000, seed=0)
    path = MLPProbe.path(X, weak, l2=[1e-3, 1e-2])
    fresh, _, fresh_truth = xor(1000, seed=1)
    assert auroc(truth, path.out_of_fold[0]) > 0.85
    assert auroc(fresh_truth, path.probe(1e-3).predict_proba(fresh)[:, 1]) > 0.85
    assert abs(auroc(fresh_truth, LogisticProbe(1e-3).fit(X, weak).predict_proba(fresh)[:, 1]) - 0.5) < 0.06  # a line
    data = planted(n=600, noise=0.2)
    assert auroc(data.truth, relabel(MLPProbe(), data.X, data.weak)) > 0.95


def test_permuted_labels_teach_it_nothing_that_others_rows_know() -> None:
    X, weak, _ = xor(1000, seed=2)
    shuffled = np.random.default_rng(0).permutation(weak)
    assert abs(auroc(shuffled, relabel(MLPProbe(1e-4), X, shuffled)) - 0.5) < 0.06
    assert auroc(shuffled, relabel(MLPProbe(0, 64, epochs=60), X, shuffled, in_sample=True)) > 0.65  # the control


def test_scores_without_a_fold_are_those_of_a_fit_without_its_labels_with_groups_in_one_fold() -> None:
    X, weak, _ = xor(240, seed=3)
    groups = np.arange(240) // 3
    folds = fold_numbers(X, weak, groups=groups, seed=5)
    path = MLPProbe.path(X, weak, l2=[1e-3, 1e-2], cv=folds, epochs=6)
    scores = relabel(MLPProbe(1e-2, epochs=6), X, weak, groups=groups, seed=5)
    assert path.out_of_fold[1] == pytest.approx(scores, abs=1e-5)  # whoever else is in the loop
    standard = StandardColumns.of(X)
    for fold in range(5):
        out = folds == fold
        hidden = np.where(out, 1 - weak, weak)  # its own labels are turned round: nothing may follow from them
        alone = train(standard.rows, hidden, ~out[None], [1e-2], hidden=16, epochs=6, seed=0)
        assert scores[out] == pytest.approx(expit(alone.log_odds(standard.rows[out])[:, 0]), abs=1e-5)
    fitted = MLPProbe(1e-2, epochs=6).fit(X, weak)
    assert path.probe(1e-2).predict_proba(X) == pytest.approx(fitted.predict_proba(X), abs=1e-5)
    assert path.best in (1e-3, 1e-2)
    loss = -(weak * np.log(path.out_of_fold) + (1 - weak) * np.log(1 - path.out_of_fold)).mean(axis=1)
    assert path.to_frame()["cv_loss"].to_numpy() == pytest.approx(loss)
    with pytest.raises(InputError, match=r"l2=0.5 is not on the path: 0.001, 0.01"):
        path.probe(0.5)


def test_threads_change_no_number() -> None:
    X = np.random.default_rng(0).normal(size=(700, 300)).astype(np.float32)
    y = (X[:, 0] > 0).astype(float)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            probe = MLPProbe(epochs=3).fit(X, y)
            found.append((probe.hidden_coef_, probe.output_coef_))
    assert np.array_equal(found[0][0], found[1][0])
    assert np.array_equal(found[0][1], found[1][1])


def test_its_gradient_is_the_slope_of_its_log_odds() -> None:
    X, weak, _ = xor(300, seed=4)
    X = X * np.float32(3) + np.float32(50)  # as columns that are not standardised
    probe = MLPProbe(1e-3, epochs=10).fit(X, weak)
    for at in range(6):
        step = np.zeros(6, dtype=np.float32)
        step[at] = 2**-10
        slope = (probe.decision_function(X + step) - probe.decision_function(X - step)) / 2**-9
        assert np.median(np.abs(slope - probe.gradient(X)[:, at])) < 1e-6  # but where a unit turns on in between


def test_units_and_scales_of_columns_do_not_count_and_constant_ones_are_left_out() -> None:
    X, weak, _ = xor(300, seed=5)
    plain = MLPProbe(epochs=5).fit(X, weak).decision_function(X)
    scale, mean = np.array([[1, 1e3, 1e-6, 2, 64, 0.1], [0, 100, 1e-3, 1000, 0, 7]], dtype=np.float32)
    moved = MLPProbe(epochs=5).fit(X * scale + mean, weak).decision_function(X * scale + mean)
    assert moved == pytest.approx(plain, abs=0.02)  # rounding of large means in float32
    X[:, 5] = 3
    probe = MLPProbe(epochs=5).fit(X, weak)
    assert (probe.hidden_coef_[:, 5] == 0).all()
    X[:, 5] = -1e9
    assert np.isfinite(probe.decision_function(X)).all()


def test_soft_labels_are_learned_as_such() -> None:
    X = np.zeros((400, 2), dtype=np.float32)
    X[::2] = 1
    soft = np.where(X[:, 0] > 0, 0.8, 0.4)
    learned = MLPProbe(0, epochs=60).fit(X + np.random.default_rng(0).normal(0, 1e-3, X.shape), soft)
    assert learned.predict_proba([[1, 1], [0, 0]])[:, 1] == pytest.approx([0.8, 0.4], abs=0.02)


def test_a_sweep_has_the_scores_of_relabel_and_of_a_fit_and_chooses_among_them(tmp_path: Path) -> None:
    world = planted_store(tmp_path / "acts", apart=(0.0, 2.0))
    result = sweep(world.path, world.table, mlp_l2=[1e-3, 1e-1], logistic_l2=1e-2, seeds=[0, 4])
    rows = sides(world)
    X, other = (world.layers[1][world.rows(side.ids)] for side in (rows.training, rows.held_out))
    for seed in (0, 4):
        for l2 in (1e-3, 1e-1):
            here = {"layer": 1, "probe": "mlp", "l2": l2, "seed": seed, "metric": "weak_brier"}
            inside = relabel(MLPProbe(l2), X, rows.training.p, seed=seed)
            assert value(result, rows="training", **here) == pytest.approx(((inside - rows.training.p) ** 2).mean())
            outside = MLPProbe(l2).fit(X, rows.training.p).predict_proba(other)[:, 1]
            assert value(result, rows="held-out", **here) == pytest.approx(((outside - rows.held_out.p) ** 2).mean())
    assert result.grid("mlp", "weak_brier").shape == (2, 2)
    assert (result.table["status"] == "ok").all()


def test_it_is_saved_and_found_again(tmp_path: Path) -> None:
    X, weak, _ = xor(100, seed=7)
    fitted = MLPProbe(1e-3, 8, 3, 1).fit(X, weak)
    save_probe(fitted, tmp_path / "mlp")
    loaded = load_probe(tmp_path / "mlp")
    assert repr(loaded) == repr(fitted) == "MLPProbe(epochs=3, hidden=8, l2=0.001, seed=1)"
    assert np.array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    assert logit(loaded.predict_proba(X)[:, 1]) == pytest.approx(loaded.decision_function(X))
    assert loaded.gradient(X).shape == (100, 6)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"hidden": 0}, "hidden=0: at least 1 is needed"),
        ({"epochs": 2.5}, "epochs=2.5"),
        ({"l2": -1}, r"l2=-1 must be in \[0, 1e\+08\]"),
        ({"l2": float("nan")}, "l2=nan must be in"),
    ],
)
def test_bad_settings_and_labels_are_one_line(settings: Any, said: str) -> None:
    X, weak, _ = xor(40, seed=6)
    with pytest.raises(InputError, match=said):
        MLPProbe(**settings).fit(X, weak)
    with pytest.raises(InputError, match="one class only"):
        MLPProbe().fit(X, np.ones(40))
    with pytest.raises(InputError, match="5 folds need at least 5 groups of distinct rows in each class"):
        relabel(MLPProbe(), np.ones((40, 2)), weak)
    with pytest.raises(ValueError, match="X has 5 features, but MLPProbe is expecting 6"):
        MLPProbe(epochs=1).fit(X, weak).predict_proba(X[:, :5])
    assert np.isfinite(MLPProbe(1e8, epochs=2).fit(X, weak).predict_proba(X)).all()
