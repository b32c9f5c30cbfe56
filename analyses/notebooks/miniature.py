"""The small world of the notebooks: texts of the embedded miniature, a weak model's labels, a strong model's store."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import analyses
from extract.extractor import Extraction, extract
from w2s_probes import ActivationStore, LabelSet, LogisticProbe
from w2s_probes.io.tables import read_table
from w2s_probes.rows.ids import content_id

ROOT = Path(analyses.__file__).parent.parent
MINIATURE = ROOT / "data" / "miniature"
FOLDER = "W2S_NOTEBOOKS"  # names a folder to keep stores in; else runs/notebooks of the checkout
N_TRUTH, N_TRAIN, N_TEST = 300, 800, 400  # rows: to fit the weak supervisor, labelled by it, to judge by


@dataclass(frozen=True)
class Miniature:
    """Training and test rows of one task, as label files are: `id`, `text`, `label` (weak), `truth`, `split`."""

    rows: pd.DataFrame
    store: ActivationStore  # the strong model's, every layer, last token
    model: Path  # the strong model

    def labels(self, split: str = "train") -> LabelSet:
        """The weak model's labels of the rows of a split."""
        return LabelSet.from_table(self.of(split))

    def truth(self, split: str = "train") -> LabelSet:
        """The truth of the rows of a split: to judge by, and to choose nothing."""
        return LabelSet.from_table(self.of(split), role="truth")

    def of(self, split: str) -> pd.DataFrame:
        """The rows of a split."""
        return self.rows[self.rows["split"] == split].reset_index(drop=True)


def miniature(task: str = "miniature_sound") -> Miniature:
    """The notebooks' world: made in some ten seconds, opened in one when it was made before."""
    rows = labelled(task)
    store = extract(Extraction.plan(str(MINIATURE / "strong"), rows), kept_in() / f"{task}-strong")
    return Miniature(rows, store, MINIATURE / "strong")


def kept_in() -> Path:
    """The folder in which stores are kept."""
    return Path(os.environ.get(FOLDER) or ROOT / "runs" / "notebooks")


def labelled(task: str) -> pd.DataFrame:
    """Rows to train on and to judge by, labelled by a weak supervisor: a probe on the weak model, fitted on few rows.

    `label` is its P(label = 1) of texts that it never saw the truth of.
    """
    folder = MINIATURE / "rows" / task
    learned = read_table(folder / "train.jsonl.gz").drop_duplicates("text").head(N_TRUTH + N_TRAIN)
    judged = read_table(folder / "test.jsonl.gz").drop_duplicates("text").head(N_TEST)
    split = ["supervisor"] * N_TRUTH + ["train"] * N_TRAIN + ["test"] * len(judged)
    rows = pd.concat([learned, judged], ignore_index=True).rename(columns={"label": "truth"}).assign(split=split)
    rows = rows.drop_duplicates("text").assign(id=lambda table: table["text"].map(content_id))
    weak = extract(
        Extraction.plan(str(MINIATURE / "weak"), rows, layers=-1, position="mean"), kept_in() / f"{task}-weak"
    )
    known = rows[rows["split"] == "supervisor"]
    truth = known["truth"].to_numpy(dtype=np.float64)
    supervisor = LogisticProbe(l2=1e-4).fit(weak.layer(-1, ids=known["id"].to_numpy(dtype=object)), truth)
    others = rows[rows["split"] != "supervisor"]
    said = supervisor.predict_proba(weak.layer(-1, ids=others["id"].to_numpy(dtype=object)))[:, 1]
    return others.assign(label=said.round(6))[["id", "text", "label", "truth", "split"]].reset_index(drop=True)
