"""Directions and their controls, held-out rows, ranks and intervals, and a planted direction on the miniature."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import ttest_1samp

from extract.asking import Asking
from extract.extractor import Extraction, extract
from extract.steering import Directions, HeldRows, Steered, Steering, steer, write_steered
from extract.steering.movement import mean_over_groups, rank_p, scored
from extract.steering.steer_files import STEER_COLUMNS, STEER_METRICS
from tests.conftest import ROOT
from w2s_probes import ActivationStore, InputError, LogisticProbe, auroc
from w2s_probes.io.tables import read_table
from w2s_probes.labels.label_file import LabelFile
from w2s_probes.probes import save_probe
from w2s_probes.rows.ids import with_ids

MINIATURE = ROOT / "data" / "miniature"
QUIET: dict[str, Any] = {"answers": ("noisy", "quiet"), "prompt": "{text}"}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[ActivationStore, pd.DataFrame, pd.DataFrame]:
    """The miniature's store of 300 rows, their weak labels, a fifth of them wrong, and 24 rows held out."""
    table = with_ids(read_table(MINIATURE / "rows" / "miniature_sound" / "train.jsonl.gz"), "sound")[:324]
    table = table.assign(truth=table["label"])
    wrong = np.random.default_rng(0).random(324) < 0.2
    table["label"] = np.where(wrong, 1 - table["truth"], table["truth"]).astype(float)
    learned, held = table[:300], table[300:].reset_index(drop=True)
    plan = Extraction.plan(str(MINIATURE / "strong"), learned)
    return extract(plan, tmp_path_factory.mktemp("sound") / "acts"), learned, held


def steered(sound: Any, **options: Any) -> Steered:
    store, learned, held = sound
    return steer(str(MINIATURE / "strong"), store, learned, held, **{"layer": 2, "random": 19, **options})


def test_a_probes_direction_moves_a_later_probe_beyond_every_random_direction(sound: Any) -> None:
    found = steered(sound, read="layer:4", strengths=[0, 2, -2])
    nothing, up = found.results[1], found.results[2]
    assert found.strengths == (-2.0, 0.0, 2.0)
    assert (found.moved[:, 1] == 0).all()
    assert nothing.log_odds.value == 0
    assert up.log_odds.low > 1
    assert found.results[0].log_odds.high < -1
    for result in (found.results[0], up):
        assert [one.p_toward for one in result.beside] == [0.05] * 3
        assert [one.p_size for one in result.beside] == [0.05] * 3


def test_label_words_move_and_the_band_of_directions_that_vary_as_activations_is_the_wider_one(sound: Any) -> None:
    found = steered(sound, layer=1, strengths=[4], controls=["isotropic", "covariance"], **QUIET)
    (only,) = found.results
    isotropic, covariance = only.beside
    assert only.log_odds.low > 0
    assert isotropic.p_toward == 0.05
    # What isotropic directions would let pass as the probe's own: those of the layer's covariance move words further.
    assert covariance.high - covariance.low > 2 * (isotropic.high - isotropic.low)
    asked = Asking.plan(str(MINIATURE / "strong"), found.rows.table, **QUIET).run()
    assert found.base == pytest.approx(asked.log_odds, abs=1e-4)
    assert found.base_said == pytest.approx(asked.said, abs=1e-5)


def test_ablation_reports_auroc_before_and_after_and_takes_more_than_random_ones_do(sound: Any) -> None:
    found = steered(sound, read="layer:4", by="ablate", controls=["covariance"])
    (only,) = found.results
    held = sound[2]
    assert found.base_auroc == (scored(held["label"].to_numpy(), found.base), auroc(held["truth"], expit(found.base)))
    assert only.auroc_truth == pytest.approx(auroc(held["truth"], expit(found.log_odds[0, 0])))
    assert np.isnan(only.strength)
    assert np.isnan(only.beside[0].p_toward)
    assert only.beside[0].p_size == 0.05
    table = found.to_frame()
    assert set(table["kind"]) == {"base", "probe", "covariance"}
    assert table["oracle"].tolist() == (table["metric"] == "auroc_truth").tolist()


