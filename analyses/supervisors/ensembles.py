"""Several supervisors, trained or label files, combined into one label a row."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.errors import InputError
from w2s_probes.labels.label_set import LabelSet
from w2s_probes.randomness import stream, torch_seed
from w2s_probes.raters import Combined, Ratings, combine
from w2s_probes.raters.ratings import refuse_useless
from w2s_probes.rows.groups import GROUP

from ..experiment.row_sets import CANDIDATES, OTHER_TEST, RowSets
from ..experiment.task_models import TaskModels
from ..lessons.engine import Steps, side_by_side
from ..lessons.lesson import Scores
from ..recipe.rater_keys import learns_weights
from ..recipe.schema import Weak
from .held_out import HELD_OUT, held_out_rows
from .rater_scores import DISAGREEMENT, RATERS, TEST_SCORES, TRUSTED_READ, rater_numbers

SEEDS = 1 << 31  # members' seeds are below
COMMON = f"{OTHER_TEST}rows that teach weights"  # which no member learns, so that all of them score these


def ensemble(
    weak: Weak, sets: RowSets, supervise: Callable[..., Steps[Scores]], task_models: TaskModels, *, task: str, seed: int
) -> Steps[Scores]:
    """The members' labels, combined; each with its own seed and, with bagging, resample of weak-train.

    What is learned of the members is learned from the training rows, without their truth, and used on every set; or,
    of weights, from the truth of the fifth of weak-train that no member learns. Members hold out other rows of
    weak-train each, so that there are no scores of rows that all hold out. A label file may lack rows that another
    member has. Beside the scores stand the numbers of `rater_scores`.
    """
    trusted = None
    if learns_weights(weak):
        held = held_out_rows(sets.weak, task, seed)
        trusted = sets.weak[held].reset_index(drop=True)
        rest = sets.weak[~held].reset_index(drop=True)
        sets = replace(sets, weak=rest, tests={**sets.tests, COMMON.removeprefix(OTHER_TEST): trusted})
    members = []
    for number, member in enumerate(weak.members):
        own_seed = member_seed(seed, task, number)
        own_sets = replace(sets, weak=resampled(sets.weak, own_seed)) if weak.bagging and len(sets.weak) else sets
        members.append(supervise(member, own_sets, task_models, task=task, seed=own_seed))
    parts = yield from side_by_side(members)
    names = [name for name in parts[0] if name != HELD_OUT and all(name in part for part in parts)]
    p = {name: np.stack([part[name] for part in parts], axis=1) for name in names}  # (rows, members)
    if CANDIDATES in p and np.isnan(p[CANDIDATES]).all(axis=1).any():
        del p[CANDIDATES]  # as a single file's: questions are not scored where a candidate is not
    _refuse_unlabelled(p, sets)
    combined = _combined(weak, sets, p, trusted)
    scores = {name: combined.combiner.combine(labels) for name, labels in p.items() if name != COMMON}
    return scores | {
        RATERS: rater_numbers(combined),
        DISAGREEMENT: combined.disagreement[: len(p["train"])],
        TRUSTED_READ: np.array([combined.trusted], dtype=np.float64),
        **({TEST_SCORES: p["test"]} if "test" in p else {}),
    }


def member_names(weak: Mapping[str, Any]) -> list[str]:
    """The members of an ensemble as a table names them: their kind, and the model or file, numbered where equal."""
    named = []
    for member in weak["members"]:
        of = member.get("model") or member.get("file")
        named.append(f"{member['kind']} {Path(of).stem}" if of else str(member["kind"]))
    return [
        name if named.count(name) == 1 else f"{name} ({named[: at + 1].count(name)})" for at, name in enumerate(named)
    ]


def _combined(weak: Weak, sets: RowSets, p: Mapping[str, NDArray[np.float64]], trusted: Any) -> Combined:
    """What the training rows, and trusted ones, say of the members."""
    names = tuple(member_names(weak.model_dump(mode="json")))
    ids, labels, truth = sets.train["id"].to_numpy(dtype=object), p["train"], None
    groups = sets.train[GROUP].to_numpy(dtype=object)
    if trusted is not None:
        of_trusted = trusted["id"].to_numpy(dtype=object)
        truth = LabelSet(of_trusted, trusted["label"].to_numpy(dtype=np.float64), "truth")
        ids, labels = np.concatenate([ids, of_trusted]), np.concatenate([labels, p[COMMON]])
        groups = np.concatenate([groups, trusted[GROUP].to_numpy(dtype=object)])
    if weak.by != "mean" or any(member.kind == "labels" for member in weak.members):
        refuse_useless(names, labels)
    return combine(Ratings(names, ids, labels, groups), weak.by, trusted=truth)


def _refuse_unlabelled(p: Mapping[str, NDArray[np.float64]], sets: RowSets) -> None:
    for name, labels in p.items():
        none: NDArray[np.bool_] = np.asarray(np.isnan(labels).all(axis=1))
        if none.any() and name != COMMON:  # trusted rows are those that somebody has judged
            row = sets.labelled[name]["id"].iloc[int(none.argmax())]
            raise InputError(
                f"no member of the ensemble labels {int(none.sum())} of the {len(none)} rows of {name}, first {row!r}: "
                "every row needs one rater at least"
            )


def member_seed(seed: int, task: str, number: int) -> int:
    """The seed of a member, by its number."""
    return torch_seed(seed, task, "member", number) % SEEDS


def resampled(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """A bootstrap resample of the groups, each with all of its rows."""
    groups = pd.factorize(table[GROUP])[0]
    drawn = stream(seed, "bagging").integers(groups.max() + 1, size=groups.max() + 1)
    # A group that is drawn n times counts once: repeated rows would need ids of their own, and a model that is stopped
    # early gains nothing from them.
    return table[np.isin(groups, drawn)].reset_index(drop=True)
