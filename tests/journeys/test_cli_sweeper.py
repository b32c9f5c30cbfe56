"""Someone who sweeps layers from the command line and does what each answer proposes."""

import re
from pathlib import Path

import pandas as pd
import pytest

from tests.journeys.conftest import REAL, Study, Typed, begun, next_line
from w2s_probes.io.tables import read_table, write_table
from w2s_probes.labels.label_set import read_label_table

INTERVAL = r"0\.\d{3} \[0\.\d{3}, [01]\.\d{3}\]"


@pytest.mark.parametrize("real", [pytest.param(True, marks=pytest.mark.skipif(not REAL, reason="no data")), False])
def test_from_a_model_to_a_report_by_following_the_next_lines(
    real: bool, tmp_path: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = begun(tmp_path, real)
    monkeypatch.chdir(tmp_path)

    said = typed(f"w2s extract {study.model} --rows rows.jsonl --out acts")
    asks = [line for line in said if "--position mean" in line]
    assert bool(asks) == real  # the encoder pools by the mean; the miniature was made for its last token
    if asks:
        typed(f"w2s extract {study.model} --rows rows.jsonl --position mean --out pooled")
    acts = "pooled" if asks else "acts"

    sweep = f"w2s sweep {acts} weak.jsonl --knn-k 5,50 --logistic-l2 1e-3,1e-1 --out results/sweep.csv"
    said = typed(f"{sweep} --dry-run")
    assert "600 training rows" not in said[0]  # a fifth is held out
    assert "with truth" in said[0]
    assert not Path("results").exists()
    said = typed(sweep)
    (best,) = [line for line in said if "best of" in line]
    assert re.search(rf"auroc {INTERVAL} on the rows it was chosen on, {INTERVAL} on held-out rows", best)
    assert re.search(rf"the weak labels' own is {INTERVAL}, {INTERVAL}$", best)

    said = typed(next_line(said))
    assert re.match(r"by the sweep: layer \d+, (knn, k = \d+|logistic, l2 = [\d.]+), the best cell", said[0])
    assert re.fullmatch(r"kept \d+ of 600 rows, removed 60", said[1])
    assert re.match(r"of label 0 \d+ of \d+ go \(\d+%\), of label 1 \d+ of \d+ \(\d+%\); label 1 is ", said[2])
    assert re.match(r"by `truth` \d+% of all labels are wrong and \d+% of those removed, against \d+% \[", said[3])
    kept = read_label_table("results/weak-kept.jsonl")
    assert (~kept["keep"]).sum() == 60

    said = typed(next_line(said))  # a student without a test set
    assert re.search(r"trained on \d+ of 600 rows: \d+ dropped by the filter, 60 held out to stop training", said[0])
    assert re.match(rf"No test: AUROC {INTERVAL} on the 60 rows that stop training, against their weak labels", said[1])
    said = typed(next_line(said).replace("FILE", "test.jsonl"))
    assert re.search(rf"student: AUROC {INTERVAL}, accuracy {INTERVAL}", "\n".join(said))
    assert re.search(rf"supervisor \(`label`\), same rows: AUROC {INTERVAL}, accuracy {INTERVAL}", "\n".join(said))
    assert re.search(r"student - supervisor: AUROC [+-]0\.\d{3} \[[+-]0\.\d{3}, [+-]0\.\d{3}\]", "\n".join(said))

    said = typed(next_line(said))
    page = Path(said[-1].removeprefix("Written: ").partition(",")[0]).read_text()
    assert "no student was trained" not in page.lower()
    assert "supervisor" in page


def test_labels_without_truth_are_audited_in_a_file_beside_them(here: Study, typed: Typed) -> None:
    command = f"w2s filter acts unaudited.jsonl --layer {here.layer} --by logistic --out kept.jsonl"
    (asked,) = [line for line in typed(command) if line.startswith("how many labels are wrong")]
    assert "is not said: " in asked
    assert "%" not in asked
    weak = read_table("weak.jsonl")
    sides = [weak[(weak["label"].astype(float) > 0.5) == side] for side in (False, True)]
    drawn = pd.concat([side.sample(30, random_state=0) for side in sides])
    write_table(drawn[["id", "truth"]], Path("audit.csv"))
    said = typed(f"{command} --audit audit.csv")
    (told,) = [line for line in said if "of all labels are wrong" in line]
    found = re.match(r"(\d+)% \[(\d+)%, (\d+)%\] of all labels are wrong if the 60 rows", told)
    assert found
    low, high = int(found[2]), int(found[3])
    wrong = 100 * ((weak["label"].astype(float) > 0.5) != (weak["truth"].astype(float) > 0.5)).mean()
    assert low - 5 <= wrong <= high + 5


def test_a_relabelling_says_before_and_after(here: Study, typed: Typed) -> None:
    said = typed(f"w2s relabel acts weak.jsonl --layer {here.layer} --by logistic --out new.jsonl")
    assert re.search(r"\d+ changed class, \d+ from 0 to 1 and \d+ from 1 to 0$", said[0])
    change = rf"{INTERVAL} before, {INTERVAL} after, difference [+-]0\.\d+ \[[+-]0\.\d+, [+-]0\.\d+\]"
    assert re.search(rf"AUROC {change}; accuracy {change}", said[1])
