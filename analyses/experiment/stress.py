"""The stresses of a task, made of its plain rows: what training is changed to, and test sets of the same kind.

The task's own test rows stay plain. Rates are exact: of n rows round(rate · n) are chosen, by the seed in training, and
the same ones for every seed in test sets.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from extract.tasks import TaskRows
from extract.tasks.fields import plain
from extract.tasks.stress import Distractor, EasyOnly
from w2s_probes.errors import InputError
from w2s_probes.randomness import stream
from w2s_probes.rows.ids import content_id

from .row_sets import RowSets

TAUGHT = ("weak", "train", "val")


def easy_training(loaded: TaskRows) -> TaskRows:
    """The task without hard training rows, where its stress says what is easy."""
    stress = loaded.task.stress
    if stress is None or stress.easy_only is None:
        return loaded
    easy = is_easy(stress.easy_only, loaded, loaded.train)
    if not easy.any() or easy.all():
        raise InputError(
            f"{loaded.name}: stress.easy_only: {int(easy.sum())} of {len(easy)} training rows are easy, which leaves "
            "nothing to tell apart: give other values"
        )
    return replace(loaded, train=loaded.train[easy].reset_index(drop=True))


def stressed(loaded: TaskRows, sets: RowSets, seed: int) -> RowSets:
    """The row sets of a seed with the task's stress, and with its test sets."""
    stress, name = loaded.task.stress, loaded.drawn_as
    if stress is None:
        return sets
    if stress.distractor is not None:
        rule = stress.distractor
        other = rule.model_copy(update={"label": 1 - rule.label})
        sets = _taught(sets, lambda table, part: with_distractor(table, rule, stream(seed, name, "distractor", part)))
        tests = {
            set_name: with_distractor(sets.test, one, stream(0, name, set_name))
            for set_name, one in (("distractor", rule), ("distractor-reversed", other))
        }
        return replace(sets, tests=tests)
    if (rate := stress.no_answer) is not None:
        sets = _taught(sets, lambda table, part: without_answers(table, rate, stream(seed, name, "no answer", part)))
        return replace(sets, tests={"no-answer": without_answers(sets.test, rate, stream(0, name, "no answer"))})
    if stress.imbalance is not None:
        return replace(sets, subsets={"imbalance": with_share(sets.test["label"].to_numpy(), stress.imbalance)})
    assert stress.easy_only is not None
    easy = is_easy(stress.easy_only, loaded, sets.test)
    return replace(sets, subsets={"easy": easy, "hard": ~easy})


def with_distractor(table: pd.DataFrame, rule: Distractor, rng: np.random.Generator) -> pd.DataFrame:
    """The rows (n,) with the distractor in the texts of `rule.rate` of those of its class."""
    of_class = np.flatnonzero(table["label"].to_numpy() == rule.label)
    return _altered(table, chosen(of_class, rule.rate, rng), rule.written)


def without_answers(table: pd.DataFrame, rate: float, rng: np.random.Generator) -> pd.DataFrame:
    """The rows (n,), in `rate` of which the text is replaced by as many words, drawn from all texts of the table.

    Such a text is as long as it was and of the same vocabulary, and tells no label; the row keeps its own.
    """
    words = np.array([word for text in table["text"] for word in text.split()], dtype=object)
    rows = chosen(np.arange(len(table)), rate, rng)
    return _altered(table, rows, lambda text: " ".join(rng.choice(words, size=max(1, len(text.split())))))


def with_share(labels: NDArray[np.int_], share: float) -> NDArray[np.bool_]:
    """The largest subset (n,) of rows, as they come, of which exactly this share, to a row, is of label 1."""
    ones, zeros = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    if share * len(labels) < len(ones):
        ones = ones[: round(len(zeros) * share / (1 - share))]
    else:
        zeros = zeros[: round(len(ones) * (1 - share) / share)]
    return np.isin(np.arange(len(labels)), np.concatenate([ones, zeros]))


def is_easy(rule: EasyOnly, loaded: TaskRows, table: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether each row (n,) is easy; lengths are compared with those of all training rows."""
    if rule.field is not None:
        easy = {plain(value) for value in rule.values}
        return np.array([loaded.fields[rule.field][row] in easy for row in table["id"]], dtype=bool)
    lengths = table["text"].str.len().to_numpy()
    training = loaded.train["text"].str.len().to_numpy()
    if rule.shortest is not None:
        return np.asarray(lengths <= np.quantile(training, rule.shortest, method="lower"))
    assert rule.longest is not None
    return np.asarray(lengths >= np.quantile(training, 1 - rule.longest, method="higher"))


def chosen(rows: NDArray[np.intp], rate: float, rng: np.random.Generator) -> NDArray[np.intp]:
    """round(rate · n) of n rows, at random."""
    return rng.permutation(rows)[: round(rate * len(rows))]


def _taught(sets: RowSets, change: Callable[[pd.DataFrame, str], pd.DataFrame]) -> RowSets:
    """The sets with those that anybody is trained on changed."""
    return sets.with_tables({part: change(sets.tables[part], part) for part in TAUGHT})


def _altered(table: pd.DataFrame, rows: NDArray[np.intp], change: Callable[[str], str]) -> pd.DataFrame:
    """The table with other texts in these rows, which get ids of their own and stay in their groups."""
    texts, ids = table["text"].tolist(), table["id"].tolist()
    for row in rows.tolist():
        texts[row] = change(texts[row])
        ids[row] = content_id(f"{ids[row]}\x1f{texts[row]}")
    return table.assign(text=texts, id=ids)
