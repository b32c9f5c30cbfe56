"""Concept saliency finds what was planted where it was planted, and nothing where nothing was."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from scipy.stats import spearmanr
from sklearn.decomposition import PCA

from analyses.saliency import ConceptSaliency, concept_saliency
from analyses.saliency.curve_controls import random_features, range_of_draws
from analyses.saliency.layer_agreement import rank_correlations, similarities
from analyses.saliency.layer_curves import principal_scores
from tests.worlds.planted_stores import PlantedStore, planted_store
from w2s_probes import InputError, KNNProbe, LabelSet
from w2s_probes.metrics.recovery import auroc
from w2s_probes.probes.design import Design

SMALL = {"l2": [1e-2, 1.0], "k": [1, 15], "components": [1, 2, 3, 4], "draws": 3}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> PlantedStore:
    return planted_store(tmp_path_factory.mktemp("concept"))


@pytest.fixture(scope="module")
def blind(world: PlantedStore) -> ConceptSaliency:
    return concept_saliency(world.store, world.weak, **SMALL)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def seeing(world: PlantedStore) -> ConceptSaliency:
    return concept_saliency(world.store, world.weak, truth=world.truth, **SMALL)  # type: ignore[arg-type]


def curve(found: ConceptSaliency, probe: str, layer: int, control: str = "", target: str = "weak") -> pd.DataFrame:
    c = found.curves
    return c[(c.probe == probe) & (c.layer == layer) & (c.control == control) & (c.target == target)]


def number(table: pd.DataFrame, row: int, column: int | str) -> float:
    value: Any = table.loc[row, column]
    return float(value)


def test_a_planted_concept_is_found_where_it_was_planted_and_from_its_component_on(seeing: ConceptSaliency) -> None:
    for layer in (2, 3):
        truth = curve(seeing, "components", layer, target="truth").set_index("components")["value"]
        assert (truth[[1, 2]] < 0.65).all()
        assert (truth[[3, 4]] > 0.95).all()
        assert number(seeing.summary(), layer, "components") == 3
    noise = seeing.summary().loc[1]
    assert noise["low"] < 0.56
    assert seeing.best_layer() in (2, 3)


def test_controls_are_at_chance_and_the_planted_layers_are_far_above_them(blind: ConceptSaliency) -> None:
    controls = blind.curves[blind.curves.control != ""]
    assert len(controls) == 2 * (2 + 1 + 2 + 1 + 4) * 3  # two controls, each value and the chosen one, three layers
    assert controls["value"].between(0.4, 0.6).all()
    assert (controls["draws"] == 3).all()
    for control in ("shuffled labels", "random features"):
        chance = curve(blind, "logistic", 2, control).query("chosen").iloc[0]
        assert chance["low"] < 0.5 < chance["high"]
        assert chance["high"] < curve(blind, "logistic", 2).query("chosen")["low"].iloc[0]


def test_a_layer_at_which_all_rows_are_equal_says_so_and_stops_nothing(blind: ConceptSaliency) -> None:
    lines = blind.curves[blind.curves.layer == 0]
    assert lines["value"].isna().all()
    assert lines["status"].str.contains("distinct rows|not equal").all()
    assert set(lines["probe"]) == {"logistic", "knn"}
    assert blind.scores[0].isna().all()
    assert blind.scores[2].notna().all()


def test_truth_is_read_where_it_was_given_only_and_chooses_nothing(
    world: PlantedStore, blind: ConceptSaliency, seeing: ConceptSaliency
) -> None:
    assert set(blind.curves["target"]) == {"weak"}
    assert "truth" not in blind.summary()
    assert "truth" not in blind._repr_html_() + repr(blind)
    upside_down = replace(world.truth, p=1 - world.truth.p)
    other = concept_saliency(world.store, world.weak, truth=upside_down, **SMALL)  # type: ignore[arg-type]
    for found in (seeing, other):
        same = found.curves[found.curves["target"] == "weak"].reset_index(drop=True)
        pd.testing.assert_frame_equal(same, blind.curves)
        assert found.best_layer() == blind.best_layer()
        assert not found.curves["oracle"].any()
    assert number(other.summary(), 2, "truth") == pytest.approx(1 - number(seeing.summary(), 2, "truth"))


def test_curves_are_those_of_the_probes_themselves(world: PlantedStore, blind: ConceptSaliency) -> None:
    path = KNNProbe.path(world.X[2], world.weak.p, k=[1, 15])
    expected = [auroc(world.weak.p, scores) for scores in path.out_of_sample]
    assert curve(blind, "knn", 2)["value"].tolist() == pytest.approx(expected)
    chosen = curve(blind, "logistic", 2).query("chosen").iloc[0]
    assert chosen["value"] == pytest.approx(auroc(world.weak.p, blind.scores[2].to_numpy()))
    assert chosen["loss"] == curve(blind, "logistic", 2)["loss"].min()


def test_random_features_have_the_layers_covariance_and_equal_rows_stay_equal() -> None:
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(4000, 6)) * [9, 5, 3, 1, 0.5, 0.1] + 100).astype(np.float32)
    X[1] = X[0]
    drawn = random_features(Design.of(X), rng)
    assert np.array_equal(drawn[0], drawn[1])
    np.testing.assert_allclose(np.cov(drawn.T).diagonal(), np.linalg.eigvalsh(np.cov(X.T))[::-1], rtol=0.15)
    assert abs(np.corrcoef(drawn.T) - np.eye(6)).max() < 0.1


def test_principal_scores_are_those_of_a_principal_component_analysis(world: PlantedStore) -> None:
    for X in (world.X[2], world.X[2][:8]):  # also with fewer rows than columns
        ours = principal_scores(Design.of(X), 3)
        theirs = PCA(3).fit_transform(X.astype(np.float64))
        np.testing.assert_allclose(np.abs(ours), np.abs(theirs), rtol=1e-3, atol=1e-3)


def test_layers_are_compared_as_textbooks_do(world: PlantedStore, blind: ConceptSaliency) -> None:
    expected = spearmanr(blind.scores[2], blind.scores[3]).statistic
    assert number(blind.rank_correlation, 2, 3) == pytest.approx(expected)
    assert np.isnan(number(blind.rank_correlation, 0, 2))
    assert number(blind.similarity, 2, 3) == pytest.approx(1, abs=1e-3)  # turned, but the same
    assert number(blind.similarity, 1, 2) < 0.2
    a, b = world.X[1], world.X[2]
    center = np.eye(len(a)) - 1 / len(a)
    K, L = (center @ (X @ X.T).astype(np.float64) @ center for X in (a, b))
    by_kernels = (K * L).sum() / np.sqrt((K * K).sum() * (L * L).sum())  # HSIC of Kornblith et al., eq. 3 and 4
    assert number(similarities({1: a, 2: b}), 1, 2) == pytest.approx(by_kernels, rel=1e-3)
    constant = rank_correlations({0: np.ones(5), 1: np.arange(5.0)})
    assert np.isnan(number(constant, 0, 1))


def test_one_more_draw_falls_into_the_range_of_draws_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    drawn = 0.5 + 0.01 * rng.normal(size=(4000, 5))
    inside = [low <= row[4] <= high for row in drawn for _, low, high in [range_of_draws(row[:4])]]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)
    assert np.isnan(range_of_draws([0.5])[1])


def test_figures_are_drawn_without_a_display(seeing: ConceptSaliency) -> None:
    figures = [seeing.figure(), seeing.regularization_figure(), seeing.components_figure(), seeing.agreement_figure()]
    for figure in figures:
        assert isinstance(figure, Figure)
        assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
    (axes,) = figures[0].axes
    assert {"logistic, by ground truth", "shuffled labels: 95 % range"} <= {str(h.get_label()) for h in axes.lines} | {
        str(h.get_label()) for h in axes.collections
    }
    assert axes.get_xlabel() == "layer (0: embedding)"


def words_in(figure: Figure) -> str:
    shown = [*figure.texts, *(axes.title for axes in figure.axes)]
    return "\n".join(text.get_text() for text in [*shown, *filter(None, [figure._supxlabel])])  # type: ignore[attr-defined]


def test_a_figure_of_components_says_what_it_leaves_out(world: PlantedStore, seeing: ConceptSaliency) -> None:
    text = words_in(seeing.components_figure([2]))
    assert "not drawn: layers 0, 1, 3; components_figure(layers=[…]) draws them" in text
    text = words_in(seeing.components_figure())
    assert "layers 0, 1" not in text
    assert "no number at layers 0: see .summary()" in text
    options: Any = SMALL | {"components": [2, 64], "layers": [2, 3]}
    found = concept_saliency(world.store, world.weak, **options)
    width = world.X[2].shape[1]
    assert f"not drawn somewhere: 64 components (the layer has only {width} components)" in words_in(
        found.components_figure()
    )
    with pytest.raises(InputError, match=r"layers=9: measured were 2, 3"):
        found.components_figure([9])


def test_no_two_things_of_a_figure_have_one_colour(seeing: ConceptSaliency) -> None:
    for axes in (seeing.figure().axes[0], seeing.components_figure([2]).axes[0]):
        lines = {
            str(h.get_label()): to_hex(str(h.get_color())) for h in axes.lines if not str(h.get_label()).startswith("_")
        }
        bands = {
            str(h.get_label()): to_hex(h.get_facecolor()[0])
            for h in axes.collections
            if not str(h.get_label()).startswith("_")
        }
        named = lines | bands
        assert len(named) >= 4
        assert len(set(named.values())) == len(named), named


def test_progress_is_told_layer_by_layer(world: PlantedStore) -> None:
    told: list[tuple[str, int, int]] = []
    options: Any = SMALL | {"layers": [2, 3], "draws": 0}
    concept_saliency(world.store, world.weak, **options, progress=lambda *step: told.append(step))
    assert told == [("layer 2", 0, 2), ("layer 3", 1, 2), ("layers", 2, 2)]


def test_input_that_cannot_be_used_is_refused_in_a_line(world: PlantedStore) -> None:
    store, weak = world.store, world.weak
    one = LabelSet(weak.ids, np.full(len(weak), 0.9))
    stranger = LabelSet(np.array(["nobody", *weak.ids[1:]], dtype=object), weak.p)
    wrong: list[tuple[Callable[[], object], str]] = [
        (lambda: concept_saliency(store, weak, layers=7), "layer 7 is outside 0..3"),
        (lambda: concept_saliency(store, one), "one class only"),
        (lambda: concept_saliency(store, stranger), "no row for 1 of 300 ids: 'nobody'"),
        (lambda: concept_saliency(store, world.truth), "role 'truth'"),
        (lambda: concept_saliency(store, weak, truth=weak), "role 'weak'"),
        (lambda: concept_saliency(store, weak, groups={"row-0": 1}), "groups: nothing for 299 of 300 ids: 'row-1'"),
        (lambda: concept_saliency(store, weak, groups=["a"]), "1 values but 300 labels"),
        (lambda: concept_saliency(store, weak, groups="doc"), "groups: 'doc' names no file (.jsonl, "),
        (lambda: concept_saliency(store, weak, groups="no.jsonl"), "no.jsonl: no such file"),
        (lambda: concept_saliency(store, "weak.jsonl"), "labels: a str, not a LabelSet: LabelSet.read(path) reads one"),  # type: ignore[arg-type]
        (lambda: concept_saliency(store, weak, components=[0]), "at least 1 each"),
        (lambda: concept_saliency(store, weak, layers=0, **SMALL).best_layer(), "no layer could be probed"),  # type: ignore[arg-type]
    ]
    for call, message in wrong:
        with pytest.raises(InputError) as error:
            call()
        assert message in str(error.value)
        assert "\n" not in str(error.value)
