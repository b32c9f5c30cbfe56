"""The attention probe on planted tokens beside its control, out of sample, saved, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone

from tests.worlds.token_rows import token_world
from w2s_probes import InputError, LogisticProbe, auroc, load_probe, save_probe
from w2s_probes.probes import AttentionProbe, probe_name, token_rows
from w2s_probes.probes import attention_training as training
from w2s_probes.store import StoredTokens, TokenActivations


def test_on_a_needle_attention_finds_what_the_mean_of_the_tokens_cannot() -> None:
    world, held_out = token_world("needle", 0), token_world("needle", 100)
    attention = AttentionProbe(hidden=16, epochs=80).fit(world.tokens, world.weak)
    mean = AttentionProbe(pool="mean").fit(world.tokens, world.weak)
    frame = attention.token_scores(held_out.tokens)
    marks = held_out.marks.astype(float)
    ours, control = (auroc(held_out.truth, probe.decision_function(held_out.tokens)) for probe in (attention, mean))
    assert 0.90 < ours < 0.97
    assert 0.63 < control < 0.75
    assert ours - control > 0.15
    assert auroc(marks, frame["attention"]) > 0.90
    assert auroc(marks, (frame["score"] - frame["score"].mean()).abs()) < 0.65
    assert 0.6 < frame["attention"][held_out.marks].sum() / len(held_out.truth) < 0.75


def test_where_every_token_counts_alike_the_mean_is_the_better_probe() -> None:
    world, held_out = token_world("additive", 0), token_world("additive", 100)
    attention = AttentionProbe(hidden=16, epochs=150).fit(world.tokens, world.weak)
    mean = AttentionProbe(pool="mean").fit(world.tokens, world.weak)
    ours, control = (auroc(held_out.truth, probe.decision_function(held_out.tokens)) for probe in (attention, mean))
    assert 0.81 < ours < 0.865
    assert 0.84 < control < 0.89
    assert control >= ours
    positive = np.repeat(held_out.truth > 0.5, 20)
    marks = held_out.marks[positive].astype(float)
    frame, flat = (probe.token_scores(held_out.tokens)[positive] for probe in (attention, mean))
    assert (
        auroc(marks, flat["score"]) > 0.98 > auroc(marks, frame["attention"] * (frame["score"] - frame["score"].mean()))
    )


def test_permuted_labels_give_a_band_of_token_figures_and_nothing_of_rows() -> None:
    world = token_world("needle", 1, n=300)
    draws = AttentionProbe(hidden=8, epochs=10).permuted(world.tokens, world.weak, draws=6)
    rows = [auroc(world.truth, probe.decision_function(world.tokens)) for probe in draws]
    assert len({round(value, 6) for value in rows}) == 6
    assert 0.3 < min(rows) < max(rows) < 0.7
    for probe in draws:
        assert probe.get_params() == AttentionProbe(hidden=8, epochs=10).get_params()


def test_permuted_labels_keep_those_of_a_group_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    world = token_world("needle", 1, n=40)
    y = np.repeat(np.where(np.arange(20) % 2, 0.9, 0.1), 2)
    seen: list[NDArray[np.float64]] = []

    def trained(_fits: object, labels: NDArray[np.float64], _taught: object) -> list[object]:
        seen.append(labels)
        return []

    monkeypatch.setattr("w2s_probes.probes.attention_fits.AttentionFits.trained", trained)
    AttentionProbe().permuted(world.tokens, y, draws=3, groups=np.repeat(np.arange(20), 2))
    for dealt in seen[0]:
        assert sorted(dealt) == sorted(y)
        assert (dealt.reshape(20, 2)[:, 0] == dealt.reshape(20, 2)[:, 1]).all()
        assert not np.array_equal(dealt, y)


def test_a_training_row_is_read_by_a_probe_that_did_not_see_its_group() -> None:
    world = token_world("needle", 2, n=120)
    noise = np.where(np.random.default_rng(0).random(60) < 0.5, 0.9, 0.1).repeat(2)
    twice = world.tokens.take(np.arange(60).repeat(2))  # every row twice, whose labels are noise
    probe = AttentionProbe(hidden=16, epochs=40).fit(twice, noise)
    cross = probe.cross_fitted_
    assert (cross.folds.reshape(60, 2)[:, 0] == cross.folds.reshape(60, 2)[:, 1]).all()
    assert auroc(noise, probe.predict_proba(twice)[:, 1]) > 0.9 > 0.7 > auroc(noise, probe.out_of_sample_)
    for number, fold_probe in enumerate(cross.probes):
        rows = np.flatnonzero(cross.folds == number)
        assert fold_probe.predict_proba(twice.take(rows))[:, 1] == pytest.approx(probe.out_of_sample_[rows], abs=1e-6)
        assert fold_probe.pool(twice.take(rows)) == pytest.approx(cross.pooled[rows], abs=1e-5)
    frame = cross.token_scores
    assert frame.columns[-1] == "fold"
    logits = frame.groupby(np.repeat(np.arange(120), 20))["contribution"].sum()
    assert 1 / (1 + np.exp(-logits.to_numpy())) == pytest.approx(probe.out_of_sample_, abs=1e-6)
    grouped = AttentionProbe(hidden=4, epochs=1).fit(world.tokens, world.weak, groups=np.arange(120) // 3, folds=3)
    assert (grouped.cross_fitted_.folds.reshape(40, 3).std(axis=1) == 0).all()


def test_probes_that_are_trained_together_are_those_trained_alone() -> None:
    world = token_world("needle", 3, n=200)
    probe = AttentionProbe(hidden=4, epochs=3, seed=1).fit(world.tokens, world.weak)
    together = probe.permuted(world.tokens, world.weak, draws=2)
    again = AttentionProbe(hidden=4, epochs=3, seed=1).permuted(world.tokens, world.weak, draws=1)
    assert together[0].coef_ == pytest.approx(again[0].coef_, abs=1e-5)
    assert AttentionProbe(hidden=4, epochs=3, seed=1).fit(world.tokens, world.weak).coef_ == pytest.approx(probe.coef_)


def test_the_mean_is_the_logistic_probe_of_the_standardised_means() -> None:
    world = token_world("additive", 4, n=300)
    values = world.tokens.values.astype(np.float64)
    means = values.reshape(300, 20, 32).mean(axis=1)
    standard = (means - values.mean(axis=0)) / values.std(axis=0)
    expected = LogisticProbe(1e-3).fit(standard, world.weak).decision_function(standard)
    assert AttentionProbe(pool="mean").fit(world.tokens, world.weak).decision_function(world.tokens) == pytest.approx(
        expected, abs=1e-3
    )


def test_tokens_left_on_disk_are_learned_like_those_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    world = token_world("needle", 5, n=300)
    assert world.tokens.ids is not None
    place = {name: row for row, name in enumerate(world.tokens.ids)}
    reads = []

    def read(ids: np.ndarray) -> TokenActivations:
        reads.append(len(ids))
        return world.tokens.take(np.array([place[name] for name in ids]))

    stored = StoredTokens(world.tokens.offsets, world.tokens.token_ids, world.tokens.ids, 32, read)
    whole = AttentionProbe(hidden=4, epochs=3).fit(world.tokens, world.weak)
    assert AttentionProbe(hidden=4, epochs=3).fit(stored, world.weak).coef_ == pytest.approx(whole.coef_, abs=1e-6)
    monkeypatch.setattr(training, "KEPT_BYTES", 100 * 20 * 32 * 4)
    reads.clear()
    parted = AttentionProbe(hidden=4, epochs=3).fit(stored, world.weak)
    assert reads.count(100) == 9  # three parts in each of three epochs
    assert max(reads) <= 300
    in_parts = AttentionProbe(hidden=4, epochs=3).fit(world.tokens, world.weak)
    assert parted.coef_ == pytest.approx(in_parts.coef_, abs=1e-6)  # in memory it is parted alike


@pytest.mark.parametrize(
    "settings", [{}, {"gated": True, "heads": 2}, {"pool": "max"}, {"pool": "mean"}, {"skip_first": True}]
)
def test_a_saved_probe_reads_as_before_and_has_no_training_rows(settings: dict[str, object], tmp_path: Path) -> None:
    world = token_world("needle", 6, n=100)
    probe = AttentionProbe(hidden=4, epochs=2, **settings).fit(world.tokens, world.weak)  # type: ignore[arg-type]
    save_probe(probe, tmp_path / "probe")
    again = load_probe(tmp_path / "probe")
    assert again.get_params() == probe.get_params()
    assert again.predict_proba(world.tokens) == pytest.approx(probe.predict_proba(world.tokens))
    assert probe_name(probe) == "attention"
    with pytest.raises(InputError, match="no training rows at hand"):
        again.out_of_sample_  # noqa: B018
    assert clone(probe).get_params() == probe.get_params()
    assert not hasattr(clone(probe), "coef_")


def test_pool_is_the_name_of_the_pooling_and_pools() -> None:
    world = token_world("needle", 6, n=100)
    probe = AttentionProbe(pool="max").fit(world.tokens, world.weak)
    assert probe.pool == "max"
    scores = probe.token_scores(world.tokens)["score"].to_numpy().reshape(100, 20)
    best = world.tokens.values.reshape(100, 20, 32)[np.arange(100), scores.argmax(axis=1)]
    assert probe.pool(world.tokens) == pytest.approx(best)
    assert repr(clone(probe)) == "AttentionProbe(pool='max')"


def test_two_named_classes_are_learned_as_by_other_probes() -> None:
    world = token_world("needle", 7, n=100)
    names = np.where(world.weak > 0.5, "yes", "no")
    probe = AttentionProbe(hidden=4, epochs=2).fit(world.tokens, names)
    assert set(probe.predict(world.tokens)) <= {"no", "yes"}
    assert probe.classes_.tolist() == ["no", "yes"]


def bad_rows() -> dict[str, tuple[object, object, str]]:
    world = token_world("needle", 8, n=20)
    tokens, y = world.tokens, world.weak
    assert tokens.ids is not None
    empty = TokenActivations(
        tokens.values, np.append(0, tokens.offsets[:-1] + 20 * (tokens.offsets[:-1] > 0)), tokens.token_ids
    )
    broken = tokens.values.copy()
    broken[45] = np.nan
    one = TokenActivations(tokens.values[:20], np.arange(21), tokens.token_ids[:20], tokens.ids)
    return {
        "vectors": (tokens.values, y, "reads tokens, got ndarray: .* --position all"),
        "no tokens": (empty, np.append(y, 0.1)[:20], "row 0 has no token: leave the row out"),
        "first alone": (one, y, "'row-0' has no token after its first, which skip_first leaves out"),
        "one class": (tokens, np.full(20, 0.9), "one class only"),
        "missing labels": (tokens, y[:-1], "19"),
        "not finite": (TokenActivations(broken, tokens.offsets, tokens.token_ids, tokens.ids), y, "1 tokens .*'row-2'"),
        "no rows": (TokenActivations(tokens.values[:0], np.array([0]), tokens.token_ids[:0]), y[:0], "no rows"),
    }


@pytest.mark.parametrize("name", list(bad_rows()))
def test_bad_rows_are_refused_in_one_line(name: str) -> None:
    tokens, y, match = bad_rows()[name]
    with pytest.raises(InputError, match=match) as caught:
        AttentionProbe(epochs=1, skip_first=name == "first alone").fit(tokens, y)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_row_beyond_the_budget_and_one_of_another_width_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    world = token_world("needle", 8, n=20)
    probe = AttentionProbe(hidden=4, epochs=1).fit(world.tokens, world.weak)
    wide = TokenActivations(np.ones((40, 33), np.float32), np.array([0, 40]), np.zeros(40, np.int32))
    with pytest.raises(InputError, match="fitted on 32 columns, these tokens have 33"):
        probe.predict_proba(wide)
    monkeypatch.setattr(token_rows, "MOST_TOKENS", 19)
    with pytest.raises(InputError, match=r"row 'row-0' has 20 tokens, a row may have 19: .* --max-length"):
        probe.predict_proba(world.tokens)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"hidden": 0}, "hidden=0: .* whole number"),
        ({"epochs": 1.5}, "epochs=1.5"),
        ({"heads": True}, "heads=True"),
        ({"pool": "median"}, "pool='median'"),
        ({"l2": -1.0}, "l2=-1.0"),
        ({"l2": float("nan")}, "l2=nan"),
        ({"pool": "mean", "heads": 2}, "heads=2: the mean"),
    ],
)
def test_settings_that_no_probe_has_are_refused(settings: dict[str, object], match: str) -> None:
    world = token_world("needle", 8, n=20)
    with pytest.raises(InputError, match=match):
        AttentionProbe(**settings).fit(world.tokens, world.weak)  # type: ignore[arg-type]
