"""What filters do to the mix of classes: each class's rows before and after, in cards, page and answer."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency

from analyses.report.load.folder import Filtered, read_folder
from analyses.report.views.cards import cards
from tests.analyses.report.test_page import reported
from tests.worlds.report_folders import kept_table, write_run
from w2s_probes.io.tables import write_table
from w2s_probes.labels.class_mix import LEAST_MOVE, class_mix


def filtered(ones: int, zeros: int, gone_ones: int, gone_zeros: int) -> pd.DataFrame:
    """A filtered label file with so many rows of each class, of which so many are dropped."""
    label = np.array([0.9] * ones + [0.1] * zeros)
    keep = np.array([i >= gone_ones for i in range(ones)] + [i >= gone_zeros for i in range(zeros)])
    table = pd.DataFrame({"id": [f"r{i}" for i in range(len(label))], "label": label, "keep": keep, "score": 0.5})
    return table.assign(new_label=label, reason=np.where(keep, "", "disagreement"), probe="knn", layer=3)


def test_a_filter_that_drops_half_of_a_small_class_says_so_and_how_to_keep_the_mix(tmp_path: Path) -> None:
    write_table(filtered(215, 1285, 106, 44), tmp_path / "kept.jsonl")
    read = reported(tmp_path)
    assert "Removed are 106 of 215 rows (49%) of label 1 and 44 of 1,285 rows (3%) of label 0" in read.text
    assert "label 1 is 14% before, 8% after." in read.text
    assert "The mix of classes moves: w2s filter --per-class drops the same share of each." in read.text
    row = read.row("kept.jsonl", "215")
    assert row[1:] == ["215", "106 (49%)", "1,285", "44 (3%)", "14.3%", "8.1%", "moves"]


def test_a_filter_that_drops_the_same_share_moves_nothing(tmp_path: Path) -> None:
    write_table(filtered(300, 1200, 30, 120), tmp_path / "kept.jsonl")
    read = reported(tmp_path)
    assert "label 1 is 20% before, 20% after." in read.text
    assert "The mix of classes moves: w2s filter --per-class" not in read.text.split("Filtered label files")[0]
    assert read.row("kept.jsonl", "300")[-1] == "stays"


@pytest.mark.parametrize("seed", range(30))
def test_counts_add_up_and_moves_are_beyond_chance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 400))
    labels, keep = rng.random(n), rng.random(n) < rng.uniform(0.3, 1)
    new = np.where(rng.random(n) < 0.2, 1 - labels, labels)
    mix = class_mix(labels, keep, new)
    assert mix.zero.before + mix.one.before == n
    assert mix.zero.dropped + mix.one.dropped == (~keep).sum()
    assert mix.zero.after + mix.one.after == keep.sum()
    assert mix.one.after == (new[keep] > 0.5).sum()
    assert class_mix(labels, keep).one.after == mix.one.before - mix.one.dropped
    counts = np.array([[c.dropped, c.before - c.dropped] for c in (mix.zero, mix.one)])
    if (counts.sum(axis=0) > 0).all() and (counts.sum(axis=1) > 0).all():
        by_chance = chi2_contingency(counts, correction=False).pvalue
        far = abs(mix.one.share - mix.zero.share) > LEAST_MOVE
        assert mix.moves == (far and by_chance < 0.05)


def test_rows_that_were_not_judged_do_not_count_and_a_class_without_rows_has_no_share(tmp_path: Path) -> None:
    (card,) = cards([Filtered("kept.jsonl", kept_table())])
    assert (card.mix.zero.before + card.mix.one.before, card.mix.zero.dropped + card.mix.one.dropped) == (40, 10)
    write_table(filtered(60, 0, 20, 0), tmp_path / "kept.jsonl")
    read = reported(tmp_path)
    assert "20 of 60 rows (33%) of label 1 and 0 of 0 rows of label 0; label 1 is 100% before, 100% after." in read.text
    assert read.row("kept.jsonl", "60")[3:5] == ["0", "–"]


def test_labels_that_a_filter_gives_anew_count_as_they_are_taught(tmp_path: Path) -> None:
    table = filtered(100, 100, 10, 10)
    table.loc[20:29, "new_label"] = 0.2  # ten kept rows of label 1 that are taught as 0
    write_table(table, tmp_path / "kept.jsonl")
    (card,) = cards(read_folder(tmp_path).filtered)
    assert (card.mix.one.after, card.mix.zero.after) == (80, 100)
    assert "label 1 is 50% before, 44% after." in reported(tmp_path).text


def test_rows_without_a_group_are_each_by_themselves_in_a_card(tmp_path: Path) -> None:
    wrong = np.random.default_rng(0).random(200) < 0.3
    table = filtered(100, 100, 20, 20).assign(truth=np.where(wrong, [0] * 100 + [1] * 100, [1] * 100 + [0] * 100))
    written = table.assign(group=pd.Series(["a", "a", *[None] * 198], dtype=object))
    spelled = table.assign(group=["a", "a", *(f"own {i}" for i in range(198))])
    of_missing, of_own = (cards([Filtered("kept.jsonl", one)])[0].judged for one in (written, spelled))
    assert of_missing is not None
    assert of_missing == of_own


def test_filters_of_a_run_are_shown_by_class_too(tmp_path: Path) -> None:
    write_run(tmp_path, ["alpha", "beta"], n=60)
    read = reported(tmp_path)
    (card, *_) = cards(read_folder(tmp_path).runs[0].filtered)
    first = next(row for row in read.cells if row[:2] == ["alpha", card.name] and row[-1] in ("moves", "stays"))
    assert first[3] == f"{card.mix.one.dropped:,} ({card.mix.one.share:.0%})"
    assert "so does that of its control, which drops as many rows of each class" in read.text