def test_directions_are_units_seeded_and_as_they_say(sound: Any) -> None:
    store, learned, _ = sound
    X, y = store.layer(2), learned["label"].to_numpy()
    one = Directions.fit(store, learned, layer=2, later=4, random=60, l2=0.1)
    again, other = (Directions.fit(store, learned, layer=2, random=2, l2=0.1, seed=seed) for seed in (0, 1))
    assert np.linalg.norm(one.vectors, axis=1) == pytest.approx(1)
    w = LogisticProbe(0.1).fit(X, y).coef_[0]
    assert one.vectors[0] == pytest.approx(w / np.linalg.norm(w), abs=1e-6)
    assert one.scale == pytest.approx((X @ one.vectors[0]).std(), rel=1e-5)
    assert one.later is not None
    assert one.later.log_odds(store.layer(4)) == pytest.approx(
        LogisticProbe(0.1).fit(store.layer(4), y).decision_function(store.layer(4)), abs=1e-4
    )
    first = np.array(one.kinds)
    covariance = one.vectors[first == "covariance"]
    leading = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[2][:5]
    share = ((covariance @ leading.T) ** 2).sum(axis=1).mean()
    assert share > 3 * ((one.vectors[first == "isotropic"] @ leading.T) ** 2).sum(axis=1).mean()
    assert again.vectors[1] == pytest.approx(one.vectors[1])
    assert np.abs(again.vectors[1:] - other.vectors[1:]).max() > 0.01
    assert again.vectors[0] == pytest.approx(other.vectors[0])


def test_rows_that_were_learned_from_are_refused_by_id_text_and_group(sound: Any) -> None:
    store, learned, held = sound
    file = LabelFile.read(learned.assign(group=[f"g{i // 2}" for i in range(len(learned))]))
    text = held.assign(text=[learned["text"].iloc[7], *held["text"][1:]])
    cases = {
        "their id, first": held.assign(id=[learned["id"].iloc[3], *held["id"][1:]]),
        "their id": text,  # ids are made from texts here
        "their text or group": held.assign(group=["g3", *[None] * (len(held) - 1)]),
    }
    for said, table in cases.items():
        with pytest.raises(InputError, match=f"1 of 24 rows are among those that the probe learned.*{said}"):
            HeldRows.of(table, file, "test")
    assert len(HeldRows.of(text, file, "test", allow_overlap=True).table) == 24
    assert HeldRows.of(held.drop(columns=["label", "truth"]), file, "test").weak is None
    with pytest.raises(InputError, match="are among those"):
        steer(str(MINIATURE / "strong"), store, learned, learned[:5], layer=2)


def test_what_does_not_fit_is_refused_before_weights_are_loaded(sound: Any, checkpoint: Callable[..., Path]) -> None:
    store, learned, held = sound
    strong = str(MINIATURE / "strong")

    def refused(said: str, model: str = strong, **options: Any) -> None:
        with pytest.raises(InputError, match=said):
            steer(model, store, learned, held, **{"layer": 2, **options})

    refused("was made by other weights", str(checkpoint()))
    refused("layer 7 is outside 0..4", layer=7)
    refused("layer:2 is not after the steered layer 2", read="layer:2")
    refused("layer:1 is not after", read="layer:1")
    refused(r"shape \(3,\), and the layer's vectors are \(64,\)", direction=np.ones(3))
    refused("direction is NaN or infinite", direction=np.full(64, np.nan))
    refused("direction is 0", direction=np.zeros(64))
    refused("a finite number is needed", strengths=[1, np.inf], read="layer:4")
    refused("--random 0: give at least 1", random=0)
    refused("'isotopic': did you mean 'isotropic'", controls=["isotopic"])
    refused("--probe knn: it judges by neighbours", probe="knn")
    refused("--probe contrast: it reads contrast pairs", probe="contrast")
    refused("--strength is for --by add", by="ablate", strengths=[1], read="layer:4")
    refused("by 'adds': did you mean 'add'", by="adds", read="layer:4")
    refused("answer 'no'", answers=("no", "yes"), prompt="{text}")
    narrow = replace(Directions.fit(store, learned, layer=2, random=1), vectors=np.eye(3))
    with pytest.raises(InputError, match=r"directions of width 3, and .* has vectors of 64"):
        Steering.plan(strong, store, narrow, HeldRows.of(held, LabelFile.read(learned), "test"), **QUIET)


