"""Attacks: families of supervisor errors at a rate; and the parts of weak-train that they are made and judged on."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from w2s_probes.errors import InputError
from w2s_probes.randomness import stream
from w2s_probes.rows.groups import GROUP
from w2s_probes.simulated import ErrorKind, mistaken

from ..experiment.row_sets import RowSets
from ..lessons.lesson import Scores
from ..recipe.robustness import Robustness

STOPPING = 0.2  # of the groups that are taught, for early stopping
TAUGHT_PARTS = ("train", "val")
OWN = "own"


@dataclass(frozen=True)
class Attack:
    """A family of supervisor errors, at a rate of wrong labels; the supervisor's own have none but their own."""

    family: ErrorKind
    rate: float | None

    @property
    def name(self) -> str:
        """The name in tables: FAMILY@RATE, or own.

        >>> Attack("random", 0.2).name, Attack("own", None).name
        ('random@0.2', 'own')
        """
        return self.family if self.rate is None else f"{self.family}@{self.rate:g}"

    @property
    def of_strong(self) -> bool:
        """Whether the strong model's scores decide where the errors are."""
        return self.family.startswith("strong")

    def labels(self, tables: dict[str, pd.DataFrame], weak: Scores, strong: Scores, seed: int) -> Scores:
        """Hard labels of each table, the truth but for the family's errors.

        `weak` and `strong` are P(label = 1) of the rows, out of sample, where the family reads them.
        """
        labels: Scores = {}
        for part, table in tables.items():
            try:
                labels[part] = mistaken(
                    self.family,
                    table["label"].to_numpy(dtype=np.float64),
                    self.rate,
                    weak=weak.get(part),
                    strong=strong.get(part),
                    lengths=table["text"].str.len().to_numpy(),
                    seed=seed,
                )
            except InputError as error:
                raise InputError(
                    f"robustness: {self.name}: {error}: lower robustness.rates, or leave {self.family!r} out of "
                    "robustness.families"
                ) from error
            if len(np.unique(labels[part])) < 2:
                raise InputError(f"robustness: {self.name} leaves labels of one class: give weak.n_truth more rows")
        return labels


def attacks_of(settings: Robustness) -> list[Attack]:
    """The attacks of a recipe in order: each family at each rate, the supervisor's own errors once."""
    return [
        Attack(family, rate) for family in settings.families for rate in ([None] if family == OWN else settings.rates)
    ]


def divided(sets: RowSets, task: str, seed: int, held_out: float, *, describe: bool) -> RowSets:
    """Weak-train in three: rows that students are taught (train), that stop them (val), and that judge them (test).

    Groups stay together. With `describe` the recipe's own test rows come along, as another test set. InputError where a
    part would have one class.
    """
    groups = pd.factorize(sets.weak[GROUP])[0]
    order = stream(seed, task, "robustness").permutation(int(groups.max()) + 1)
    judging = max(1, round(held_out * len(order)))
    stopping = max(1, round(STOPPING * (len(order) - judging)))
    cuts = {"test": order[:judging], "val": order[judging : judging + stopping], "train": order[judging + stopping :]}
    parts = {name: sets.weak[np.isin(groups, chosen)].reset_index(drop=True) for name, chosen in cuts.items()}
    for name, table in parts.items():
        if table["label"].nunique() < 2:
            does = {"test": "judge", "val": "stop", "train": "teach"}[name]
            raise InputError(
                f"{task}, seed {seed}: the {len(table)} rows of weak-train that {does} students are of one class or "
                "none: raise weak.n_truth, or change robustness.held_out"
            )
    tests = {TEST_SET: sets.test} if describe else {}
    return RowSets(sets.weak, parts["train"], parts["val"], parts["test"], tests=tests)


TEST_SET = "recipe"  # the recipe's own test rows, beside those that judge


def error_rate(labels: Scores, sets: RowSets) -> float:
    """The share of wrong labels in the parts that are taught."""
    wrong: list[NDArray[np.bool_]] = [
        labels[part] != sets.tables[part]["label"].to_numpy(dtype=np.float64) for part in TAUGHT_PARTS
    ]
    return float(np.concatenate(wrong).mean())
