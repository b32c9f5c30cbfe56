"""Small worlds to type commands in."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from w2s_probes.io.tables import read_table, write_table


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory, checkpoint: Callable[..., Path]) -> Path:
    """A folder with a row file, its store, and a label file of 150 training, 30 validation and 60 test rows."""
    from extract.extractor import Extraction, extract

    folder = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(0)
    truth = np.arange(240) % 2
    # The label shows in the words: w0-w14 for one class, w15-w29 for the other.
    texts = [" ".join(f"w{15 * t + j}" for j in rng.integers(0, 15, size=8)) for t in truth]
    weak = np.where(rng.random(240) < 0.2, 1 - truth, truth).astype(float)
    table = pd.DataFrame({"id": [f"r{i}" for i in range(240)], "text": texts, "label": weak, "truth": truth})
    table["split"] = ["train"] * 150 + ["val"] * 30 + ["test"] * 60
    table["note"] = [f"kept as it is, {i}" for i in range(240)]
    write_table(table[["id", "text"]], folder / "rows.jsonl")
    write_table(table[:180].sample(frac=1, random_state=0), folder / "weak.jsonl")
    write_table(table[180:], folder / "test.jsonl")
    extract(Extraction.plan(str(checkpoint()), table, position="mean"), folder / "acts")
    return folder


@pytest.fixture(scope="package")
def begun_place(tmp_path_factory: pytest.TempPathFactory, checkpoint: Callable[..., Path]) -> Path:
    """What `place` has copies of."""
    from extract import extractor
    from w2s_probes.share import Share

    folder = tmp_path_factory.mktemp("begun") / "place"
    shutil.copytree(checkpoint(), folder / "model")
    texts = [f"w{i} w{39 - i}" for i in range(40)]
    write_table(pd.DataFrame({"id": [f"r{i}" for i in range(40)], "text": texts}), folder / "rows.jsonl")
    plan = extractor.Extraction.plan(str(folder / "model"), read_table(folder / "rows.jsonl"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extractor, "SHARD_ROWS", 10)
        plan.run(folder / "acts")
        plan.run(folder / "begun", share=Share(0, 2))
    return folder


@pytest.fixture
def place(begun_place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, 40 rows, a finished store `acts` of them, and one that is not, `begun`."""
    from extract import extractor

    monkeypatch.setattr(extractor, "SHARD_ROWS", 10)
    return Path(shutil.copytree(begun_place, tmp_path / "place"))
