"""The section of a steering: what its record says, and damaged files by name."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.report import write_report
from extract.steering import Directions, HeldRows, Steered, write_steered
from w2s_probes import InputError
from w2s_probes.io.json_files import read_json
from w2s_probes.labels.label_file import LabelFile

N, D = 20, 19
LEARNED = LabelFile.read(pd.DataFrame({"id": ["x", "y"], "text": ["x", "y"], "label": [0, 1]}))
STREAM = {"model": "m", "store": "acts", "key": "k", "depth": 4, "position": "last", "from_token": 0}
ABOUT = {
    "steered": {**STREAM, "dtype": "bfloat16"},
    "words": [" no", " yes"],
    "prompt": "{text} <b>?",
    "template": False,
}


def made(by: Any = "add", strengths: tuple[float, ...] = (1.0, 2.0)) -> Steered:
    """A probe's direction that moves by its strength, isotropic ones by little, and others further than it."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"id": [f"r{i}" for i in range(N)], "text": [f"t {i}" for i in range(N)]})
    table["label"] = np.arange(N) % 2
    held = HeldRows.of(table.assign(truth=table["label"]), LEARNED, "rows")
    vectors = rng.normal(size=(1 + 2 * D, 4))
    kinds = ("probe", *["isotropic"] * D, *["covariance"] * D)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = Directions(2, vectors, kinds, 1.5, None, None, "logistic", 0.01, 80, 10.0, 0)
    base = np.where(table["label"], 1.0, -1.0) + rng.normal(size=N)
    slopes = np.concatenate([[1], 0.01 * rng.normal(size=D), 3 * rng.normal(size=D)])
    log_odds = base + slopes[:, None, None] * np.asarray(strengths)[:, None]
    said = np.full((1 + 2 * D, len(strengths), N), 0.25)
    return Steered(directions, held, by, "words", strengths, base, log_odds, np.full(N, 0.5), said, ABOUT)


def test_the_section_says_which_random_directions_it_is_beyond(tmp_path: Path) -> None:
    write_steered(made(), tmp_path / "steer.json")
    html = write_report(tmp_path).read_text()
    (told,) = re.findall(r"Steering steer\.csv</a>: ([^<]*)<", html)
    assert told.startswith("Adding the logistic direction at layer 2 at strength 2 moves the log-odds of &#39;yes&#39;")
    assert "by +2.000 [+2.000, +2.000], mean of 20 rows" in told
    assert "beyond every one of 19 random directions (isotropic), not beyond those of covariance p = 0." in told
    assert "1.5 long, 15.0% of a row&#39;s vector" in html
    assert "{text} &lt;b&gt;?" in html
    assert "25.0%" in html
    assert html.count("<svg") >= 2
    assert "oracle" in html


def test_an_ablation_is_judged_by_sizes_and_drawn_as_a_forest(tmp_path: Path) -> None:
    write_steered(made("ablate", (1.0,)), tmp_path / "steer.json")
    html = write_report(tmp_path).read_text()
    assert "Taking the logistic direction out of layer 2 moves" in html
    assert "Direction taken out of layer 2" in html


def test_damaged_and_missing_files_are_named(tmp_path: Path) -> None:
    warned: list[str] = []
    write_steered(made(), tmp_path / "steer.json")
    record = read_json(tmp_path / "steer.json")
    table = (tmp_path / "steer.csv").read_text()
    (tmp_path / "steer.csv").write_text(table.replace("0.25", "0.26"))
    write_report(tmp_path, warn=warned.append)
    assert "steer.csv" in warned[0]
    (tmp_path / "steer.csv").write_text(table.replace("isotropic", "anything", 1))
    with pytest.raises(InputError, match=r"steer\.csv: row \d+: kind 'anything' is not known"):
        write_report(tmp_path)
    (tmp_path / "steer.csv").write_text(table)
    for damage, said in (({"results": []}, "results"), ({"n": "x"}, "n: "), ({"base": {}}, "base")):
        (tmp_path / "steer.json").write_text(json.dumps(record | damage))
        with pytest.raises(InputError, match=rf"steer\.json: {said}"):
            write_report(tmp_path)
    (tmp_path / "steer.json").unlink()
    with pytest.raises(InputError, match=r"steer\.json: missing beside steer\.csv"):
        write_report(tmp_path)