def test_a_store_of_every_token_and_a_model_without_a_head_are_refused(
    rows: pd.DataFrame, checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    labels = rows[:30].assign(label=[0, 1] * 15)
    every = extract(Extraction.plan(str(checkpoint("bert")), rows[:30], position="all"), tmp_path / "all")
    with pytest.raises(InputError, match="holds every token"):
        steer(str(checkpoint("bert")), every, labels, rows[30:], layer=1, read="layer:2")
    first = extract(Extraction.plan(str(checkpoint("bert")), rows[:30], position="first"), tmp_path / "first")
    with pytest.raises(InputError, match="classifiers cannot answer"):
        steer(str(checkpoint("bert")), first, labels, rows[30:], layer=1)
    found = steer(str(checkpoint("bert")), first, labels, rows[30:], layer=1, read="layer:2", random=2)
    assert found.log_odds.shape == (7, 3, 10)


def test_a_saved_probe_is_steered_by_and_one_of_another_width_is_not(sound: Any, tmp_path: Path) -> None:
    store, learned, _ = sound
    probe = LogisticProbe().fit(store.layer(2), learned["label"])
    save_probe(probe, tmp_path / "probe.safetensors")
    save_probe(LogisticProbe().fit(store.layer(2)[:, :5], learned["label"]), tmp_path / "narrow.safetensors")
    own = Directions.fit(store, learned, layer=2, random=1)
    loaded = Directions.fit(store, learned, layer=2, random=1, probe=str(tmp_path / "probe.safetensors"))
    assert loaded.vectors == pytest.approx(own.vectors)
    assert "does not say which layer" in loaded.remarks[0]
    save_probe(probe, tmp_path / "probe.safetensors", fitted_to=(store, 2))
    told = Directions.fit(store, learned, layer=2, random=1, probe=str(tmp_path / "probe.safetensors"))
    assert (told.vectors == loaded.vectors).all()
    assert told.remarks == ()
    with pytest.raises(InputError, match="it was fitted to layer 2, not 3"):
        Directions.fit(store, learned, layer=3, random=1, probe=str(tmp_path / "probe.safetensors"))
    with pytest.raises(InputError, match=r"shape \(5,\), and the layer's vectors are \(64,\)"):
        Directions.fit(store, learned, layer=2, probe=str(tmp_path / "narrow.safetensors"))


def test_controls_of_a_saved_probe_have_its_penalty(sound: Any, tmp_path: Path) -> None:
    store, learned, _ = sound
    X, saved = store.layer(2), str(tmp_path / "probe.safetensors")
    save_probe(LogisticProbe(10.0).fit(X, learned["label"]), tmp_path / "probe.safetensors")
    options: dict[str, Any] = {"layer": 2, "later": 4, "random": 3}
    loaded = Directions.fit(store, learned, probe=saved, **options)
    fitted = Directions.fit(store, learned, l2=10.0, **options)
    assert loaded.l2 == fitted.l2 == 10.0
    assert loaded.vectors == pytest.approx(fitted.vectors, abs=1e-6)
    assert loaded.later is not None
    assert fitted.later is not None
    assert loaded.later.coef == pytest.approx(fitted.later.coef, rel=1e-6)
    with pytest.raises(InputError, match="has its own penalty: leave --l2 out"):
        Directions.fit(store, learned, probe=saved, l2=1.0, **options)


def test_permuted_labels_stay_together_in_groups(sound: Any) -> None:
    """Where groups of like rows share a label at random, permuted probes read as much of the layer as the own one."""
    store, learned, _ = sound
    X = store.layer(2) - store.layer(2).mean(axis=0)
    group = np.argsort(np.argsort(X[:, 0])) // 50  # six groups of rows that are alike
    rng, beyond = np.random.default_rng(0), {"group": 0, "none": 0}
    for sides in (rng.permutation([0.1, 0.1, 0.1, 0.9, 0.9, 0.9]) for _ in range(4)):
        for field in beyond:
            table = learned.assign(label=sides[group]).assign(**{field: [f"g{code}" for code in group]})
            one = Directions.fit(store, table, layer=2, random=20, controls=["permuted"], l2=1.0)
            read = (X @ one.vectors.T).std(axis=0)  # how much of the layer's variation each direction takes
            beyond[field] += int(read[0] > np.quantile(read[1:], 0.9))
    assert beyond["group"] < beyond["none"]


def test_ranks_and_intervals_are_those_of_their_definitions() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=12)
    low, high = ttest_1samp(values, 0).confidence_interval(0.95)
    found = mean_over_groups(values, None)
    assert (found.value, found.low, found.high) == pytest.approx((values.mean(), low, high))
    pairs = mean_over_groups(np.repeat(values, 2), np.repeat(np.arange(12), 2))
    assert (pairs.low, pairs.high) == pytest.approx((low, high))
    assert np.isnan(mean_over_groups(values[:1], None).low)
    # Of exchangeable draws every rank is as likely: P(p <= k / 20) is k / 20.
    draws = rng.normal(size=(4000, 20))
    ranks = np.array([rank_p(row[0], row[1:]) for row in draws])
    assert [(ranks <= k / 20).mean() for k in (1, 5, 10)] == pytest.approx([0.05, 0.25, 0.5], abs=0.03)


