"""The strong model's answers moved by what tuning changed in a small one: no student, and no label of strong-train."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from w2s_probes.errors import InputError
from w2s_probes.randomness import stream

from ..experiment import Experiment, Outcome
from ..experiment.fusing import FusedRows
from ..results.names import DYNAMIC, HALF, MORE, OTHER_ALPHA, OTHER_CHANGE, STATIC, TUNED

DRAWS = 5  # of the shuffled controls
# α of the methods at which it is the same for every row; α = 0 is `prior-zeroshot`.
ALPHAS = {STATIC: 1.0, HALF: 0.5, MORE: 1.5}
FUSIONS = (DYNAMIC, *ALPHAS, TUNED, OTHER_ALPHA, OTHER_CHANGE)


def fused_answers(experiment: Experiment, *, way: str) -> Outcome:
    """P(label = 1) of the evaluation sets by logits fused this way.

    Where there are several experts each row takes the one of the KL-constrained problem, whatever the way: controls
    differ from it in what they are called after alone. Shuffled ones deal α, or the change, out over the rows of a
    set, `DRAWS` times, whatever the order of these.
    """
    if experiment.fusing is None:
        raise InputError("there is no tuned model to fuse with: give fusion.experts, or a supervisor of kind 'lm'")
    found = experiment.fusing.of(experiment.evaluation_rows)
    ids = {name: table["id"].to_numpy(dtype=object) for name, table in experiment.evaluation_rows.items()}
    scores = {name: expit(_log_odds(way, rows, ids[name], experiment.seed, name)) for name, rows in found.items()}
    if way != DYNAMIC:
        return Outcome(scores)
    return Outcome(scores, alphas={name: rows.alpha for name, rows in found.items()}, notes=_notes(experiment, found))


def _log_odds(way: str, rows: FusedRows, ids: NDArray[np.object_], seed: int, name: str) -> NDArray[np.float64]:
    """The log-odds of a set of rows (n,); of the shuffled controls each draw's (draws, n)."""
    if way == TUNED:
        return rows.tuned
    if way in ALPHAS:
        return rows.log_odds(ALPHAS[way])
    if way == DYNAMIC:
        return rows.log_odds(rows.alpha)
    orders = [_dealt(ids, seed, way, name, draw) for draw in range(DRAWS)]
    if way == OTHER_ALPHA:
        return np.stack([rows.log_odds(rows.alpha[order]) for order in orders])
    return np.stack([rows.strong + rows.alpha * rows.change[order] for order in orders])


def _dealt(ids: NDArray[np.object_], seed: int, way: str, name: str, draw: int) -> NDArray[np.intp]:
    """The row (n,) whose number each row is dealt: by the ids of the rows, so that tasks have draws of their own."""
    by_id = np.argsort(ids.astype(str), kind="stable")
    order = np.empty(len(ids), dtype=np.intp)
    order[by_id] = by_id[stream(seed, way, name, draw, *ids[by_id]).permutation(len(ids))]
    return order


def _notes(experiment: Experiment, found: Mapping[str, FusedRows]) -> dict[str, float]:
    """What run.json has of α on the test rows."""
    assert experiment.fusing is not None
    rows, settings = found["test"], experiment.fusing.settings
    low, middle, high = np.quantile(rows.alpha, (0.1, 0.5, 0.9))
    notes = {"alpha_mean": rows.alpha.mean(), "alpha_p10": low, "alpha_p50": middle, "alpha_p90": high}
    notes |= {"capped": (rows.alpha >= settings.top).mean(), "distance": rows.loss.mean()}
    if len(experts := experiment.fusing.experts) > 1:
        notes |= {f"expert_{number}": (rows.expert == number).mean() for number in range(len(experts))}
    return {name: float(value) for name, value in notes.items()}
