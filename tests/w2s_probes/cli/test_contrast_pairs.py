"""A store of contrast pairs from the command line: joined by id, by rows or by sides; what is no pair is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.worlds.pairs import LAYER, PairsWorld, planted_pairs
from w2s_probes import InputError, auroc, disagreement_filter, relabel, save_probe
from w2s_probes.cli import main
from w2s_probes.importing import import_activations
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.probes import ContrastProbe, LogisticProbe
from w2s_probes.rows.sides import pair_ids
from w2s_probes.store import PairedStore
from w2s_probes.sweep import sweep

Fails = Callable[..., str]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> PairsWorld:
    return planted_pairs(tmp_path_factory.mktemp("pairs"))


def run(*words: object) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert ended.value.code == 0


def test_pairs_are_joined_by_id_whatever_the_order_of_the_store(pairs: PairsWorld) -> None:
    store = PairedStore(pairs.store)
    np.testing.assert_array_equal(store.layer(LAYER, ids=pairs.weak["id"].tolist()), pairs.sides)
    assert store.shape == (200, 1, 16)
    assert len(store) == len(set(store.ids)) == 200
    at = {name: row for row, name in enumerate(pairs.weak["id"])}
    np.testing.assert_array_equal(store.layer(LAYER), pairs.sides[[at[name] for name in store.ids]])
    assert not store.verify().problems


def test_a_row_may_be_called_as_a_side_is() -> None:
    assert pair_ids(["C++", "C+-", "7-", "7+"], "here").tolist() == ["C+", "7"]


@pytest.mark.parametrize(("by", "probe"), [("contrast", ContrastProbe()), ("logistic", LogisticProbe(1e-2))])
def test_filters_and_relabellings_of_pairs_are_the_librarys(
    pairs: PairsWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str], by: str, probe: Any
) -> None:
    """The logistic probe of the same pairs is the control that reads labels."""
    y = pairs.weak["label"].to_numpy()
    expected = relabel(probe, pairs.sides, y)
    words = (pairs.folder / "acts", pairs.folder / "weak.jsonl", "--layer", LAYER, "--by", by, "--out")
    run("relabel", *words, tmp_path / "new.jsonl")
    new = read_table(tmp_path / "new.jsonl")
    assert new["id"].tolist() == pairs.weak["id"].tolist()
    np.testing.assert_allclose(new["new_label"].astype(float), expected, atol=1e-6)
    run("filter", *words, tmp_path / "kept.jsonl")
    kept = read_table(tmp_path / "kept.jsonl")["keep"].tolist()
    assert kept == disagreement_filter(y, expected).mask.tolist()
    said = capsys.readouterr().out
    assert "read as 200 contrast pairs, [x⁺, x⁻]" in said
    assert "Next: w2s student" not in said  # which reads no pairs
    assert (auroc(pairs.truth, expected) > 0.97) == (by == "contrast")


def test_a_file_of_sides_is_judged_as_the_file_of_rows(pairs: PairsWorld, tmp_path: Path) -> None:
    for name in ("weak", "sides"):
        words = (pairs.folder / "acts", pairs.folder / f"{name}.jsonl", "--layer", LAYER, "--by", "contrast", "--out")
        run("filter", *words, tmp_path / f"{name}.jsonl")
    rows, given = read_table(tmp_path / "weak.jsonl").set_index("id"), read_table(pairs.folder / "sides.jsonl")
    sides = read_table(tmp_path / "sides.jsonl")
    assert sides[list(given.columns)].equals(given)
    assert list(sides.columns) == [*given.columns, *(name for name in rows if name not in given)]
    verdicts = ["keep", "score", "p", "new_label", "reason"]
    expected = rows.loc[[name[:-1] for name in sides["id"]]][verdicts].reset_index(drop=True)
    pd.testing.assert_frame_equal(sides[verdicts].drop(columns="reason"), expected.drop(columns="reason"))
    assert sides["reason"].tolist() == expected["reason"].tolist()


def test_a_sweep_reads_pairs_for_every_probe_from_both_kinds_of_files(pairs: PairsWorld, tmp_path: Path) -> None:
    files = {name: pairs.folder / f"{name}.jsonl" for name in ("weak", "sides")}
    result = sweep(pairs.store, files, contrast=True, logistic_l2=1e-2, held_out=0, parts=tmp_path)
    table = result.table[result.table["metric"] == "auroc"]
    for probe, kind in (("contrast", ContrastProbe()), ("logistic", LogisticProbe(1e-2))):
        X, y, truth = in_order(pairs)
        expected = auroc(truth, relabel(kind, X, y))
        values = table.loc[(table["probe"] == probe) & (table["rows"] == "training"), "value"]
        assert values.tolist() == pytest.approx([expected] * 2, abs=1e-9)
    alone = sweep(pairs.store, files["weak"], logistic_l2=1e-2, held_out=0)  # its ids are those of pairs alone
    plain = sweep(pairs.store, pd.read_json(files["sides"], lines=True), logistic_l2=1e-2, held_out=0)  # and of sides

    def of(found: Any) -> Any:
        found = found.table
        return found.loc[(found["metric"] == "auroc") & (found["probe"] == "logistic"), "value"].item()

    assert of(alone) == pytest.approx(values.iloc[0])
    assert of(plain) != pytest.approx(of(alone))


def in_order(pairs: PairsWorld) -> tuple[Any, Any, Any]:
    """Activations, labels and truth of the pairs in the store's order, in which a sweep has them."""
    store = PairedStore(pairs.store)
    labels = pairs.weak.set_index("id").loc[store.ids.tolist()]
    return store.layer(LAYER), labels["label"].to_numpy(), labels["truth"].to_numpy()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda w, s: s[:-1], "labels.jsonl: 1 of 200 contrast pairs lacks a side: there is no row '"),
        (lambda w, s: pd.concat([s, s[:1]]), "labels.jsonl: ids must be unique, but these stand twice: '"),
        (
            lambda w, s: s.assign(label=s["label"].where(s["id"].str.endswith("+"), 1 - s["label"])),
            "the label of the two sides differs for 200 of 200 contrast pairs: '",
        ),
        (lambda w, s: w.assign(id=[f"q{name}" for name in w["id"]]), "has no row for 200 of 200 ids: 'qr"),
    ],
    ids=["missing", "doubled", "opposite", "other"],
)
@pytest.mark.parametrize("command", ["filter", "sweep"])
def test_labels_that_are_of_no_pairs_are_refused(
    pairs: PairsWorld, tmp_path: Path, fails: Fails, spoil: Any, said: str, command: str
) -> None:
    write_table(spoil(pairs.weak, read_table(pairs.folder / "sides.jsonl")), tmp_path / "labels.jsonl")
    words = ("--layer", str(LAYER), "--by", "contrast") if command == "filter" else ("--contrast",)
    ending = "jsonl" if command == "filter" else "csv"
    files = (str(pairs.folder / "acts"), str(tmp_path / "labels.jsonl"))
    assert said in fails(command, *files, *words, "--out", str(tmp_path / f"out.{ending}"))
    assert not (tmp_path / f"out.{ending}").exists()


