"""Row saliency and the map say of a row what the probes, the neighbours and the filter say."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from analyses.saliency import RowExplorer, row_map, row_saliency
from tests.worlds.planted_stores import PlantedStore, planted_store
from w2s_probes import InputError, LabelSet, LogisticProbe, disagreement_filter, topo_filter
from w2s_probes.filtering.disagreement import FilterResult
from w2s_probes.io.tables import write_table

MARKUP = '<script>alert("x")</script> & <b>bold</b>'


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> PlantedStore:
    made = planted_store(tmp_path_factory.mktemp("rows"))
    made.texts["row-3"] = MARKUP
    return made


@pytest.fixture(scope="module")
def filtered(world: PlantedStore) -> FilterResult:
    return topo_filter(
        world.X[2], world.weak.p, k_cc=5, k_zeta=15, contamination=0.2, connectivity="weak", groups=world.groups
    )


@pytest.fixture(scope="module")
def explorer(world: PlantedStore, filtered: FilterResult) -> RowExplorer:
    return row_saliency(
        world.store, world.weak, layer=2, k=6, filtered=filtered, groups=world.groups, texts=world.texts
    )


def test_a_row_is_shown_with_the_reason_that_the_filter_gave(explorer: RowExplorer, filtered: FilterResult) -> None:
    assert {"", "outside component", "disagreement"} == set(filtered.reasons)
    for at, row in enumerate(explorer):
        assert row.reason == filtered.reasons[at]
        assert row.verdict.startswith("kept" if filtered.mask[at] else f"dropped: {filtered.reasons[at]}")
    table = explorer.to_frame()
    assert table["reason"].tolist() == filtered.reasons.tolist()
    assert table["kept"].tolist() == filtered.mask.tolist()


def test_the_score_named_as_the_limit_parts_the_rows_dropped_from_those_kept(world: PlantedStore) -> None:
    p = np.linspace(0, 1, len(world.weak))
    found = disagreement_filter(world.weak.p, p, 0.1, per_class=True)
    rows = row_saliency(world.store, world.weak, layer=2, layers=2, filtered=found)
    for side in (0, 1):
        dropped = found.scores[(world.weak.p == side) & ~found.mask]
        (at, *_) = np.flatnonzero((world.weak.p == side) & found.mask)
        assert f"dropped from {dropped.min():.3f} on" in rows[world.weak.ids[at]].verdict
        assert found.scores[at] <= dropped.min()


def test_neighbours_are_the_nearest_rows_that_are_not_related(world: PlantedStore, explorer: RowExplorer) -> None:
    X = world.X[2].astype(np.float64)
    for at in (0, 17, 299):
        distances = np.linalg.norm(X - X[at], axis=1)
        distances[world.groups == world.groups[at]] = np.inf
        nearest = np.argsort(distances)[:6]
        shown = explorer[f"row-{at}"].neighbors
        assert shown["id"].tolist() == [f"row-{i}" for i in nearest]
        np.testing.assert_allclose(shown["distance"], distances[nearest], rtol=1e-4)
        assert shown["weak"].tolist() == world.weak.p[nearest].tolist()
        assert shown["text"].tolist() == [world.texts[f"row-{i}"] for i in nearest]
        assert explorer[f"row-{at}"].by_layer.set_index("layer").loc[2, "knn"] == shown["weak"].mean()


def test_scores_by_layer_are_out_of_fold_and_the_margin_points_to_the_label(
    world: PlantedStore, explorer: RowExplorer
) -> None:
    path = LogisticProbe.path(world.X[3], world.weak.p, groups=world.groups)
    expected = path.out_of_fold[np.flatnonzero(path.l2 == path.best)[0]]
    found = [row.by_layer.query("layer == 3")["logistic"].iloc[0] for row in explorer]
    np.testing.assert_allclose(found, expected)
    table = explorer.to_frame()
    assert ((table["margin"] < 0) == ((table["logistic"] > 0.5) != (table["weak"] > 0.5))).all()
    assert explorer.most_doubtful(5)["margin"].tolist() == sorted(table["margin"])[:5]
    wrong = world.weak.p != world.truth.p
    assert wrong[table["margin"].to_numpy().argsort()[:20]].mean() > 0.9  # which the explorer was never told
    assert list(explorer.logistic) == [1, 2, 3]  # at layer 0 all rows are equal


def test_truth_is_shown_where_it_was_given_and_nowhere_else(world: PlantedStore, explorer: RowExplorer) -> None:
    row = explorer["row-0"]
    assert row.truth is None
    assert "truth" not in {*explorer.to_frame(), *row.neighbors}
    assert "truth" not in repr(row) + row._repr_html_() + repr(explorer)
    told = row_saliency(world.store, world.weak, layer=2, layers=2, truth=world.truth, k=3)
    assert told["row-5"].truth == world.truth.p[5]
    assert "ground truth" in repr(told["row-5"])
    np.testing.assert_array_equal(told.logistic[2] > 2, False)
    alone = row_saliency(world.store, world.weak, layer=2, layers=2, k=3)
    np.testing.assert_array_equal(told.logistic[2], alone.logistic[2])


def test_texts_with_markup_are_shown_as_text(
    world: PlantedStore, filtered: FilterResult, explorer: RowExplorer
) -> None:
    near = next(row for row in explorer if "row-3" in set(row.neighbors["id"]))
    pages = [explorer["row-3"]._repr_html_(), near._repr_html_(), explorer._repr_html_()]
    pages.append(row_map(world.store, world.weak, layer=2, filtered=filtered, texts=world.texts)._repr_html_())
    for html in pages:
        assert "<script" not in html
        assert "<b>bold" not in html
    for html in (pages[0], pages[1], pages[3]):
        assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &lt;b&gt;" in html
    assert MARKUP in repr(explorer["row-3"])


def test_rows_and_filters_that_are_not_these_are_refused_in_a_line(world: PlantedStore, explorer: RowExplorer) -> None:
    with pytest.raises(
        InputError, match=r"no row 'row-3000' among the 300 labelled ones: did you mean 'row-300?'\?|row-"
    ):
        explorer["row-3000"]
    shorter = disagreement_filter(world.weak.p[:50], world.weak.p[:50])
    with pytest.raises(InputError, match="the filter judged 50 rows with other labels than these 300"):
        row_saliency(world.store, world.weak, layer=2, filtered=shorter)
    with pytest.raises(InputError, match="the filter judged other labels"):
        row_map(world.store, world.weak, layer=2, filtered=shorter)
    with pytest.raises(InputError, match="names 2 layers"):
        row_saliency(world.store, world.weak, layer="1-2")
    with pytest.raises(InputError, match=r"is outside 0\.\.3"):
        row_saliency(world.store, world.weak, layer=9)


def test_texts_and_groups_may_stand_in_a_file(world: PlantedStore, explorer: RowExplorer, tmp_path: Path) -> None:
    table = pd.DataFrame({"id": world.weak.ids, "text": [world.texts[row] for row in world.weak.ids]})
    write_table(table.assign(group=world.groups.astype(str)).sample(frac=1, random_state=0), tmp_path / "mine.jsonl")
    name = str(tmp_path / "mine.jsonl")
    told: list[tuple[str, int, int]] = []
    options: Any = {"layer": 2, "layers": 2, "k": 6, "texts": name, "groups": tmp_path / "mine.jsonl"}
    found = row_saliency(world.store, world.weak, **options, progress=lambda *step: told.append(step))
    assert found["row-3"].text == MARKUP
    assert found["row-17"].neighbors["id"].tolist() == explorer["row-17"].neighbors["id"].tolist()
    assert told == [("layer 2", 0, 1), ("layers", 1, 1)]
    assert row_map(world.store, world.weak, layer=2, texts=name).table["text"][3] == MARKUP
    write_table(table.drop(columns="text").assign(other=1), tmp_path / "bare.jsonl")
    with pytest.raises(InputError, match="texts: no column 'text'; it has 'id', 'other'"):
        row_saliency(world.store, world.weak, layer=2, texts=str(tmp_path / "bare.jsonl"))
    with pytest.raises(InputError, match=r"texts: 'a text' names no file \(\.jsonl, .*\): give one, a value a label"):
        row_saliency(world.store, world.weak, layer=2, texts="a text")


def test_the_rows_in_doubt_are_shown_in_one_line_each(world: PlantedStore) -> None:
    texts = world.texts | {row: f"first\n\nsecond {row}" for row in world.weak.ids[:150]}
    found = row_saliency(world.store, world.weak, layer=2, layers=2, texts=texts)
    shown = repr(found.most_doubtful(30))
    assert "first ⏎ second row-" in shown
    assert "\\n" not in shown
    assert "first ⏎ second row-" in found.most_doubtful(30)._repr_html_()
    assert "first ⏎ second" in repr(found["row-0"])
    assert "first ⏎ second" in found["row-0"]._repr_html_()


def test_a_map_lays_rows_out_by_their_principal_components_whatever_their_labels(world: PlantedStore) -> None:
    found = row_map(world.store, world.weak, layer=2)
    reference = PCA(2).fit(world.X[2].astype(np.float64))
    np.testing.assert_allclose(
        np.abs(found.table[["x", "y"]]), np.abs(reference.transform(world.X[2])), rtol=1e-3, atol=1e-3
    )
    assert found.explained == pytest.approx(tuple(reference.explained_variance_ratio_), rel=1e-4)
    other = row_map(world.store, LabelSet(world.weak.ids, 1 - world.weak.p), layer=2)
    np.testing.assert_array_equal(other.table[["x", "y"]], found.table[["x", "y"]])
    assert found.axes[0].startswith("PC 1 (")


def test_a_map_is_coloured_by_what_is_known_and_stands_alone(world: PlantedStore, filtered: FilterResult) -> None:
    bare = row_map(world.store, world.weak, layer=2)
    assert bare.colourings == ["label", "disagreement"]
    assert "truth" not in bare.html() + repr(bare)
    with pytest.raises(InputError, match="give filtered= to row_map"):
        bare.figure("filter")
    with pytest.raises(InputError, match="give truth= to row_map"):
        bare.html("truth")
    with pytest.raises(InputError, match="did you mean 'label'"):
        bare.figure("lable")  # type: ignore[arg-type]
    full = row_map(world.store, world.weak, layer=2, filtered=filtered, truth=world.truth)
    assert full.colourings == ["label", "disagreement", "filter", "truth"]
    np.testing.assert_allclose(full.table["disagreement"], filtered.scores)
    for colour in full.colourings:
        assert len(full.figure(colour).axes[0].collections) == 2  # circles and triangles
    html = full.html("filter")
    assert html == row_map(world.store, world.weak, layer=2, filtered=filtered, truth=world.truth).html("filter")
    assert html.count("<title>") == 300
    assert html.count("dropped: ") == len(filtered.removed)
    assert "http" not in html
    assert "src=" not in html


def test_a_map_of_many_rows_draws_some_and_says_so(world: PlantedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyses.saliency.map_drawing.MOST", 50)
    monkeypatch.setattr("analyses.saliency.map_drawing.MOST_PRINTED", 60)
    drawn = row_map(world.store, world.weak, layer=2)
    assert drawn.html().count("<title>") == 50
    assert "50 of them drawn" in drawn.html()
    axes = drawn.figure().axes[0]
    assert sum(len(np.asarray(marks.get_offsets())) for marks in axes.collections) == 60
    assert axes.get_title(loc="left").startswith("300 rows at layer 2, 60 of them drawn: ")


def test_umap_is_used_where_it_was_asked_for_and_named_where_it_is_missing(
    world: PlantedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    class Fake:
        def __init__(self, **options: Any) -> None:
            asked.update(options)

        def fit_transform(self, X: Any) -> Any:
            asked["shape"] = X.shape
            return X[:, :2]

    module = ModuleType("umap")
    module.UMAP = Fake  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "umap", module)
    found = row_map(world.store, world.weak, layer=2, method="umap", seed=3)
    assert found.axes == ("UMAP 1", "UMAP 2")
    assert asked["shape"] == (300, 12)
    assert asked["random_state"] != 0
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(InputError, match="pip install umap-learn"):
        row_map(world.store, world.weak, layer=2, method="umap")
    with pytest.raises(InputError, match="did you mean 'umap'"):
        row_map(world.store, world.weak, layer=2, method="umab")  # type: ignore[arg-type]
