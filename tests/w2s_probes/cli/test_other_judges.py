"""`w2s filter --by channel`, `confident`, `overlap`, `w2s relabel --by channel`: files, what is said and refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from w2s_probes import ActivationStore
from w2s_probes.cli import main
from w2s_probes.filtering import channel_filter, confident_filter, judges, overlap_density, overlap_filter
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.noise import channel_model
from w2s_probes.probes import LogisticProbe
from w2s_probes.relabeling import relabel

Failing = Callable[..., str]


def answered(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    """What a command prints with --json."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in (*words, "--json")])
    assert ended.value.code == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_a_channel_filters_and_relabels_as_the_library_says(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (world / "acts", world / "weak.jsonl", "--layer", 1, "--by", "channel", "--l2", 1e-4)
    answer = answered(capsys, "filter", *words, "--out", tmp_path / "kept.jsonl")
    table = read_table(tmp_path / "kept.jsonl")
    table = table[table["split"] == "train"]
    X = ActivationStore.open(world / "acts").layer(1, ids=table["id"].tolist())
    found = channel_model(X, table["label"], l2=1e-4)
    expected = channel_filter(table["label"], found.posterior)
    assert table["keep"].astype(bool).tolist() == expected.mask.tolist()
    assert answer["removed"] == len(expected.removed) > 5
    assert table["p"].astype(float).tolist() == pytest.approx(found.posterior.tolist(), abs=1e-6)
    assert table["fold"].astype(float).tolist() == found.folds.tolist()
    assert any("noise channel: P(weak 1 | true 0) 0." in str(line) for line in answer["remarks"])
    few = answered(capsys, "filter", *words, "--contamination", 0.02, "--out", tmp_path / "few.jsonl")
    assert few["removed"] == 3
    answered(capsys, "relabel", *words, "--out", tmp_path / "new.jsonl")
    table = read_table(tmp_path / "new.jsonl")
    new = table[table["split"] == "train"]["new_label"].astype(float)
    assert new.to_list() == pytest.approx(found.posterior.tolist(), abs=1e-6)


def test_confident_learning_is_cleanlabs(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("cleanlab")
    words = (world / "acts", world / "weak.jsonl", "--layer", 1, "--by", "confident")
    options: tuple[judges.PruneBy, ...] = ("prune_by_noise_rate", "both")
    for option in options:
        answered(capsys, "filter", *words, "--filter-by", option, "--out", tmp_path / "kept.jsonl")
        table = read_table(tmp_path / "kept.jsonl")
        table = table[table["split"] == "train"]
        X = ActivationStore.open(world / "acts").layer(1, ids=table["id"].tolist())
        expected = confident_filter(table["label"], relabel(LogisticProbe(), X, table["label"]), filter_by=option)
        assert table["keep"].astype(bool).tolist() == expected.mask.tolist()
        assert set(table["reason"][~expected.mask]) == {"label issue"}
        assert np.allclose(table["score"].astype(float), expected.scores)


def test_overlap_density_keeps_the_kinds_of_rows_that_are_named_and_says_where_there_is_no_change_point(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = read_table(world / "weak.jsonl")
    unsure = np.random.default_rng(0).random(len(table)) < 0.4
    table["label"] = np.where(unsure, 0.5 + 0.1 * (table["label"] - 0.5), 0.9 * table["label"] + 0.05)
    write_table(table, tmp_path / "soft.jsonl")
    words = ("filter", world / "acts", tmp_path / "soft.jsonl", "--layer", 1, "--by", "overlap")
    options = ("--similarity", "inner", "--least-gain", 0.2, "--keep", "overlap,hard")
    answer = answered(capsys, *words, *options, "--out", tmp_path / "kept.jsonl")
    kept = read_table(tmp_path / "kept.jsonl")
    kept = kept[kept["split"] == "train"]
    X = ActivationStore.open(world / "acts").layer(1, ids=kept["id"].tolist())
    found = overlap_density(X, kept["label"], similarity="inner", least_gain=0.2)
    expected = overlap_filter(found, ["overlap", "hard"])
    assert kept["keep"].astype(bool).tolist() == expected.mask.tolist()
    assert set(kept["reason"][~expected.mask]) == {"easy row"}
    assert np.allclose(kept["score"].astype(float), expected.scores)
    assert any(f"overlap density {found.density:.3f}: " in str(line) for line in answer["remarks"])
    none = answered(capsys, *words, "--least-gain", 1, "--out", tmp_path / "all.jsonl")
    assert none["removed"] == 0
    assert any("no change point in similarity" in str(line) and "all rows stay" in line for line in none["remarks"])


def test_what_these_judges_do_not_read_is_refused(
    world: Path, tmp_path: Path, fails: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = (world / "acts", world / "weak.jsonl", "--layer", 1, "--out", tmp_path / "k.jsonl")
    for by in ("channel", "confident"):
        assert "--in-sample is of a probe" in fails("filter", *files, "--by", by, "--in-sample")
        assert "--per-class shares out a --contamination" in fails("filter", *files, "--by", by, "--per-class")
        assert "--k is for knn" in fails("filter", *files, "--by", by, "--k", 5)
    assert "--filter-by is cleanlab's" in fails("filter", *files, "--by", "channel", "--filter-by", "both")
    assert "--by confident" in fails("relabel", *files, "--by", "confident")
    assert "--in-sample is of a probe" in fails("relabel", *files, "--by", "channel", "--in-sample")
    for option, value in (("--contamination", 0.1), ("--per-class", None)):
        words = [option] if value is None else [option, value]
        assert "--by overlap says itself which rows go" in fails("filter", *files, "--by", "overlap", *words)
    assert "did you mean 'overlap'" in fails("filter", *files, "--by", "overlap", "--keep", "overlaps")
    assert "least_gain=2.0 must be in [0, 1]" in fails("filter", *files, "--by", "overlap", "--least-gain", 2)
    assert "--keep is of overlap density" in fails("filter", *files, "--by", "knn", "--keep", "easy")
    monkeypatch.setattr(judges, "find_spec", lambda name: None)
    assert "pip install 'w2s-probes[cleanlab]'" in fails("filter", *files, "--by", "confident")