@pytest.mark.parametrize(
    ("keep", "more", "said"),
    [
        (slice(3, None), [], "3 of 200 contrast pairs lack a side: there is no row '"),
        (slice(None), ["solo"], "beside the sides of contrast pairs, ID+ and ID-, there are other rows: 'solo'"),
    ],
    ids=["missing", "beside"],
)
def test_stores_that_are_of_no_pairs_are_refused(
    pairs: PairsWorld, tmp_path: Path, keep: slice, more: list[str], said: str
) -> None:
    X, rows = np.load(pairs.folder / "X.npy"), read_table(pairs.folder / "rows.jsonl")["id"].tolist()
    np.save(tmp_path / "X.npy", np.vstack([X[keep], X[: len(more)]]))
    write_table(pd.DataFrame({"id": [*rows[keep], *more]}), tmp_path / "rows.jsonl")
    store = import_activations(tmp_path / "X.npy", tmp_path / "rows.jsonl", tmp_path / "acts", layers=LAYER)
    with pytest.raises(InputError) as error:
        sweep(store, pairs.weak, contrast=True)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_what_reads_single_vectors_says_so(pairs: PairsWorld, tmp_path: Path, fails: Fails) -> None:
    words = (str(pairs.folder / "acts"), str(pairs.folder / "weak.jsonl"), "--layer", str(LAYER))
    assert "it has the sides of contrast pairs" in fails("student", *words, "--out", str(tmp_path / "student"))
    rows = read_table(pairs.folder / "rows.jsonl").assign(id=[f"p{row}" for row in range(400)])
    write_table(rows, tmp_path / "rows.jsonl")
    import_activations(pairs.folder / "X.npy", tmp_path / "rows.jsonl", tmp_path / "plain", layers=LAYER)
    said = fails("filter", str(tmp_path / "plain"), *words[1:], "--by", "contrast", "--out", str(tmp_path / "k.jsonl"))
    assert "plain has no contrast pairs, rows ID+ and ID-, but 'p0', 'p1', 'p2' and 397 more: extract both of" in said