def test_the_files_hold_what_was_found(sound: Any, tmp_path: Path) -> None:
    store, learned, held = sound
    held = HeldRows.of(held.assign(group=np.arange(24) // 2), LabelFile.read(learned), "test")
    directions = Directions.fit(store, learned, layer=2, later=3, random=3, controls=["isotropic"])
    found = Steering.plan(str(MINIATURE / "strong"), store, directions, held).run()
    record = write_steered(found, tmp_path / "steer.json")
    table = read_table(tmp_path / "steer.csv")
    assert tuple(table) == STEER_COLUMNS
    assert set(table["metric"]) == set(STEER_METRICS) - {"said"}
    at_two = pd.to_numeric(table["strength"]) == 2
    moved = table[(table["metric"] == "moved") & (table["kind"] == "isotropic") & at_two]
    assert moved["value"].to_numpy(float) == pytest.approx(found.moved[1:, 1].mean(axis=1))
    assert (record["n"], record["groups"], record["strengths"]) == (24, 12, [1, 2, 4])
    assert record["remarks"][-1].startswith("3 random directions can give no p below 0.25")
    assert (tmp_path / "steer.png").read_bytes()[1:4] == b"PNG"
    write_steered(found, tmp_path / "steer.json")  # its own record may be written over, another's may not
    (tmp_path / "other.csv").write_text("a\n")
    (tmp_path / "run.json").write_text("{}")
    for name, said in (("other.json", "is of no steering"), ("run.json", "no record of a steering"), ("x.txt", "json")):
        with pytest.raises(InputError, match=said):
            write_steered(found, tmp_path / name)


def test_rows_that_end_before_the_first_changed_token_are_refused(sound: Any) -> None:
    with pytest.raises(InputError, match=r"from_token = 500: \d+ of \d+ rows have no such token, first '"):
        steered(sound, read="layer:4", from_token=500)
