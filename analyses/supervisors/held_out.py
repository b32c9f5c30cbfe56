"""The fifth of weak-train that a supervisor is not fitted to, and on which its scores are out of sample.

Its truth stops the training of a head or a fine-tuned supervisor, and chooses its epoch; a text one does not see it.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.calibration import LEAST_ROWS, cross_calibrated
from w2s_probes.errors import InputError
from w2s_probes.randomness import stream
from w2s_probes.rows.groups import GROUP

from ..experiment.gold_rows import GoldUse, gold_rows, reads_gold, refuse_gold
from ..experiment.method import Method
from ..experiment.row_sets import RowSets
from ..experiment.trusted_rows import refuse_too_few
from ..recipe.calibration_keys import calibrated_on_gold
from ..recipe.rater_keys import TRAINED, reads_truth
from ..recipe.schema import Recipe

HELD_OUT = "held out"  # name of these rows' scores beside those of the sets that a supervisor labels
SHARE = 0.2


def held_out_rows(table: pd.DataFrame, task: str, seed: int) -> NDArray[np.bool_]:
    """The rows (n,) of weak-train that are held out: a fifth of its groups, drawn by the seed."""
    groups = pd.factorize(table[GROUP])[0]
    order = stream(seed, task, "weak validation").permutation(groups.max() + 1)
    return np.isin(groups, order[: max(1, round(SHARE * len(order)))])


def asks_supervisor(recipe: Recipe, methods: Mapping[str, Method]) -> bool:
    """Whether some method asks the supervisor's trained model itself, which must be kept for it."""
    return any(method.tuned or (method.fuses and not recipe.fusion.experts) for method in methods.values())


def refuse_without_truth(
    recipe: Recipe, methods: Mapping[str, Method], splits: Mapping[str, Mapping[int, RowSets]]
) -> None:
    """InputError for a method that reads true labels of weak-train where there are none, too few, or of one class.

    Likewise of gold rows.
    """
    if not calibrated_on_gold(recipe) or reads_gold(methods.values()):
        refuse_gold(recipe.gold, methods, splits)
    _refuse_uncalibrated(recipe, splits)
    if recipe.debate is not None and asks_supervisor(recipe, methods):
        raise InputError(
            "a method asks the supervisor's own model, and one that reads a debate is several: leave [debate] out, or "
            "methods that fuse"
        )
    for name, method in methods.items():
        if method.tuned and recipe.weak.kind != "lm":
            raise InputError(
                f"method {name!r} asks the supervisor's model before and after its training to say labels, and one of "
                f"kind {recipe.weak.kind!r} is not so trained: take weak.kind lm"
            )
    declared = {name: method.trusted for name, method in methods.items() if method.trusted is not None}
    for name, needs in declared.items():
        why = f"; {needs.why}" if needs.why else ""
        if not reads_truth(recipe.weak) or recipe.weak.errors == "imitation":
            kind = recipe.weak.errors or recipe.weak.kind
            raise InputError(
                f"method {name!r} needs true labels of weak-train, of which a supervisor of kind {kind!r} leaves none: "
                f"take weak.kind text, head, finetune or lm{why}"
            )
        if needs.of_model and recipe.weak.kind != "head":
            raise InputError(
                f"method {name!r} trains a head on the supervisor's model, and one of kind {recipe.weak.kind!r} is no "
                f"head: take weak.kind head{why}"
            )
        use = "is stopped by" if needs.stops else "needs"
        if (needs.held_out or needs.stops) and recipe.debate is not None:
            raise InputError(
                f"method {name!r} {use} rows that the supervisor holds out, and each member of one that reads a debate "
                f"holds out others: leave [debate] out{why}"
            )
        if (needs.held_out or needs.stops) and recipe.weak.kind not in TRAINED:
            raise InputError(
                f"method {name!r} {use} rows that the supervisor holds out, and one of kind {recipe.weak.kind!r} holds "
                f"out none: take weak.kind text, head, finetune or lm{why}"
            )
    for task, seeds in splits.items() if declared else ():
        for seed, sets in seeds.items():
            held, truth = held_out_rows(sets.weak, task, seed), sets.weak["label"].to_numpy(dtype=float)
            for name, needs in declared.items():
                refuse_too_few(name, needs, truth[held] if needs.held_out else truth, f"{task}, seed {seed}")


def _refuse_uncalibrated(recipe: Recipe, splits: Mapping[str, Mapping[int, RowSets]]) -> None:
    """InputError where rows are too few to calibrate by, whatever is scored: gold ones, or those held out."""
    for task, seeds in splits.items() if calibrated_on_gold(recipe) else ():
        for seed, sets in seeds.items():
            truth = gold_rows(recipe.gold, sets, task, seed).of(GoldUse()).truth()
            if len(truth) < LEAST_ROWS or len(np.unique(truth)) < 2:
                raise InputError(
                    f"{task}, seed {seed}: calibrate_on = 'gold' needs {LEAST_ROWS} gold rows of both classes at "
                    f"least, and there are {len(truth)}, {int(truth.sum())} of label 1: raise gold.n"
                )
    by = recipe.weak.calibrate
    if by is None:
        return
    for task, seeds in splits.items():
        for seed, sets in seeds.items():
            rows = sets.weak[held_out_rows(sets.weak, task, seed)]
            truth, groups = rows["label"].to_numpy(dtype=np.float64), rows[GROUP].to_numpy(dtype=object)
            try:
                cross_calibrated(np.linspace(0.1, 0.9, len(rows)), truth, by=by, groups=groups, seed=seed)
            except InputError as error:
                raise InputError(
                    f"{task}, seed {seed}: weak.calibrate = {by!r} on the {len(rows)} rows of weak-train that are held "
                    f"out: {error}: raise weak.n_truth, or leave it out"
                ) from error