def test_audits_and_forecasts_count_a_row_once(
    pairs: PairsWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str], fails: Fails
) -> None:
    """Rows are read as pairs by their own ids; a file of sides would ask, and count, each row twice."""
    acts, weak, sides, at = pairs.folder / "acts", pairs.folder / "weak.jsonl", pairs.folder / "sides.jsonl", "--layer"
    for probe, kind in (("contrast", ContrastProbe()), ("logistic", LogisticProbe(1e-2))):
        drawn = tmp_path / f"{probe}.csv"
        run("audit", "draw", acts, weak, at, LAYER, "--probe", probe, "--n", 40, "--bins", 2, "--out", drawn)
        table = read_table(drawn)
        by_id = pairs.weak.sort_values("id")
        expected = relabel(kind, PairedStore(pairs.store).layer(LAYER, ids=by_id["id"].tolist()), by_id["label"])
        y = by_id["label"].to_numpy()
        agrees = pd.Series((expected > 0.5) == (y > 0.5), index=by_id["id"].to_numpy())
        weights = 1 / table["inclusion_probability"].astype(float)
        assert weights.sum() == pytest.approx(200, rel=1e-6)  # rows, and not sides
        assert set(table["id"]) <= set(pairs.weak["id"])
        doubted = table.loc[~agrees[table["id"]].to_numpy(), "inclusion_probability"].astype(float)
        assert len(doubted)
        truth = pairs.weak.set_index("id")["truth"]
        write_table(table.assign(truth=truth[table["id"]].to_numpy()), tmp_path / "done.csv")
        run("audit", "fold", tmp_path / "done.csv", weak, acts, "--out", tmp_path / "folded.csv")
        assert set(read_table(tmp_path / "folded.csv")["id"]) == set(table["id"])
        run("foretell", acts, weak, at, LAYER, "--by", probe, "--draws", 0, "--out", tmp_path / "f.csv")
        misfit: Any = read_table(tmp_path / "f.csv").set_index("measure").loc["misfit", "value"]
        assert float(misfit) == pytest.approx(((expected - y) ** 2).mean(), abs=1e-6)
        assert "read as 200 contrast pairs" in capsys.readouterr().out
    for words in (["--probe", "contrast"], ["--probe", "logistic"]):
        said = fails("audit", "draw", acts, sides, at, LAYER, *words, "--n", 40, "--out", tmp_path / "no.csv")
        assert "holds both sides of contrast pairs, ID+ and ID-, and an audit counts a row once" in said
    assert "an audit counts a row once" in fails("audit", "draw", sides, "--n", 40, "--out", tmp_path / "no.csv")
    said = fails("foretell", acts, sides, at, LAYER, "--draws", 0, "--out", tmp_path / "no.csv")
    assert "a forecast counts a row once: give the labels of the rows themselves, by ID, or --by a probe" in said
    run("foretell", acts, sides, at, LAYER, "--by", "contrast", "--draws", 0, "--out", tmp_path / "s.csv")
    run("foretell", acts, weak, at, LAYER, "--by", "contrast", "--draws", 0, "--out", tmp_path / "f.csv")
    pd.testing.assert_frame_equal(read_table(tmp_path / "s.csv"), read_table(tmp_path / "f.csv"))
    kernels = ["--weak-store", acts, "--weak-layer", LAYER, "--draws", 0]
    run("foretell", acts, weak, at, LAYER, *kernels, "--out", tmp_path / "k.csv")
    overlap: Any = read_table(tmp_path / "k.csv").set_index("measure").loc["subspace overlap", "value"]
    assert float(overlap) == pytest.approx(1, abs=1e-6)  # both are the same pairs
    assert not (tmp_path / "no.csv").exists()


def test_saved_probes_of_pairs_read_pairs(
    pairs: PairsWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    y, files = pairs.weak["label"].to_numpy(), [tmp_path / f"{name}.safetensors" for name in ("weak", "truth")]
    fitted = [LogisticProbe(1e-2).fit(pairs.sides, labels) for labels in (y, pairs.truth)]
    for probe, file in zip(fitted, files, strict=True):
        save_probe(probe, file, fitted_to=(pairs.store, LAYER))
    asked = ["--layer", LAYER, "--probe", files[0], "--probe", files[1], "--out", tmp_path / "c.csv"]
    expected = np.corrcoef(*(pairs.sides @ probe.coef_[0] for probe in fitted))[0, 1]
    for rows in ([], [pairs.folder / "weak.jsonl"]):
        run("foretell", pairs.folder / "acts", *rows, *asked)
        assert float(read_table(tmp_path / "c.csv")["value"].item()) == pytest.approx(expected, abs=1e-5)
    assert "on 200 contrast pairs of" in capsys.readouterr().out
    words = ["--rows", pairs.folder / "weak.jsonl", "--store", pairs.folder / "acts", "--out", tmp_path / "p.csv"]
    run("predict", files[0], *words)
    scores = read_table(tmp_path / "p.csv")["label"].to_numpy(dtype=float)
    np.testing.assert_allclose(scores, fitted[0].predict_proba(pairs.sides)[:, 1], atol=1e-6)
