"""The strong model's own opinion, read from its language-model head: no student, and no weak labels."""

import numpy as np
import pandas as pd

from extract.asking.shots import Shot, draw_shots
from w2s_probes.errors import InputError
from w2s_probes.randomness import stream

from ..experiment import Experiment, Outcome, TrustedRows
from ..experiment.row_sets import scored


def prior_opinion(experiment: Experiment, *, shots: bool) -> Outcome:
    """What the strong model says of the evaluation sets, after shots from weak-train with their true labels or none."""
    opinions = experiment.opinions
    if opinions is None:
        raise InputError("there is no model to be asked: its words are in the recipe's [asking]")
    shown = drawn_from(experiment.trusted_rows(), opinions.asked.n_shots, experiment.seed) if shots else []
    calibrating = {"train": experiment.rows["train"]} if opinions.asked.calibrate == "prior" else {}
    sets = {**calibrating, **experiment.evaluation_rows}
    scores, said = opinions.of(sets, shown)
    return Outcome(scored(scores), notes={"said": said, "shots": float(len(shown))})


def drawn_from(rows: TrustedRows, n: int, seed: int) -> list[Shot]:
    """n shots, half of each class: true labels are read one row after the other until there are as many of both."""
    order = stream(seed, "rows read for shots").permutation(len(rows.rows))
    wanted, read, labels = {0: n // 2, 1: n - n // 2}, list[int](), list[float]()
    for place in order:
        if all(labels.count(label) >= many for label, many in wanted.items()):
            break
        mask = np.zeros(len(order), dtype=bool)
        mask[place] = True
        read.append(int(place))
        labels.append(float(rows.truth(mask)[0]))
    table = rows.rows.iloc[read].assign(truth=labels).reset_index(drop=True)
    return draw_shots(table, n, pd.DataFrame({"id": []}), where="weak-train", seed=seed)
