"""A method's outcome, as the cache stores it, and a filter's verdicts as a file in the format of `w2s filter`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.filtering.disagreement import FilterResult
from w2s_probes.labels.verdicts import write_verdicts

from ..lessons.lesson import Scores
from ..lessons.result_cache import Arrays, Record
from ..recipe.ensemble_layers import LAYERS
from .row_sets import RowSets

PREFIX = "filter "  # of the arrays' names beside the scores of row sets
ALPHAS = "alpha "  # and of those of α by row, before the name of a row set
TAUGHT = "taught"
COLUMNS = ("keep", "score", "p", "new_label", "reason", "probe", "layer")  # the store and the folds are the run's


@dataclass(frozen=True)
class Outcome:
    """The result of a method: scores of the evaluation sets, and the settings that its line in the results names.

    `Experiment.outcome` makes it of a student; a method that trains none gives `Outcome({"test": scores}, …)`.

    >>> Outcome({"test": np.array([0.2, 0.9])}, probe="knn", k=5).k
    5
    """

    # P(label = 1) of the test rows (n_test,), and of the candidates of test questions where there are any. A control
    # of several draws has a row of scores for each (draws, n_test): it is judged by the mean of its draws' metrics.
    scores: Scores
    probe: str = ""
    k: int | None = None
    l2: float | None = None
    contamination: float | None = None
    alpha: float | None = None  # of the student's loss at the point of its training that was chosen
    trusted: int = 0  # true labels of weak-train or of gold rows that the method has read; `run_method` counts them
    layer: int | None = None  # of the strong model, where it is not the recipe's
    alphas: Scores = field(default_factory=dict)  # α of each evaluated row, of a method that fuses logits
    notes: dict[str, float] = field(default_factory=dict)  # for run.json: rows removed, ...
    filtered: FilterResult | None = None  # the verdict on the training rows, of methods that drop some
    taught: NDArray[np.float64] | None = None  # (n_train,) their new labels, where a filter is taught others than weak


def kept_outcome(outcome: Outcome) -> tuple[Arrays, Record]:
    """The arrays and the record that the cache stores of an outcome."""
    arrays: Arrays = dict(outcome.scores) | {ALPHAS + name: values for name, values in outcome.alphas.items()}
    settings = ("probe", "k", "l2", "contamination", "alpha", "trusted", "layer", "notes")
    record: Record = {name: getattr(outcome, name) for name in settings}
    if outcome.taught is not None:
        arrays[PREFIX + TAUGHT] = outcome.taught
    if (result := outcome.filtered) is not None:
        names = sorted(set(result.reasons))
        numbers = {name: getattr(result, name) for name in ("requested", "in_sample", "probe")}
        record["filtered"] = {"reasons": names, **numbers}
        codes = np.array([names.index(reason) for reason in result.reasons], dtype=np.uint8)
        optional: dict[str, NDArray[Any] | None] = {
            "mask": result.mask,
            "scores": result.scores,
            "labels": result.labels,
        }
        optional |= {"p": result.p, "folds": result.folds}
        arrays |= {PREFIX + name: array for name, array in optional.items() if array is not None}
        arrays[PREFIX + "reasons"] = codes
    return arrays, record


def outcome_of(arrays: Arrays, record: Record) -> Outcome:
    """The outcome that these arrays and this record store."""
    scores = {name: array for name, array in arrays.items() if not name.startswith((PREFIX, ALPHAS))}
    alphas = {name.removeprefix(ALPHAS): array for name, array in arrays.items() if name.startswith(ALPHAS)}
    stored: dict[str, Any] = {
        name.removeprefix(PREFIX): array for name, array in arrays.items() if name.startswith(PREFIX)
    }
    taught, settings = stored.pop(TAUGHT, None), dict(record)
    about = settings.pop("filtered", None)
    if about is None:
        return Outcome(scores, **settings, alphas=alphas, taught=taught)
    reasons = np.array(about["reasons"], dtype=object)[stored["reasons"]]
    result = FilterResult(
        stored["mask"],
        stored["scores"],
        reasons,
        stored["labels"],
        about["requested"],
        about["in_sample"],
        stored.get("p"),
        probe=about.get("probe", FilterResult.probe),  # kept before filters said it
        folds=stored.get("folds"),
    )
    return Outcome(scores, **settings, alphas=alphas, taught=taught, filtered=result)


def write_verdict(file: Path, sets: RowSets, val: NDArray[np.float64], outcome: Outcome, layer: int) -> None:
    """Write every row that had a weak label, with the verdict on the training rows; nothing for no filter.

    The fields are those of `w2s filter` and `p`, the probe's P(label = 1) of a row by which it was judged.
    `val` (n_val,) are the weak labels of the validation rows, which no filter judges.
    """
    result = outcome.filtered
    if result is None:
        return
    train, validation = (sets.tables[part].rename(columns={"label": "truth"}) for part in ("train", "val"))
    rows = pd.concat(
        [train.assign(label=result.labels, split="train"), validation.assign(label=val, split="val")], ignore_index=True
    )
    taught = result.labels if outcome.taught is None else outcome.taught
    write_verdicts(
        file,
        rows,
        np.arange(len(train)),
        result.verdict_fields | {"new_label": taught},
        where=file.name,
        probe=outcome.probe,
        layer=None if outcome.probe == LAYERS else layer,
        columns=COLUMNS,
    )
